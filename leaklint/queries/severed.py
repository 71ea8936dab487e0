"""LK108: a channel is closed and somebody sends after that, or may."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Gives, Kind, UnitKind
from leaklint.exits.stopping import stopped
from leaklint.finding import Confidence, Leak, Step
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.flow.state import LibraryCall
from leaklint.link.places import Enclosing
from leaklint.link.syntax import meant, subexpressions, walk
from leaklint.link.units import Unit
from leaklint.paths import EXCEPTIONAL, Choices, Edge, Facts, Node, is_endless
from leaklint.queries.closing import is_handled
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows, kind_of

_UNITS = frozenset({UnitKind.TASK, UnitKind.THREAD})
_WAITS = frozenset({Does.WAIT, Does.JOIN, Does.ACQUIRE})
_MOST = 20_000
"""Steps of a search after which a function counts as too tangled to judge."""


def severed(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """One finding for each close after which a send comes in the same function, or may come from a sibling, from what a block has started,
    or from a producer that nobody has stopped."""
    told: set[tuple[tuple[int, int], int]] = set()
    for channel in graph.channels:
        if _is_cloned(graph, channel):
            continue
        for close in channel.closes:
            key = (close.function.source, close.site.number)
            if key in told or not _closes_for_senders(graph, close):
                continue
            leak = (
                _by_itself(graph, channel, close)
                or _by_sibling(graph, channel, close)
                or _by_block(graph, channel, close)
                or _by_owner(graph, channel, close)
            )
            if leak is not None:
                told.add(key)
                yield leak


def _is_cloned(graph: Graph, channel: Channel) -> bool:
    """Whether there are several handles of one end: closing one leaves the others."""
    return any(a.does is Does.MAKE and a.call.operation.returns == Gives.SELF for o in channel.objects for a in graph.program.on(o))


def _closes_for_senders(graph: Graph, close: Action) -> bool:
    if not close.call.operation.wakes or close.call.record.by is not None or close.deferred:
        return False
    return not any(graph.program.kind(o) in (Kind.RECEIVER, Kind.ENDPOINT) for o in close.subjects)


# --- the same function goes on sending


def _by_itself(graph: Graph, channel: Channel, close: Action) -> Leak | None:
    """A send on a way from the close on, through the same name, which is given nothing new in between."""
    function = close.function
    name = _named(graph, close)
    sends = {a.site.number: a for a in channel.sends if a.function == function and a.call.record.by is None and _named(graph, a) == name}
    if name is None or not sends:
        return None
    paths = graph.paths(function)
    choices = Choices(graph.program.node(function), paths, lambda _: False)
    closes = {id(node) for node in paths.of(close.site.number) if close.method != "__exit__" or node.kind == "exit"}
    todo: list[tuple[Node, Facts, bool]] = [(paths.entry, frozenset(), False)]
    seen: set[tuple[int, Facts, bool]] = set()
    while todo and len(seen) < _MOST:
        node, facts, closed = todo.pop()
        if (id(node), facts, closed) in seen:
            continue
        seen.add((id(node), facts, closed))
        if closed:
            for number in node.sites():
                if number in sends and not is_handled(graph, sends[number], ()):
                    return _leak(graph, channel, close, sends[number], None, "itself")
            closed = not _binds(node, name)
        for edge, target, known in choices.onward(node, facts):
            if edge not in EXCEPTIONAL:
                todo.append((target, known, closed or id(node) in closes))
    return None


def _named(graph: Graph, action: Action) -> ir.Expr | None:
    """The name or attribute of a name through which the operation is done."""
    call = action.call.record.node
    if call is None or not isinstance(call.function, ir.Attribute):
        return None
    match meant(graph.program.node(action.function), call.function.base):
        case ir.Name() | ir.Attribute(base=ir.Name()) as base:
            return base
        case _:
            return None


def _binds(node: Node, name: ir.Expr) -> bool:
    root = name.base if isinstance(name, ir.Attribute) else name
    match node.stmt:
        case ir.Bind(targets=targets):
            flat = [one for target in targets for one in subexpressions(target)]
        case ir.For(target=target) if node.kind == "step":
            flat = list(subexpressions(target))
        case ir.With(items=items) if node.kind == "enter":
            flat = [one for item in items if item.target is not None for one in subexpressions(item.target)]
        case _:
            return False
    return any(one in (name, root) for one in flat) and not (
        isinstance(name, ir.Attribute) and root in flat and name not in flat and _is_self(root)
    )


def _is_self(root: ir.Expr) -> bool:
    return root == ir.Name("self")


# --- a sibling goes on sending


def _by_sibling(graph: Graph, channel: Channel, close: Action) -> Leak | None:
    """A unit closes at its end what another of its kind, or one that was started beside it, still sends to."""
    if not _is_sure(graph, close) or _waits_before(graph, close):
        return None
    for unit in _units(graph, close):
        if close.function not in unit.entries or channel.made[0] in graph.program.reached(unit.entries):
            continue
        for send in channel.sends:
            for other in _units(graph, send):
                beside = _is_one_of_many(graph, channel, unit) if other is unit else _is_beside(graph, channel, unit, other)
                if beside and not is_handled(graph, send, other.entries):
                    return _leak(graph, channel, close, send, other, "sibling" if other is unit else "default")
    return None


def _is_sure(graph: Graph, close: Action) -> bool:
    """Whether the close always comes: it stands under no condition."""
    place = graph.program.place(close.function, close.site.number)
    return place is not None and not place.loops and all(_is_passed(e) for e in place.around)


def _is_passed(one: Enclosing) -> bool:
    return isinstance(one.stmt, ir.With) or (isinstance(one.stmt, ir.Try) and one.block in ("body", "final"))


def _waits_before(graph: Graph, close: Action) -> bool:
    """Whether the function waits for something before it closes: it may be the end of the others."""
    place = graph.program.place(close.function, close.site.number)
    around = {item.site for e in place.around if isinstance(e.stmt, ir.With) for item in e.stmt.items} if place is not None else set()
    waits = [a for a in graph.program.actions_in(close.function) if a.does in _WAITS and a.waits is not None and a.call.record.by is None]
    return any(
        not _is_pause(a) and a.site.number not in around and (close.method == "__exit__" or a.at.line <= close.at.line) for a in waits
    )


def _is_pause(action: Action) -> bool:
    """Whether it waits for nobody: a sleep."""
    return not action.subjects and action.bounded


def _units(graph: Graph, action: Action) -> list[Unit]:
    units = [r.unit for r in graph.runners(action.function) if r.unit is not None and r.unit.kind in _UNITS and r.unit.spawns]
    return list(dict.fromkeys(units))


def _is_one_of_many(graph: Graph, channel: Channel, unit: Unit) -> bool:
    """Whether several of the unit share the channel: they are started in a loop that does not make it."""
    program = graph.program
    for spawn in unit.spawns:
        function = spawn.record.function
        place = program.place(function, spawn.record.site.number)
        if place is None or not (place.loops or place.in_comprehension):
            continue
        made, at = channel.made
        own = made.index and program.node(made).name == "__init__" and program.class_of(made) == program.class_of(function) is not None
        if made.index == 0 or own:
            return not any(_goes_over(graph, channel, spawn, loop) for loop in place.loops)
        if made == function and not any(_is_in(at, loop) for loop in place.loops):
            return True
    return False


def _goes_over(graph: Graph, channel: Channel, spawn: LibraryCall, loop: ir.While | ir.For) -> bool:
    names = [e.id for e in subexpressions(loop.target) if isinstance(e, ir.Name)] if isinstance(loop, ir.For) else []
    return bool(graph.program.local_objects(spawn.record.function, names) & channel.objects)


def _is_in(at: ir.Span, loop: ir.While | ir.For) -> bool:
    return (loop.at.line, loop.at.column) <= (at.line, at.column) and (at.end_line, at.end_column) <= (loop.at.end_line, loop.at.end_column)


def _is_beside(graph: Graph, channel: Channel, unit: Unit, other: Unit) -> bool:
    """Whether both are started by one function, and nobody has waited for the other in between."""
    pairs = [(a.record, b.record) for a in unit.spawns for b in other.spawns if a.record.function == b.record.function]
    if not pairs or unit.entries == other.entries:
        return False
    joins = [a for o in other.handle for a in graph.program.on(o) if a.does in (Does.JOIN, Does.WAIT)]
    return not any(join.function == ours.function and join.at.line <= ours.at.line for ours, _ in pairs for join in joins)


# --- what a block has started goes on sending


def _by_block(graph: Graph, channel: Channel, close: Action) -> Leak | None:
    """The block that closes the channel starts a unit and ends without having waited for it."""
    if close.method != "__exit__":
        return None
    program, function = graph.program, close.function
    for send in channel.sends:
        for unit in _units(graph, send):
            for spawn in unit.spawns:
                if spawn.record.function != function or function in unit.entries or stopped(graph, unit) is not None:
                    continue
                place = program.place(function, spawn.record.site.number)
                inside = _inside(place.around, close) if place is not None else None
                if inside is None or _is_joined_in(graph, spawn, inside) or is_handled(graph, send, unit.entries):
                    continue
                if not _waits_on(graph, spawn, close):
                    return _leak(graph, channel, close, send, unit, "block")
    return None


def _inside(around: tuple[Enclosing, ...], close: Action) -> tuple[Enclosing, ...] | None:
    """What stands between the block that closes and a place in it; None for a place that is not in it."""
    for depth, one in enumerate(around):
        if isinstance(one.stmt, ir.With) and one.block == "body" and any(item.site == close.site.number for item in one.stmt.items):
            later = one.stmt.items[[item.site for item in one.stmt.items].index(close.site.number) + 1 :]
            return (*([Enclosing(_only(one.stmt, later), "body")] if later else []), *around[depth + 1 :])
    return None


def _only(block: ir.With, items: tuple[ir.WithItem, ...]) -> ir.With:
    return ir.With(items, block.body, block.is_async, block.at)


def _is_joined_in(graph: Graph, spawn: LibraryCall, inside: tuple[Enclosing, ...]) -> bool:
    """Whether a block further in waits for the unit: the group that it belongs to."""
    items = (item for one in inside if isinstance(one.stmt, ir.With) and one.block == "body" for item in one.stmt.items)
    entered = {o for item in items for a in graph.program.at(spawn.record.function.site(item.site)) for o in a.subjects}
    return spawn.subject is not None and spawn.subject in entered


def _waits_on(graph: Graph, spawn: LibraryCall, close: Action) -> bool:
    """Whether the block waits for anything between the start of the unit and its end, be it at a `yield`."""
    function = close.function
    paths = graph.paths(function)
    ends = {id(node) for node in paths.of(close.site.number) if node.kind == "exit"}
    todo = [target for node in paths.of(spawn.record.site.number) for edge, target in node.successors if edge not in EXCEPTIONAL]
    seen: set[int] = set()
    while todo:
        node = todo.pop()
        if id(node) in seen or id(node) in ends:
            continue
        seen.add(id(node))
        if any(edge in (Edge.CANCEL, Edge.CLOSE) for edge, _ in node.successors) or node.exit_kind is not None:
            return True
        if any(a.waits is not None for number in node.sites() for a in graph.program.at(function.site(number))):
            return True
        todo += [target for edge, target in node.successors if edge not in EXCEPTIONAL]
    return False


# --- the owner closes under a producer


def _by_owner(graph: Graph, channel: Channel, close: Action) -> Leak | None:
    """Who neither sends nor receives closes the channel, and has neither ended a producer that sends in a loop nor waited for it."""
    if channel.open is not None or close.method == "__exit__" or _waits_before(graph, close):
        return None
    closers = {r.entry for r in graph.runners(close.function)}
    if closers & {r.entry for a in channel.receives for r in graph.runners(a.function)}:
        return None
    for send in channel.sends:
        for unit in _units(graph, send):
            if closers & set(unit.entries) or stopped(graph, unit) is not None or is_handled(graph, send, unit.entries):
                continue
            if _never_asks(graph, send):
                return _leak(graph, channel, close, send, unit, "default")
    return None


def _never_asks(graph: Graph, send: Action) -> bool:
    """Whether the send stands in a loop that nothing but its own data ends."""
    place = graph.program.place(send.function, send.site.number)
    if place is None or not place.loops:
        return False
    loop = place.loops[-1]
    leaves = any(isinstance(s, ir.Return) or (isinstance(s, ir.Jump) and s.kind == "break") for s in walk(loop.body))
    return not leaves and (isinstance(loop, ir.For) or is_endless(loop.test))


# --- for people


def _leak(graph: Graph, channel: Channel, close: Action, send: Action, unit: Unit | None, variant: str) -> Leak:
    function = close.function
    often = graph.recurrence(spawn.record for spawn in unit.spawns) if unit is not None else graph.recurrences.of(function)
    closer = graph.qualname(function) or "the module"
    producer = unit.name if unit is not None else closer
    name = min(graph.program.describe(o) for o in close.subjects)
    trace: list[Step] = [graph.step(*channel.made, f"`{name}` is made here")]
    if unit is not None:
        start = unit.spawns[0].record
        several = "several of" if variant == "sibling" else ""
        trace.append(
            graph.step(start.function, start.at, f"{several} `{producer}` start here".strip() if several else f"`{producer}` starts here")
        )
    trace.append(graph.step(function, close.at, _closed(variant, closer)))
    after = (
        "this sends all the same, and fails" if variant == "itself" else "a send that comes later fails, and what was to be sent is lost"
    )
    trace.append(graph.step(send.function, send.at, after))
    return Leak(
        graph.program.path(function.module), close.at, graph.qualname(function),
        {"channel": name, "closer": closer, "producer": producer,
         "growth": grows(graph, often, f"failed {kind_of(unit)}", function)},
        Confidence.LIKELY, often.growth, tuple(trace), variant,
    )  # fmt: skip


def _sent(variant: str) -> str:
    return "this sends all the same, and fails" if variant == "itself" else "a send that comes later fails, and what was to be sent is lost"


def _closed(variant: str, closer: str) -> str:
    match variant:
        case "sibling":
            return "the first of them to come here closes it for all"
        case "block":
            return "this block closes it at its end, and has not waited for what it started"
        case "itself":
            return "it is closed here"
        case _:
            return f"`{closer}` closes it here, and has neither ended the producer nor waited for it"
