"""LK101: a block that hands out the end to receive from, and when it is left waits for the one who sends."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, Waits
from leaklint.exits.stopping import is_cancel_of
from leaklint.exits.ways import first_reached
from leaklint.finding import Confidence, Leak
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import subexpressions, walk
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.paths import EXCEPTIONAL, Node
from leaklint.queries.wording import grows

_FREES = frozenset({Does.CLOSE, Does.RECEIVE})


def left_blocks(graph: Graph) -> Iterator[Leak]:
    """A generator that makes a `with` block makes a bounded channel, starts in a group who sends to it, and yields the other end. Who got
    that end has gone when the block is left, and the end of the group waits for a send that nobody takes: unless the rest of the generator
    cancels the group, closes an end or takes what is left."""
    program = graph.program
    for channel in graph.channels:
        function = channel.made[0]
        if not channel.bounded or function.source not in program.blocks_written_as_generators:
            continue
        yields = [node for node in graph.paths(function).nodes if _hands_out(graph, channel, function, node)]
        for send, unit, group in _senders(graph, channel, function) if yields else ():
            block = _block_of(graph, function, group)
            if block is not None and (given := _unfreed(graph, channel, function, yields, unit, group, block)) is not None:
                yield _leak(graph, channel, send, unit, given, block)
                break


def _hands_out(graph: Graph, channel: Channel, function: FunctionId, node: Node) -> bool:
    """Whether the node yields the end to receive from, and not the one to send to."""
    program = graph.program
    given = [e.value for part in node.parts for e in subexpressions(part) if isinstance(e, ir.Yield) and e.value is not None]
    names = {e.id for value in given for e in subexpressions(value) if isinstance(e, ir.Name)}
    handed = program.elements(program.local_objects(function, names)) & channel.objects
    return bool(handed) and all(program.kind(o) is not Kind.SENDER for o in handed)


def _senders(graph: Graph, channel: Channel, function: FunctionId) -> Iterator[tuple[Action, Unit, int]]:
    """The sends that wait, each with the unit that does it and the group of the function in which that was started."""
    for send in channel.sends:
        if send.waits is not Waits.WHILE_FULL or not graph.program.blocks(send):
            continue
        for runner in graph.runners(send.function):
            for spawn in runner.unit.spawns if runner.unit is not None else ():
                group = spawn.subject
                if group is not None and graph.program.kind(group) is Kind.GROUP and spawn.record.function == function and runner.unit:
                    yield send, runner.unit, group


def _block_of(graph: Graph, function: FunctionId, group: int) -> ir.With | None:
    """The block at whose end the function waits for the group."""
    for stmt in walk(graph.program.node(function).body):
        items = stmt.items if isinstance(stmt, ir.With) else ()
        if any(group in a.subjects for item in items for a in graph.program.at(function.site(item.site))):
            return stmt if isinstance(stmt, ir.With) else None
    return None


def _unfreed(
    graph: Graph, channel: Channel, function: FunctionId, yields: list[Node], unit: Unit, group: int, block: ir.With
) -> Node | None:
    """The yield from which a way that raises nothing leads to the end of the group, and nothing on it frees the unit."""
    program = graph.program

    def frees(action: Action) -> bool:
        if action.does is Does.CANCEL:
            return bool(action.subjects & unit.handle) or is_cancel_of(graph, action, group)
        return action.does in _FREES and bool(action.subjects & channel.objects)

    def stops(node: Node) -> bool:
        sites = [function.site(number) for number in node.sites()]
        below = program.reached({callee for site in sites for callee in program.state.callees.get(site, ())})
        actions = [a for site in sites for a in program.at(site)] + [a for one in below for a in program.actions_in(one)]
        return any(frees(a) for a in actions)

    def is_end(node: Node) -> bool:
        return node.kind == "exit" and node.stmt is block and not stops(node)

    for given in yields:
        starts = [target for edge, target in given.successors if edge not in EXCEPTIONAL]
        if first_reached(starts, is_end, stops, lambda _, edge: edge not in EXCEPTIONAL) is not None:
            return given
    return None


def _leak(graph: Graph, channel: Channel, send: Action, unit: Unit, given: Node, block: ir.With) -> Leak:
    function = channel.made[0]
    often = graph.recurrences.of(function)
    start = unit.spawns[0].record
    size = "unbuffered" if channel.capacity == 0 else "bounded"
    at = getattr(given.stmt, "at", block.at)
    trace = (
        graph.step(*channel.made, f"`{channel.name}` is made here, {size}"),
        graph.step(start.function, start.at, f"`{unit.name}`, which sends to it, starts here"),
        graph.step(function, at, "the end to receive from is handed out here; who has it has gone when this goes on"),
        graph.step(function, block.at, f"leaving this block waits for `{unit.name}`, and nothing cancels it or closes an end before"),
        graph.step(send.function, send.at, f"it waits here in `{send.method}` for ever, and so does the end of the block"),
    )  # fmt: skip
    return Leak(
        graph.program.path(send.function.module), send.at, graph.qualname(send.function),
        {"channel": channel.name, "operation": send.method, "unit": unit.name, "reader": graph.qualname(function),
         "growth": grows(graph, often, "task", function)},
        Confidence.LIKELY, often.growth, trace, "block", blocked=trace[-1:],
    )  # fmt: skip
