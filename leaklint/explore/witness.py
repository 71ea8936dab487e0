"""A schedule that ends with somebody stuck, in words."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.explore.automata import Built
from leaklint.explore.search import Result, stuck_units
from leaklint.explore.state import State, initial
from leaklint.explore.steps import Move, movable, moves
from leaklint.explore.system import Act, Op, Outcome, System
from leaklint.explore.twins import canonical
from leaklint.graph import Graph

MOST_LINES = 24
"""Of a longer schedule the last ones are told."""


def told(graph: Graph, built: Built, result: Result) -> tuple[str, ...]:
    """One line for each step that matters: who does what, and where; at the end who is stuck."""
    moved, last = _replayed(built.system, result.schedule)
    lines = [line for move in moved if (line := _line(graph, built, move)) is not None]
    left = len(lines) - MOST_LINES
    if left > 1:
        lines = [f"after {left} other steps", *lines[left:]]
    return (*lines, *_stuck(graph, built, last))


def _replayed(system: System, schedule: tuple[Move, ...]) -> tuple[list[Move], State]:
    """The same schedule with each twin keeping its number."""
    state, found = initial(system), []
    for wanted in schedule:
        found.append(next(m for n in movable(system, state) for m in moves(system, state, n) if canonical(system, m.state) == wanted.state))
        state = found[-1].state
    return found, state


def _line(graph: Graph, built: Built, move: Move) -> str | None:
    system = built.system
    unit = system.units[move.unit]
    if move.at < 0:
        return None
    point = unit.points[move.at]
    if (step := built.steps.get(point.label)) is None:
        return None
    does = _does(system, point.op, move.outcome)
    if does is None:
        return None
    return f"{_name(system, move.unit)} {does} ({graph.program.path(step.function.module)}:{step.action.at.line})"


def _does(system: System, op: Op, outcome: Outcome | None) -> str | None:
    name = f"`{system.names[op.on]}`" if op.on >= 0 else ""
    if outcome is None:
        return f"waits {_FOR[op.act].format(name=name)}" if op.act in _FOR else None
    if outcome is Outcome.DONE:
        if op.act in (Act.SPAWN, Act.CANCEL, Act.JOIN):
            others = sorted({f"`{system.units[unit].name}`" for unit in op.units})
            return f"{_VERBS[op.act]} {', '.join(others)}"
        return f"{_VERBS[op.act]} {name}" if op.act in _VERBS else None
    return {
        Outcome.REFUSED: f"is refused by {name}" if name else None,
        Outcome.TIMED_OUT: "gives up: its time is over",
        Outcome.CANCELLED: "is cancelled there",
        Outcome.FAILED: "fails with what it waited for",
    }.get(outcome)


_VERBS = {
    Act.SEND: "puts something into",
    Act.TRY_SEND: "puts something into",
    Act.RECEIVE: "takes something from",
    Act.TRY_RECEIVE: "takes something from",
    Act.CLOSE: "closes",
    Act.TASK_DONE: "reports one done to",
    Act.DRAINED: "finds nothing left to do in",
    Act.ACQUIRE: "takes",
    Act.TRY_ACQUIRE: "takes",
    Act.RELEASE: "gives back",
    Act.SET: "sets",
    Act.CLEAR: "clears",
    Act.WAIT: "goes on: somebody set",
    Act.SPAWN: "starts",
    Act.CANCEL: "cancels",
    Act.JOIN: "sees the end of",
}
_FOR = {
    Act.SEND: "for room in {name}",
    Act.RECEIVE: "for something in {name}",
    Act.DRAINED: "until all of {name} is done",
    Act.ACQUIRE: "for {name}",
    Act.WAIT: "for {name}",
}


def _stuck(graph: Graph, built: Built, state: State) -> Iterator[str]:
    for stuck in sorted(stuck_units(built.system, state), key=lambda s: s.unit):
        point = built.system.units[stuck.unit].points[stuck.at]
        if (step := built.steps.get(point.label)) is not None:
            place = f"{graph.program.path(step.function.module)}:{step.action.at.line}"
            yield f"{_name(built.system, stuck.unit)} waits in `{step.action.method}` for ever ({place})"


def _name(system: System, number: int) -> str:
    """The unit, with its number among its twins."""
    unit = system.units[number]
    twins = [n for n, other in enumerate(system.units) if other.twin is not None and other.twin == unit.twin]
    return f"`{unit.name}` {twins.index(number) + 1}" if len(twins) > 1 else f"`{unit.name}`"
