"""LK101: a stop that waits for room to say so, where only those whom it stops make room."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, Waits
from leaklint.exits.endings import leaving_tests
from leaklint.exits.sentinels import data_names, sends_of
from leaklint.finding import Confidence, Leak, Step
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import expressions, scope_names, subexpressions, target_names, walk
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.paths import is_endless
from leaklint.queries.outlived import Consumption, consumptions, is_many
from leaklint.queries.wording import grows


@dataclass(frozen=True, slots=True)
class _Reader:
    """Who alone makes room: a unit that runs `work`, which code out of sight has given it; or (None) whoever calls the receiving method."""

    unit: Unit | None
    function: FunctionId
    at: ir.Span


def last_words(graph: Graph) -> Iterator[Leak]:
    """A send of the end, in a method that code out of sight calls, which waits while a bounded channel is full, and others fill that. It is
    emptied by those callers alone, or by a unit that runs their callbacks: one that never returns, or calls the stop, keeps it full."""
    for channel in graph.channels:
        if channel.open is not None or not channel.capacity or channel.closes or len(channel.sends) < 2:
            continue
        words = _words(graph, channel)
        others = [a for a in channel.sends if a not in words]
        reader = _reader(graph, channel) if words and others else None
        for word in words:
            if reader is not None and _is_called_from_outside(graph, word) and not _looks(graph, channel, word, reader):
                yield _leak(graph, channel, word, others[0], reader)
                break


def _words(graph: Graph, channel: Channel) -> list[Action]:
    """The sends of the end that wait without a bound."""
    found = {send for receive in channel.receives for send in _ends_for(graph, channel, receive)}
    return [a for a in channel.sends if a in found and a.waits is Waits.WHILE_FULL and graph.program.blocks(a) and not a.deferred]


def _ends_for(graph: Graph, channel: Channel, receive: Action) -> Iterator[Action]:
    """The sends of what the receiving function takes for the end."""
    body = graph.program.node(receive.function).body
    whole = ir.While(ir.Constant("bool", "True"), body, (), receive.at)
    received, _ = data_names(whole, receive.site.number)
    for test in leaving_tests(body, received):
        yield from sends_of(channel, test, received)
        if any(isinstance(e, ir.Call) and e.function == ir.Name("isinstance") for e in subexpressions(test)):
            yield from (a for a in channel.sends if _is_constant(a.call.given.get(a.call.operation.value or "")))


def _is_constant(value: ir.Expr | None) -> bool:
    """Whether a name says, as is the custom, that it always stands for the same."""
    match value:
        case ir.Name(id=name) | ir.Attribute(name=name):
            return name.isupper()
        case _:
            return False


# --- who makes room


def _reader(graph: Graph, channel: Channel) -> _Reader | None:
    program = graph.program
    taking = [a for a in channel.receives if a.waits is not None]
    runners = [r for a in taking for r in graph.runners(a.function)]
    if not taking or len(taking) < len(channel.receives):
        return None  # somebody empties it without waiting
    if all(r.unit is None and r.entry in program.openness.callable for r in runners):
        return _Reader(None, taking[0].function, taking[0].at)
    loops = {id(c.loop): c for a in taking for c in consumptions(graph, a)}
    if len(loops) != 1 or any(r.unit is None or is_many(graph, r) for r in runners):
        return None
    (consumption,) = loops.values()
    given = _work_of_others(graph, channel, consumption) if _is_endless(consumption) else None
    return _Reader(runners[0].unit, *given) if given is not None else None


def _is_endless(consumption: Consumption) -> bool:
    return isinstance(consumption.loop, ir.While) and is_endless(consumption.loop.test)


def _work_of_others(graph: Graph, channel: Channel, consumption: Consumption) -> tuple[FunctionId, ir.Span] | None:
    """A call, in the loop or below it, of what code out of sight has given: through the channel, or in another way."""
    program, here = graph.program, consumption.function
    calls = list(_calls(consumption.loop.body))
    items = _items(consumption) if any(_is_given(graph, a) for a in channel.sends) else frozenset[str]()
    for call in calls:
        if isinstance(call.function, ir.Name) and call.function.id in items:
            return here, call.at
    below = program.reached({c for call in calls for c in program.state.callees.get(here.site(call.site), ())})
    for function in (here, *sorted(below - {here})):
        own = _locals(graph, function)
        for call in calls if function == here else _calls(program.node(function).body):
            site = function.site(call.site)
            unseen = not program.state.callees.get(site) and not program.at(site) and not program.called(site)
            if unseen and isinstance(call.function, ir.Name) and call.function.id in own:
                return function, call.at
    return None


def _calls(body: tuple[ir.Stmt, ...]) -> Iterator[ir.Call]:
    return (e for s in walk(body) for x in expressions(s) for e in subexpressions(x) if isinstance(e, ir.Call))


def _is_given(graph: Graph, send: Action) -> bool:
    """Whether a send passes on what code out of sight has called its function with."""
    program = graph.program
    value = send.call.given.get(send.call.operation.value or "")
    names = {e.id for e in subexpressions(value) if isinstance(e, ir.Name)} if value is not None else set()
    given = names & {p.name for p in program.node(send.function).parameters}
    return bool(given) and any(one in program.openness.callable for one in program.versions(send.function))


def _items(consumption: Consumption) -> frozenset[str]:
    """The names of what was received, and of its parts."""
    received, _ = data_names(consumption.loop, consumption.site)
    binds = [s for s in walk(consumption.loop.body) if isinstance(s, ir.Bind)]
    parts = {n for s in binds if isinstance(s.value, ir.Name) and s.value.id in received for t in s.targets for n in target_names(t)}
    return received | parts


def _locals(graph: Graph, function: FunctionId) -> frozenset[str]:
    """The names of a function's own: parameters, and what its body assigns."""
    node = graph.program.node(function)
    bound = {name for s in walk(node.body) if isinstance(s, ir.Bind) for t in s.targets for name in target_names(t)}
    bound |= {name for s in walk(node.body) if isinstance(s, ir.For) for name in target_names(s.target)}
    return frozenset(bound | {p.name for p in node.parameters}) - frozenset(scope_names(node.body, "global", "nonlocal"))


# --- who says the end


def _is_called_from_outside(graph: Graph, word: Action) -> bool:
    program = graph.program
    return any(r.unit is None and r.entry in program.openness.callable for r in graph.runners(word.function))


def _looks(graph: Graph, channel: Channel, word: Action, reader: _Reader) -> bool:
    """Whether the stop looks first: whether there is room, or whether the reader still is at work."""
    about = channel.objects | (reader.unit.handle if reader.unit is not None else frozenset())
    actions = graph.program.actions_in(word.function)
    return any(a.does in (Does.OBSERVE, Does.RECEIVE) and a.subjects & about for a in actions)


def _leak(graph: Graph, channel: Channel, word: Action, other: Action, reader: _Reader) -> Leak:
    often = graph.recurrences.of(word.function)
    name = graph.qualname(word.function)
    trace: list[Step] = [
        graph.step(*channel.made, f"`{channel.name}` is made here, bounded"),
        graph.step(other.function, other.at, f"`{graph.qualname(other.function)}` fills it here"),
    ]
    if reader.unit is None:
        who = "its own callers make room"
        trace.append(graph.step(reader.function, reader.at, "only callers of this make room, and nobody does when they stop reading"))
    else:
        who = f"`{reader.unit.name}` makes room, and it runs callbacks given from outside"
        start = reader.unit.spawns[0].record
        trace.append(graph.step(start.function, start.at, f"only `{reader.unit.name}`, started here, makes room"))
        trace.append(graph.step(reader.function, reader.at, "there it runs a callback, which may never return, or ask for the end itself"))
    trace.append(graph.step(word.function, word.at, f"the end then waits in `{word.method}` for ever"))
    return Leak(
        graph.program.path(word.function.module), word.at, name,
        {"channel": channel.name, "operation": word.method, "unit": name, "reader": who,
         "growth": grows(graph, often, "waiting caller", word.function)},
        Confidence.LIKELY, often.growth, tuple(trace), "stop", blocked=(trace[-1],),
    )  # fmt: skip
