"""LK302: the losers of a first-of-many wait are left running."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, Waits
from leaklint.exits.leaving import named
from leaklint.exits.sweeps import Sweeps
from leaklint.finding import Confidence, Growth, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.units import Unit
from leaklint.link.values import Coroutine, FunctionId, Pending
from leaklint.queries.ending import ends_by_itself
from leaklint.queries.interrupted import is_left_when_cancelled
from leaklint.queries.query import NoOptions
from leaklint.queries.race import ENDS, Race
from leaklint.queries.wording import grows


def left_pending(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A wait that can return before all are done, over tasks made for it, and a way on from it on which nobody cancels or awaits one."""
    program, sweeps = graph.program, Sweeps(graph)
    for action in program.actions:
        if action.does is not Does.WAIT or action.function not in program.live or not action.call.operation.subject:
            continue
        if not (action.waits is Waits.UNTIL_FIRST or (action.bounded and action.waits is Waits.UNTIL_DONE)):
            continue
        if graph.ends_with_main(action.function) or _ends_with_process(graph, action) or (_is_for_one(action) and action.bounded):
            continue  # what is waited for alone, and for a time, is meant to go on after that, or else `wait_for` would do
        entered = tuple(_made_for(graph, action))
        if entered and sweeps.follow(action.function):
            continue
        lasting = [(unit, birth) for unit, birth in entered if not ends_by_itself(graph, unit, action)]
        races = [Race(graph, action, unit, birth, entered) for unit, birth in lasting]
        if losers := [race.unit for race in races if not _is_for_one(action) and race.leaves_it()]:
            yield _leak(graph, action, losers, "default" if action.waits is Waits.UNTIL_FIRST else "late")
        elif losers := [race.unit for race in races if is_left_when_cancelled(race)]:
            yield _leak(graph, action, losers, "cancelled")


def _ends_with_process(graph: Graph, action: Action) -> bool:
    """Whether what the wait leaves behind is left once in the life of a process that is about to end."""
    return graph.ends_with_process(action.function) and graph.recurrence([action.call.record]).growth is not Growth.PER_ITERATION


def _is_for_one(action: Action) -> bool:
    """Whether the wait is for one thing, which then cannot lose."""
    match action.call.given.get(action.call.operation.subject or ""):
        case ir.Display(items=(one,)):
            return not isinstance(one, ir.Starred)
        case _:
            return False


def _made_for(graph: Graph, action: Action) -> Iterator[tuple[Unit, int]]:
    """The units that are made for this wait and that nobody else has, each with the place in the function where it comes from."""
    program = graph.program
    inside = program.reached([action.function])
    for unit in program.units:
        made = unit.made
        if made is None or made.record.function not in inside:
            continue
        if made is action.call and not _gives_back(action) and any(isinstance(program.value(o), Coroutine) for o in made.entries):
            if not any(
                program.kind(o) is Kind.TASK for o in action.subjects - unit.handle
            ):  # else it is given tasks that a helper has made
                yield unit, action.site.number
            continue
        if not unit.handle & action.subjects or _has_an_owner(graph, unit, action, inside):
            continue
        if made.record.function == action.function:
            yield unit, made.record.site.number
        else:
            births = list(_calls_that_give(graph, action.function, unit))
            if len(births) == 1:
                yield unit, births[0]


def _gives_back(action: Action) -> bool:
    """Whether the wait returns sets of what it is given: it takes tasks only, a bare coroutine is an error."""
    return not isinstance(action.call.operation.returns, str)


def _calls_that_give(graph: Graph, function: FunctionId, unit: Unit) -> Iterator[int]:
    """The calls in a function whose result is or holds the unit."""
    program = graph.program
    for record in program.state.calls:
        called = record.function == function and record.by is None and program.state.callees.get(record.site)
        if called and program.elements(program.holds(record.result)) & unit.handle:
            yield record.site.number


def _has_an_owner(graph: Graph, unit: Unit, action: Action, inside: frozenset[FunctionId]) -> bool:
    """Whether somebody else ends or keeps the unit: its group, an object, code out of sight, a callback, another function."""
    program = graph.program
    made = unit.made
    if made is not None and made.subject is not None and program.kind(made.subject) in (Kind.GROUP, Kind.EXECUTOR):
        return True
    for obj in unit.handle:
        if program.opened(obj) is not None or program.kind(obj) not in (Kind.TASK, Kind.FUTURE) or obj in program.kept_on_objects:
            return True
        for other in program.on(obj):
            elsewhere = other.function not in inside or other.call.record.by is not None
            if elsewhere and other.does in ENDS and other.function in program.live:
                return True
    return False


def _leak(graph: Graph, action: Action, losers: list[Unit], variant: str) -> Leak:
    program = graph.program
    often = graph.recurrence([action.call.record])
    names = sorted({_name(graph, unit) for unit in losers})
    made = [(_name(graph, unit), unit.made.record) for unit in losers if unit.made is not None]
    spawns = list({(record.site, name): (name, record) for name, record in made}.values())[:3]
    trace = (
        *(graph.step(record.function, record.at, f"`{name}` starts here, for this wait") for name, record in spawns),
        *(graph.step(action.function, action.at, message) for message in _ways(variant)),
    )
    return Leak(
        program.path(action.function.module), action.at, graph.qualname(action.function),
        {"operation": action.method, "unit": ", ".join(names[:3]), "growth": grows(graph, often, "task", action.function)},
        Confidence.LIKELY, often.growth, trace, variant,
    )  # fmt: skip


def _name(graph: Graph, unit: Unit) -> str:
    """The function that the unit runs, or the operation of a library."""
    program = graph.program
    values = [program.value(o) for o in unit.made.entries] if unit.made is not None and not unit.entries else []
    runs = {named(graph, a) for value in values if isinstance(value, Pending) for a in program.at(value.site)}
    return ", ".join(sorted(runs)) or unit.name


def _ways(variant: str) -> tuple[str, str]:
    """What happens at the wait, and what nobody does about it."""
    if variant == "cancelled":
        return (
            "a cancellation may arrive here, and the wait passes it on to none of them",
            "nothing on the way out cancels those that are not done: what comes next goes to a task that nobody reads",
        )
    return (
        "the wait returns before all of them are done",
        "there is a way on from here on which nothing cancels or awaits those that are not",
    )
