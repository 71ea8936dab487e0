"""LK104: the receiving side closes the channel under its producers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Gives, Kind
from leaklint.exits.stopping import stopped
from leaklint.finding import Confidence, Leak
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.thrown import types_of
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.paths import handler_names
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows


def closed_by_receiver(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A unit that receives and does not send closes the sending side, while other units may still send."""
    program = graph.program
    for channel in graph.channels:
        if channel.open is not None:
            continue
        if any(a.does is Does.MAKE and a.call.operation.returns == Gives.SELF for o in channel.objects for a in program.on(o)):
            continue  # cloned ends: closing one leaves the others
        for close in channel.closes:
            if any(program.kind(o) is Kind.RECEIVER for o in close.subjects):
                continue  # a receiver that closes its own end wakes the sender
            closers = {r.entry for r in graph.runners(close.function)}
            receivers = {r.entry for a in channel.receives for r in graph.runners(a.function)}
            senders = [(a, r) for a in channel.sends for r in graph.runners(a.function) if r.entry not in closers]
            sending = {r.entry for a in channel.sends for r in graph.runners(a.function)}
            if not closers <= receivers or closers & sending or not senders:
                continue
            left = [
                (a, r.unit)
                for a, r in senders
                if r.unit is not None and stopped(graph, r.unit) is None and not is_handled(graph, a, r.unit.entries)
            ]
            if left and not _is_over(graph, close, left[0][1]):
                yield _leak(graph, channel, close, *left[0])


def is_handled(graph: Graph, send: Action, entries: Iterable[FunctionId]) -> bool:
    """Whether the send stands in a `try` that knows of the close, or a caller of its function does, so that the unit that begins in one of
    `entries` ends in order."""
    place = graph.program.place(send.function, send.site.number)
    around = place.around if place is not None else ()
    names = {name.rpartition(".")[2] for name in send.call.operation.raises}
    for enclosing in around:
        if isinstance(enclosing.stmt, ir.With) and enclosing.block == "body" and _expects(enclosing.stmt, names):
            return True
        if isinstance(enclosing.stmt, ir.Try) and enclosing.block == "body":
            for handler in enclosing.stmt.handlers:
                caught = set(handler_names(handler))
                if caught & names or handler.type is None or caught & {"Exception", "BaseException", "ValueError", "OSError"}:
                    return not _only_continues(handler.body)
    return bool(names) and bool(begins := tuple(entries)) and not any(graph.program.raising.of(entry) & names for entry in begins)


def _expects(block: ir.With, names: set[str]) -> bool:
    """Whether the block is told of the exceptions: `suppress(…)`, `raises(…)`."""
    calls = (item.context for item in block.items if isinstance(item.context, ir.Call))
    told = {word for call in calls for argument in call.arguments for word in types_of(argument.value) or ()}
    return bool(told & (names | {"Exception", "BaseException"}))


def _only_continues(body: tuple[ir.Stmt, ...]) -> bool:
    """A handler after which the sender tries again."""
    return not any(isinstance(s, ir.Return | ir.Raise) or (isinstance(s, ir.Jump) and s.kind == "break") for s in body) and bool(body)


def _is_over(graph: Graph, close: Action, unit: Unit) -> bool:
    """Whether the closing function joins or awaits the producer before it closes."""
    joined = [a for o in unit.handle for a in graph.program.on(o) if a.does is Does.JOIN and a.function == close.function]
    return any(a.at.line <= close.at.line for a in joined)


def _leak(graph: Graph, channel: Channel, close: Action, send: Action, unit: Unit) -> Leak:
    function = close.function
    often = graph.recurrence(spawn.record for spawn in unit.spawns)
    producer = unit.name
    consumer = graph.qualname(function) or "the module"
    start = unit.spawns[0].record
    source = start.function
    trace = (
        graph.step(*channel.made, f"`{channel.name}` is made here"),
        graph.step(source, start.at, f"its producer `{producer}` starts here"),
        graph.step(function, close.at, f"`{consumer}`, which receives, closes it here"),
        graph.step(send.function, send.at, "the producer may still send: it fails here, or what it does about that never ends"),
    )
    return Leak(
        graph.program.path(function.module), close.at, graph.qualname(function),
        {"channel": channel.name, "consumer": consumer, "producer": producer,
         "growth": grows(graph, often, "producer", function)},
        Confidence.LIKELY, often.growth, trace,
    )  # fmt: skip
