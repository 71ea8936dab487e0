"""Every state that a system can come to, up to a stated bound, and who is stuck for ever in one of them.

The exploration is explicit, over states that are kept, and breadth-first, so that a schedule that is found is a short one. What it does
not follow, because it would change nothing:

* orders of independent moves: where a unit's next act touches nothing that another unit can touch from where it stands, that unit moves
  alone (a persistent set of one; Godefroid, "Partial-Order Methods for the Verification of Concurrent Systems", 1996);
* states that differ only in which of several twins is where (Ip and Dill, "Better Verification Through Symmetry", 1996).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto

from leaklint.explore.flags import OutOfBounds
from leaklint.explore.reach import Reach
from leaklint.explore.state import Alarm, State, Status, initial
from leaklint.explore.steps import Move, movable, moves
from leaklint.explore.system import Act, System
from leaklint.explore.twins import canonical

MOST_STATES = 5_000
"""States explored for one candidate: a count and not a time, so that the answer is the same on every machine."""


class Verdict(Enum):
    STUCK = auto()
    NEVER = auto()  # every state was seen, and in none is anybody stuck
    UNDECIDED = auto()  # there are more states than the bound, or the system has no room


@dataclass(frozen=True, slots=True)
class Stuck:
    """A unit that waits at a point for ever."""

    unit: int
    at: int


@dataclass(frozen=True, slots=True)
class Result:
    """`schedule`: the moves to the state in which the units of `stuck` are stuck. `states` counts what was explored."""

    verdict: Verdict
    states: int
    stuck: frozenset[Stuck] = frozenset()
    schedule: tuple[Move, ...] = ()


def explore(system: System, wanted: frozenset[Stuck] | None = None, most: int = MOST_STATES) -> Result:
    """Look for a state in which a unit is stuck; with `wanted`, one of these."""
    reach = Reach(system)
    start = canonical(system, initial(system))
    came: dict[State, tuple[State, Move] | None] = {start: None}
    todo = deque([start])
    is_complete = True
    while todo:
        state = todo.popleft()
        stuck = stuck_in(system, reach, state)
        if stuck and (wanted is None or stuck & wanted):
            return Result(Verdict.STUCK, len(came), stuck, _schedule(came, state))
        if len(came) > most:
            is_complete = False
            break
        found, is_whole = successors(system, reach, state, came.keys())
        is_complete = is_complete and is_whole
        for target, move in found.items():
            if target not in came:
                came[target] = (state, move)
                todo.append(target)
    return Result(Verdict.NEVER if is_complete else Verdict.UNDECIDED, len(came))


def successors(system: System, reach: Reach, state: State, known: Collection[State]) -> tuple[dict[State, Move], bool]:
    """The states after the moves that are enough, and whether there was room for all of them: those of one unit that is in nobody's way,
    or of all. A unit that would only come round to where it was must not keep the others from moving."""
    able = movable(system, state)
    alone = next((number for number in able if reach.is_alone(state, number)), None)
    if alone is not None and len(able) > 1:
        found, is_whole = _after(system, state, [alone])
        if not any(target in known for target in found):
            return found, is_whole
    return _after(system, state, able)


def _after(system: System, state: State, units: list[int]) -> tuple[dict[State, Move], bool]:
    found: dict[State, Move] = {}
    is_whole = True
    for number in units:
        try:
            for move in moves(system, state, number):
                target = canonical(system, move.state)
                found.setdefault(target, move._replace(state=target))
        except OutOfBounds:
            is_whole = False
    return found, is_whole


def _schedule(came: dict[State, tuple[State, Move] | None], state: State) -> tuple[Move, ...]:
    steps: list[Move] = []
    while (step := came[state]) is not None:
        steps.append(step[1])
        state = step[0]
    return tuple(reversed(steps))


def stuck_units(system: System, state: State) -> frozenset[Stuck]:
    """The units that wait for ever in a state."""
    return stuck_in(system, Reach(system), state)


def stuck_in(system: System, reach: Reach, state: State) -> frozenset[Stuck]:
    """The units that wait and that nobody can wake any more: neither those who may still move, nor what they start. Who shares an event
    loop with one that holds it while it waits does not come to move."""
    stuck = {number for number in range(len(system.units)) if _waits_for_others(system, state, number)}
    if not stuck:
        return frozenset()
    while True:
        held = {n for n, unit in enumerate(system.units) if unit.loop is not None and state.running[unit.loop] in stuck - {n}}
        others = [n for n, it in enumerate(state.units) if it.at >= 0 and it.status is not Status.IDLE and n not in stuck | held]
        saved = {number for number in stuck if reach.may_wake(state, others, number)}
        if not saved:
            return frozenset(Stuck(number, state.units[number].at) for number in stuck)
        stuck -= saved


def _waits_for_others(system: System, state: State, number: int) -> bool:
    """Whether a unit waits, and neither time nor a cancellation that is on its way ends that."""
    it = state.units[number]
    if it.at < 0 or it.status is not Status.WAITING or it.alarm is not Alarm.NONE:
        return False
    op = system.units[number].points[it.at].op
    return not op.timed and op.act is not Act.PAUSE
