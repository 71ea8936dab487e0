"""LK109: a unit that is started before the channel is made that it uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import UnitKind
from leaklint.finding import Confidence, Leak
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.flow.state import LibraryCall
from leaklint.link.syntax import meant, subexpressions
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.paths import EXCEPTIONAL, Edge, Node
from leaklint.queries.wording import grows

_UNITS = frozenset({UnitKind.TASK, UnitKind.THREAD})
_FARTHEST = 2
"""Calls from the entry of a unit to its use of the channel, followed at most."""


@dataclass(frozen=True, slots=True)
class _Making:
    """The statement that makes a channel and gives it to attributes of `self` and to names (`words`)."""

    function: FunctionId
    at: ir.Span
    nodes: tuple[Node, ...]
    words: frozenset[str]


def made_late(graph: Graph) -> Iterator[Leak]:
    """A function starts a unit and then makes the channel, which nothing has made before and which the unit uses at once."""
    told: set[tuple[tuple[int, int], int]] = set()
    spawned: dict[FunctionId, list[tuple[Unit, LibraryCall]]] = {}
    for unit in graph.program.units:
        for spawn in unit.spawns if unit.kind in _UNITS else ():
            spawned.setdefault(spawn.record.function, []).append((unit, spawn))
    for channel in graph.channels:
        starts = spawned.get(channel.made[0], ())
        making = _making(graph, channel) if starts else None
        for unit, spawn in starts:
            key = (spawn.record.function.source, spawn.record.site.number)
            if making is None or key in told or not _comes_first(graph, unit, spawn, making):
                continue
            use = next((u for entry in unit.entries if (u := _use(graph, channel, making, entry, 0)) is not None), None)
            if use is not None:
                told.add(key)
                yield _leak(graph, channel, making, unit, spawn, use)


def _making(graph: Graph, channel: Channel) -> _Making | None:
    function, at = channel.made
    nodes = []
    words: set[str] = set()
    for node in graph.paths(function).nodes:
        match node.stmt:
            case ir.Bind(targets=targets, value=value) if any(isinstance(e, ir.Call) and e.at == at for e in subexpressions(value)):
                nodes.append(node)
                flat = [one for t in targets for one in (t.items if isinstance(t, ir.Display) else (t,))]
                words |= {word for one in flat if (word := _word(one)) is not None}
            case _:
                pass
    return _Making(function, at, tuple(nodes), frozenset(words)) if words else None


def _word(target: ir.Expr) -> str | None:
    """`name`, or `.name` of `self.name`."""
    match target:
        case ir.Name(id=name):
            return name
        case ir.Attribute(base=ir.Name(id="self"), name=name):
            return f".{name}"
        case _:
            return None


def _comes_first(graph: Graph, unit: Unit, spawn: LibraryCall, making: _Making) -> bool:
    """Whether the unit may run before the channel is made: a thread at once, a task at the next place where the function waits."""
    paths = graph.paths(making.function)
    starts = {id(node) for node in paths.of(spawn.record.site.number)}
    makes = {id(node) for node in making.nodes}
    seen: set[tuple[int, bool, bool]] = set()
    todo = [(paths.entry, False, False)]  # node, whether the unit is started, whether it may have run
    while todo:
        node, started, run = todo.pop()
        if (id(node), started, run) in seen:
            continue
        seen.add((id(node), started, run))
        if id(node) in makes:
            if run:
                return True
            continue
        waits = any(edge is Edge.CANCEL for edge, _ in node.successors)
        run = run or (started and waits)
        if id(node) in starts:
            started, run = True, run or unit.kind is UnitKind.THREAD
        todo += [(target, started, run) for edge, target in node.successors if edge not in EXCEPTIONAL]
    return False


def _use(graph: Graph, channel: Channel, making: _Making, function: FunctionId, depth: int) -> Action | None:
    """Where the unit uses the channel under the name that it is given too late, before it has waited for anything or asked whether it is
    there."""
    program = graph.program
    actions = {a.site.number: a for a in program.actions_in(function) if a.subjects & channel.objects and a.call.record.by is None}
    todo = [graph.paths(function).entry]
    seen: set[int] = set()
    while todo:
        node = todo.pop()
        if id(node) in seen or (node.kind == "test" and _mentions(node, making.words)):
            continue
        seen.add(id(node))
        for number in node.sites():
            action = actions.get(number)
            if action is not None and _is_named(graph, making, function, action):
                return action
            for callee in sorted(program.state.callees.get(function.site(number), ())) if depth < _FARTHEST else ():
                if (use := _use(graph, channel, making, callee, depth + 1)) is not None:
                    return use
        if not any(a.waits is not None for number in node.sites() for a in program.at(function.site(number))) and not isinstance(
            node.stmt, ir.Try
        ):
            todo += [target for edge, target in node.successors if edge not in EXCEPTIONAL]
    return None


def _mentions(node: Node, words: frozenset[str]) -> bool:
    return any(_word(e) in words for part in node.parts for e in subexpressions(part))


def _is_named(graph: Graph, making: _Making, function: FunctionId, action: Action) -> bool:
    """Whether the operation reads the very attribute or variable."""
    call, node = action.call.record.node, graph.program.node(function)
    word = _word(meant(node, call.function.base)) if call is not None and isinstance(call.function, ir.Attribute) else None
    if word is None or word not in making.words:
        return False
    if word.startswith("."):
        return graph.program.class_of(function) == graph.program.class_of(making.function)
    return function.module == making.function.module and node.parent == making.function.index and not _binds(node, word)


def _binds(node: ir.Function, word: str) -> bool:
    return any(p.name == word for p in node.parameters)


def _leak(graph: Graph, channel: Channel, making: _Making, unit: Unit, spawn: LibraryCall, use: Action) -> Leak:
    function = spawn.record.function
    often = graph.recurrences.of(function)
    name = channel.name
    first = "it may run before the next line" if unit.kind is UnitKind.THREAD else "it runs as soon as this function waits"
    trace = (
        graph.step(function, spawn.record.at, f"`{unit.name}` is started here: {first}"),
        graph.step(use.function, use.at, f"it uses `{name}` at once"),
        graph.step(making.function, making.at, f"and `{name}` is made only here"),
    )
    return Leak(
        graph.program.path(function.module), spawn.record.at, graph.qualname(function),
        {"channel": name, "unit": unit.name, "function": graph.qualname(function) or "the module",
         "growth": grows(graph, often, f"dead {unit.kind.value}", function)},
        Confidence.LIKELY, often.growth, trace, "late",
    )  # fmt: skip
