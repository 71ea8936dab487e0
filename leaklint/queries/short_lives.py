"""Entries that need not be taken out: their table goes with the function that put them in, or that function is not left half-way."""

from __future__ import annotations

from leaklint import ir
from leaklint.catalog.grammar import Does, UnitKind
from leaklint.graph import Graph
from leaklint.link.reasons import Why
from leaklint.link.syntax import root_of, target_names, walk
from leaklint.link.units import Unit
from leaklint.link.values import ClassId, FunctionId
from leaklint.obligations.entries import Entry
from leaklint.obligations.tables import is_teardown

_CANCELS = frozenset({Does.CANCEL, Does.BOUND})


def goes_with_its_table(graph: Graph, entry: Entry) -> bool:
    """Whether the table is gone once the function is left, or the function runs once in the life of its object."""
    versions = graph.program.versions(entry.function)
    if versions and all(graph.ends_with_process(version) for version in versions):
        return True
    return _is_entered_here(graph, entry) or (_is_its_own(graph, entry) and _starts_its_object(graph, entry.function))


def is_never_cancelled(graph: Graph, entry: Entry) -> bool:
    """Whether nobody in sight cancels what runs the function: it is what a library calls for each connection, or the units that run it are
    cancelled when their owner ends, and its table with it."""
    program = graph.program
    roots = {root for version in program.versions(entry.function) for root in program.roots(version)}
    if not any(program.entered_by.get(root) for root in roots):
        return False
    return all(_is_let_alone(graph, entry, root) for root in roots)


def _is_let_alone(graph: Graph, entry: Entry, root: FunctionId) -> bool:
    reason, units = graph.program.openness.callable.get(root), graph.program.entered_by.get(root, ())
    if not units:  # for objects of its class that nobody in sight makes
        cls = graph.program.class_of(root)
        is_private = cls is not None and graph.program.state.names.cls(cls).name.startswith("_")
        return reason is not None and (is_private or reason.why is Why.UNKNOWN_OBJECT)
    if reason is not None and reason.why is Why.PUBLIC and any(unit.kind is not UnitKind.CALLBACK for unit in units):
        return False
    return all(_is_let_run(graph, entry, unit) for unit in units)


def _is_let_run(graph: Graph, entry: Entry, unit: Unit) -> bool:
    if unit.kind is UnitKind.CALLBACK:
        return True
    program = graph.program
    if unit.kind is not UnitKind.TASK or not unit.handle or any(program.escape(handle) is not None for handle in unit.handle):
        return False
    ends = [action for handle in unit.handle for action in program.on(handle) if action.does in _CANCELS]
    return _is_its_own(graph, entry) and all(a.does is Does.CANCEL and is_teardown(program.node(a.function)) for a in ends)


def _is_its_own(graph: Graph, entry: Entry) -> bool:
    """Whether the table is an attribute of the object whose method the function is."""
    cls = graph.program.class_of(entry.function)
    named = entry.owner is None or entry.owner == ir.Name("self")
    return (
        named
        and cls is not None
        and isinstance(entry.table.home, ClassId)
        and entry.table.home in graph.program.state.names.lineage(cls)[0]
    )


def _starts_its_object(graph: Graph, function: FunctionId) -> bool:
    """Whether a method starts its own object, a thread: that can be done only once."""
    program = graph.program
    parameters = program.node(function).parameters
    for version in program.versions(function):
        for action in program.actions_in(version):
            match action.call.record.node:
                case ir.Call(function=ir.Attribute(base=ir.Name(id=name))) if parameters and name == parameters[0].name:
                    if action.does is Does.SPAWN and not action.deferred:
                        return True
                case _:
                    pass
    return False


def _is_entered_here(graph: Graph, entry: Entry) -> bool:
    """Whether the object that has the table comes from one that a block around the entry is entered for: it ends with the block."""
    body = graph.program.node(entry.function).body
    blocks = [stmt for stmt in walk(body) if isinstance(stmt, ir.With) and any(one is entry.stmt for one in walk(stmt.body))]
    items = [item for block in blocks for item in block.items if item.target is not None and isinstance(item.context, ir.Call)]
    entered = {name for item in items if item.target is not None for name in target_names(item.target)}
    return bool(entered) and entry.owner is not None and _comes_from(body, entry.owner, entered, 0)


_FARTHEST = 4
"""Names by which a part of an object is known in turn, followed at most."""


def _comes_from(body: tuple[ir.Stmt, ...], expression: ir.Expr, names: set[str], depth: int) -> bool:
    root = root_of(expression)
    if root is None or depth > _FARTHEST:
        return False
    if root in names:
        return True
    values = [stmt.value for stmt in walk(body) if isinstance(stmt, ir.Bind) and ir.Name(root) in stmt.targets]
    return bool(values) and all(_comes_from(body, value, names, depth + 1) for value in values)
