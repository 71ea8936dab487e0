"""Who may move in a state, and where each move leads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from leaklint.explore.acts import act, leave
from leaklint.explore.flags import is_open
from leaklint.explore.lives import cancel, ended
from leaklint.explore.state import Alarm, Draft, State, Status, UnitState
from leaklint.explore.system import CANCELLED, RETURNED, Act, Outcome, System


class Move(NamedTuple):
    """`outcome`: how the act of the unit ended; None: it waits now, or a time has run out, and the unit has yet to be told."""

    unit: int
    at: int
    outcome: Outcome | None
    state: State


def movable(system: System, state: State) -> list[int]:
    """The units that may make the next move."""
    return [number for number in range(len(system.units)) if _may_move(system, state, number)]


def _may_move(system: System, state: State, number: int) -> bool:
    it, unit = state.units[number], system.units[number]
    if it.at < 0 or it.status is Status.IDLE:
        return False
    if unit.loop is not None and state.running[unit.loop] not in (-1, number):
        return False
    if it.status is not Status.WAITING or it.alarm is not Alarm.NONE:
        return True
    op = unit.points[it.at].op
    return op.timed or op.act is Act.PAUSE


def moves(system: System, state: State, number: int) -> Iterator[Move]:
    """Every move of one unit. Raises OutOfBounds where the system has no room for what it does."""
    it, unit = state.units[number], system.units[number]
    at = it.at
    if it.alarm is not Alarm.NONE and it.status is not Status.READY:
        draft = Draft(state)
        if it.status is Status.NEW:
            _end(system, draft, number, CANCELLED)
            yield Move(number, at, Outcome.CANCELLED, draft.done())
            return
        leave(system, draft, number, unit.points[at].op, it.status)
        draft.units[number] = it._replace(alarm=Alarm.NONE)
        yield from _onward(system, draft.done(), number, Outcome.TIMED_OUT if it.alarm is Alarm.TIMEOUT else Outcome.CANCELLED)
        if it.alarm is Alarm.EARLIER:
            draft = Draft(state)
            draft.units[number] = it._replace(alarm=Alarm.TIMEOUT)
            yield Move(number, at, None, draft.done())
        return
    op = unit.points[at].op
    if op.timed and it.status in (Status.WAITING, Status.WOKEN, Status.GIVEN):
        draft = Draft(state)
        draft.units[number] = it._replace(alarm=Alarm.TIMEOUT)
        yield Move(number, at, None, draft.done())
    if it.status is Status.WAITING and op.act is not Act.PAUSE:
        return
    if op.act is Act.GUESS or is_open(state, op):
        if system.is_bold or (op.act is Act.GUESS and op.value):
            yield from _onward(system, state, number, Outcome.DONE)
        if system.is_bold and Outcome.REFUSED in unit.points[at].ways:
            yield from _onward(system, state, number, Outcome.REFUSED)
        return
    draft = Draft(state)
    woken = it.status if it.status in (Status.WAITING, Status.WOKEN, Status.GIVEN) else None
    outcome = act(system, draft, number, op, woken)
    if outcome is None:
        _wait(system, draft, number)
        yield Move(number, at, None, draft.done())
    else:
        yield from _onward(system, draft.done(), number, outcome)


def _onward(system: System, state: State, number: int, outcome: Outcome) -> Iterator[Move]:
    at, unit = state.units[number].at, system.units[number]
    for target in unit.points[at].after(outcome):
        draft = Draft(state)
        if target < 0:
            _end(system, draft, number, target)
        else:
            draft.units[number] = draft.units[number]._replace(at=target, status=Status.READY, note=0)
            if unit.loop is not None:
                draft.running[unit.loop] = number
        yield Move(number, at, outcome, draft.done())


def _wait(system: System, draft: Draft, number: int) -> None:
    """A cancellation from before goes on to what the unit now waits for."""
    it, unit = draft.units[number], system.units[number]
    draft.units[number] = it._replace(status=Status.WAITING, alarm=Alarm.NONE if it.alarm is Alarm.CANCEL else it.alarm)
    if it.alarm is Alarm.CANCEL:
        if unit.points[it.at].op.timed:
            draft.units[number] = draft.units[number]._replace(alarm=Alarm.EARLIER)
        else:
            cancel(system, draft, number)
    if unit.loop is not None:
        draft.running[unit.loop] = number if unit.points[it.at].op.on in system.blocking else -1


def _end(system: System, draft: Draft, number: int, how: int) -> None:
    """A unit that has ended remembers nothing: states that only differ in that are one. One that returns before a cancellation has reached
    it counts as cancelled."""
    it, unit = draft.units[number], system.units[number]
    draft.units[number] = UnitState(CANCELLED if how == RETURNED and it.alarm is Alarm.CANCEL else how, Status.READY)
    if unit.loop is not None:
        draft.running[unit.loop] = -1
    ended(system, draft, number)
