"""The entries of tables: what functions put in, by what it is known there, and where something is taken out again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.graph import Graph
from leaklint.link.program import Program
from leaklint.link.syntax import subexpressions, walk
from leaklint.link.values import FunctionId, Site
from leaklint.obligations.tables import MAKERS, Act, Table, Use
from leaklint.paths import Node

_FARTHEST = 4
"""Calls between a function and a place that takes something out, from which it counts as having nothing to do with it."""
_WAITED_FOR = frozenset({Kind.FUTURE, Kind.EVENT, Kind.CONDITION, Kind.CHANNEL, Kind.RECEIVER})


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """Something that a function puts into a table, itself or by a call of another. `names`: what it is known by in the function: the key,
    the thing itself; `objects`: what is put in, as far as it is known; `when_done`: it is taken out when what was put in is done;
    `is_deep`: it is in a container inside the table; `owner`: of a call, the object whose method puts it in."""

    table: Table
    function: FunctionId
    stmt: ir.Stmt
    at: ir.Span
    names: tuple[ir.Expr, ...]
    objects: frozenset[int]
    when_done: bool
    is_deep: bool = False
    owner: ir.Expr | None = None


class Entries:
    """The entries of one table."""

    def __init__(self, graph: Graph, table: Table) -> None:
        self.graph = graph
        self.program = graph.program
        self.table = table
        self.takes = [use for use in table.of(Act.TAKE, Act.DRAIN) if self.program.node(use.function).name not in MAKERS]
        self.stmts = {(use.function.source, id(use.stmt)) for use in self.takes}
        self.removing = self.upwards(*(use.function.source for use in self.takes if not use.is_handed))
        self.removers = {use.function.source for use in self.takes}
        self._names = {self._node(source).name for source in self.removers} - {"<lambda>"}

    def _node(self, source: tuple[int, int]) -> ir.Function:
        return self.program.modules[source[0]].summary.functions[source[1]]

    def upwards(self, *sources: tuple[int, int]) -> set[tuple[int, int]]:
        """Functions and those that call them, through a few calls."""
        found, near = set(sources), set(sources)
        for _ in range(_FARTHEST):
            near = {c for one in near for c in self._callers(one)} - found
            found |= near
        return found

    def _callers(self, source: tuple[int, int]) -> set[tuple[int, int]]:
        return {c.source for f in self.program.versions(FunctionId(*source)) for c in self.program.callers.get(f, ())}

    # --- what is put in

    def all(self) -> Iterator[Entry]:
        for use in self.table.of(Act.PUT):
            node = self.program.node(use.function)
            if use.is_handed or not use.is_sure or use.function.index == 0 or node.name in MAKERS:
                continue
            if _is_first_use(self.program, use):
                continue
            names = tuple(one for one in (use.entry, use.value) if one is not None and not isinstance(one, ir.Constant))
            objects = self._objects(use)
            at = use.at or node.at
            yield Entry(self.table, use.function, use.stmt, at, names, objects, self._when_done(use.function, objects), use.is_deep)
            if use.function.source not in self.removing:
                yield from self._by_call(use, objects)

    def _by_call(self, use: Use, objects: frozenset[int]) -> Iterator[Entry]:
        """The calls of a function that puts something in and leaves it to others to take it out."""
        when_done = self._when_done(use.function, objects)
        for record in (r for version in self.program.versions(use.function) for r in self.program.calls_of(version)):
            caller = record.function
            place = self.program.place(caller, record.site.number)
            if place is None or record.node is None or self.program.node(caller).name in MAKERS or caller.index == 0:
                continue
            given = [a.value for a in record.node.arguments if not isinstance(a.value, ir.Constant)]
            bound = list(place.stmt.targets) if isinstance(place.stmt, ir.Bind) else []
            names = tuple(n for one in (*given, *bound) for n in ((one.items) if isinstance(one, ir.Display) else (one,)))
            owner = record.node.function.base if isinstance(record.node.function, ir.Attribute) else None
            yield Entry(self.table, self._written(caller), place.stmt, record.at, names, objects, when_done, use.is_deep, owner)

    def _written(self, function: FunctionId) -> FunctionId:
        return FunctionId(*function.source)

    def _objects(self, use: Use) -> frozenset[int]:
        """The objects put in that somebody may wait for."""
        if use.value is None:
            return frozenset()
        names = [one for one in subexpressions(use.value) if isinstance(one, ir.Name | ir.Attribute)]
        found = {o for version in self.program.versions(use.function) for name in names for o in self.program.denoted(version, name)}
        return frozenset(o for o in found if self.program.kind(o) in _WAITED_FOR)

    def _when_done(self, function: FunctionId, objects: frozenset[int]) -> bool:
        """Whether a callback of what is put in takes it out again."""
        for version in self.program.versions(function):
            for action in self.program.actions_in(version):
                if action.does is Does.REGISTER and action.subjects & objects:
                    if any(entry.source in self.removers for entry in self.program.entries(action.call)):
                        return True
                    node = action.call.record.node
                    if node is not None and any(self._is_handed(function, a.value) for a in node.arguments):
                        return True
        return False

    def _is_handed(self, function: FunctionId, given: ir.Expr) -> bool:
        return any(use.is_handed and use.function == function and _within(given, use) for use in self.takes)

    # --- what is taken out

    def gives(self, function: FunctionId, node: Node, entry: Entry | None = None) -> bool:
        """Whether something may be taken out at a node, in calls included; what is handed over to do so later counts, unless it only runs
        when the entry is done."""
        if node.kind in ("except", "join", "end") or node.stmt is None:
            return False
        if (function.source, id(node.stmt)) in self.stmts and node.kind != "exit" and not (entry is not None and entry.stmt is node.stmt):
            return True
        for site in self.sites(function, node):
            callees = {c for c in self.program.state.callees.get(site, set()) if node.kind != "exit" or self._is_exit(c)}
            if any(callee.source in self.removing for callee in callees):
                return True
            for action in self.program.at(site):
                runs = {one.source for one in self.program.entries(action.call)}
                if runs & self.removing and not self._waits_for_done(action.does, entry):
                    return True
        words, lambdas = node.handed()
        if entry is not None and entry.when_done and entry.stmt is not node.stmt and self._registers(function, node):
            return False
        return bool(words & self._names) or any((function.module, index) in self.removing for index in lambdas)

    def _registers(self, function: FunctionId, node: Node) -> bool:
        return any(a.does is Does.REGISTER for site in self.sites(function, node) for a in self.program.at(site))

    def _waits_for_done(self, does: Does, entry: Entry | None) -> bool:
        return does is Does.REGISTER and entry is not None and entry.when_done

    def _is_exit(self, function: FunctionId) -> bool:
        return self.program.node(function).name.endswith("exit__")

    def sites(self, function: FunctionId, node: Node) -> Iterator[Site]:
        for version in self.program.versions(function) or [function]:
            for number in node.sites():
                yield version.site(number)


def _is_first_use(program: Program, use: Use) -> bool:
    """Whether something is put in under a key because nothing is there yet (`if key not in table`): it is to stay."""
    for stmt in walk(program.node(use.function).body):
        if not isinstance(stmt, ir.Branch):
            continue
        if any(inner is use.stmt for inner in walk(stmt.orelse)):
            match stmt.test:
                case ir.Comparison(operators=("in",), left=key) if use.entry is not None and same(key, use.entry):
                    return True
                case _:
                    pass
        if any(inner is use.stmt for inner in walk(stmt.body)):
            match stmt.test:
                case ir.Comparison(operators=("not in",), left=key) if use.entry is not None and same(key, use.entry):
                    return True
                case ir.Comparison(left=ir.Name() as name, operators=("is",)) | ir.Operation(operator="not", operands=(ir.Name() as name,)):
                    if name == use.value:
                        return True
                case _:
                    pass
    return False


def _within(given: ir.Expr, use: Use) -> bool:
    return isinstance(given, ir.Attribute) and given.name in ("remove", "discard", "pop")


def same(one: ir.Expr, other: ir.Expr) -> bool:
    """Whether two expressions read the same, wherever they stand."""
    match one, other:
        case ir.Call(function=f, arguments=a), ir.Call(function=g, arguments=b):
            return same(f, g) and len(a) == len(b) and all(same(x.value, y.value) for x, y in zip(a, b, strict=True))
        case _:
            return one == other
