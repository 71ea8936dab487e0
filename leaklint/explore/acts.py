"""What each act does to the resources of a system, and when the one who does it must wait.

The order in which those who wait are woken, what a cancelled one hands on to the next, and when an act gives way at all are those of
`asyncio` (Python 3.13: `queues`, `locks`, `tasks`); threads differ in that a free lock goes to whoever comes first.
"""

from __future__ import annotations

from leaklint.explore.flags import MOST_ITEMS, OutOfBounds, on_flag, told
from leaklint.explore.lives import on_units
from leaklint.explore.state import ChannelState, Draft, EventState, LockState, Status
from leaklint.explore.system import (
    ALL,
    Act,
    Barrier,
    Channel,
    Condition,
    Lock,
    Op,
    Outcome,
    System,
)


def act(system: System, draft: Draft, unit: int, op: Op, woken: Status | None) -> Outcome | None:
    """Do it; None: it must wait, and is enlisted where it will be woken. `woken` is how it was, when it has waited already."""
    match op.act:
        case Act.CHOOSE:
            return Outcome.DONE
        case Act.PAUSE:
            return None if woken is None else Outcome.DONE
        case Act.SEND | Act.TRY_SEND | Act.RECEIVE | Act.TRY_RECEIVE | Act.CLOSE | Act.TASK_DONE | Act.DRAINED | Act.IS_EMPTY:
            return _on_channel(system, draft, unit, op, woken)
        case Act.ACQUIRE | Act.TRY_ACQUIRE | Act.RELEASE | Act.IS_HELD:
            return _on_lock(system, draft, unit, op, woken)
        case Act.WAIT | Act.SET | Act.CLEAR | Act.IS_SET | Act.LISTEN | Act.NOTIFY:
            return _on_event(system, draft, unit, op, woken)
        case Act.ASSIGN | Act.ADD | Act.TAKE | Act.EQUALS | Act.LESS | Act.IS_TRUE | Act.RECEIVED:
            return on_flag(draft, unit, op)
        case _:
            return on_units(system, draft, unit, op, woken)


def leave(system: System, draft: Draft, unit: int, op: Op, woken: Status) -> None:
    """The wait of a unit is over before what it waited for: what it was woken for goes to the next."""
    state = draft.resources[op.on] if op.on >= 0 else None
    match op.act, state:
        case Act.RECEIVE, ChannelState():
            draft.resources[op.on] = state._replace(getters=_without(state.getters, unit))
            if woken is Status.WOKEN and state.items:
                _wake_getter(draft, op.on)
        case Act.SEND, ChannelState():
            draft.resources[op.on] = state._replace(putters=_without(state.putters, unit))
            if woken is Status.WOKEN and not _is_full(system.resources[op.on], state):
                _wake_putter(draft, op.on)
        case Act.DRAINED, ChannelState():
            draft.resources[op.on] = state._replace(joiners=_without(state.joiners, unit))
        case Act.ACQUIRE, LockState():
            draft.resources[op.on] = state._replace(waiters=_without(state.waiters, unit))
            if woken is Status.GIVEN:
                _release(system, draft, op.on)
        case _, EventState():
            draft.resources[op.on] = state._replace(waiters=_without(state.waiters, unit))
        case _:
            pass


# --- channels


def _is_full(spec: object, state: ChannelState) -> bool:
    assert isinstance(spec, Channel)
    return spec.capacity is not None and len(state.items) >= spec.capacity


def _on_channel(system: System, draft: Draft, unit: int, op: Op, woken: Status | None) -> Outcome | None:
    spec, state = system.resources[op.on], draft.resources[op.on]
    assert isinstance(spec, Channel)
    assert isinstance(state, ChannelState)
    match op.act:
        case Act.SEND | Act.TRY_SEND:
            return _send(draft, unit, op, spec, state, woken)
        case Act.RECEIVE | Act.TRY_RECEIVE:
            return _receive(draft, unit, op, spec, state, woken)
        case Act.CLOSE:
            for other in (*state.getters, *state.putters):
                if draft.is_waiting(other):
                    draft.wake(other)
            draft.resources[op.on] = state._replace(is_closed=True, getters=(), putters=())
            return Outcome.DONE
        case Act.TASK_DONE:
            if state.unfinished == 0:
                return Outcome.REFUSED
            left = state.unfinished - 1
            if left == 0:
                for other in state.joiners:
                    if draft.is_waiting(other):
                        draft.wake(other)
            draft.resources[op.on] = state._replace(unfinished=left, joiners=state.joiners if left else ())
            return Outcome.DONE
        case Act.DRAINED:
            if state.unfinished == 0 or woken is Status.WOKEN:
                return Outcome.DONE
            draft.resources[op.on] = state._replace(joiners=(*state.joiners, unit))
            return None
        case _:
            return Outcome.REFUSED if state.items else Outcome.DONE


def _send(draft: Draft, unit: int, op: Op, spec: Channel, state: ChannelState, woken: Status | None) -> Outcome | None:
    if woken is Status.GIVEN:
        return Outcome.DONE
    if state.is_closed:
        return Outcome.REFUSED
    if spec.capacity == 0:
        taker = next((other for other in state.getters if draft.is_waiting(other)), None)
        if taker is not None:
            draft.units[taker] = draft.units[taker]._replace(status=Status.GIVEN, received=op.value)
            draft.resources[op.on] = state._replace(getters=_without(state.getters, taker))
            return Outcome.DONE
    elif not _is_full(spec, state):
        if len(state.items) >= MOST_ITEMS:
            raise OutOfBounds
        draft.resources[op.on] = state._replace(items=(*state.items, op.value), unfinished=state.unfinished + 1)
        _wake_getter(draft, op.on)
        return Outcome.DONE
    if op.act is Act.TRY_SEND:
        return Outcome.REFUSED
    draft.units[unit] = draft.units[unit]._replace(note=op.value)
    draft.resources[op.on] = state._replace(putters=(*state.putters, unit))
    return None


def _receive(draft: Draft, unit: int, op: Op, spec: Channel, state: ChannelState, woken: Status | None) -> Outcome | None:
    if woken is Status.GIVEN:
        return Outcome.DONE
    if spec.capacity == 0:
        giver = next((other for other in state.putters if draft.is_waiting(other)), None)
        if giver is not None:
            draft.units[unit] = draft.units[unit]._replace(received=draft.units[giver].note)
            draft.wake(giver, Status.GIVEN)
            draft.resources[op.on] = state._replace(putters=_without(state.putters, giver))
            return Outcome.DONE
    elif state.items:
        draft.units[unit] = draft.units[unit]._replace(received=state.items[0])
        draft.resources[op.on] = state._replace(items=state.items[1:])
        _wake_putter(draft, op.on)
        return Outcome.DONE
    if state.is_closed or op.act is Act.TRY_RECEIVE:
        return Outcome.REFUSED
    draft.resources[op.on] = state._replace(getters=(*state.getters, unit))
    return None


def _wake_getter(draft: Draft, channel: int) -> None:
    state = draft.resources[channel]
    assert isinstance(state, ChannelState)
    draft.resources[channel] = state._replace(getters=_wake_first(draft, state.getters))


def _wake_putter(draft: Draft, channel: int) -> None:
    state = draft.resources[channel]
    assert isinstance(state, ChannelState)
    draft.resources[channel] = state._replace(putters=_wake_first(draft, state.putters))


def _wake_first(draft: Draft, waiters: tuple[int, ...]) -> tuple[int, ...]:
    """Wake the first who waits; who is left. One who has been cancelled is passed over, and stands in line no more."""
    for place, other in enumerate(waiters):
        if draft.is_waiting(other):
            draft.wake(other)
            return waiters[place + 1 :]
    return ()


def _without(waiters: tuple[int, ...], unit: int) -> tuple[int, ...]:
    return tuple(other for other in waiters if other != unit)


# --- locks


def _on_lock(system: System, draft: Draft, unit: int, op: Op, woken: Status | None) -> Outcome | None:
    spec, state = system.resources[op.on], draft.resources[op.on]
    assert isinstance(spec, Lock)
    assert isinstance(state, LockState)
    if op.act is Act.IS_HELD:
        return told(state.free == 0)
    if op.act is Act.RELEASE:
        if spec.is_reentrant and state.depth > 1:
            draft.resources[op.on] = state._replace(depth=state.depth - 1)
            return Outcome.DONE
        if spec.is_bounded and state.free >= spec.permits:
            return Outcome.REFUSED
        _release(system, draft, op.on)
        return Outcome.DONE
    if woken is Status.GIVEN:
        return Outcome.DONE
    if spec.is_reentrant and state.owner == unit:
        draft.resources[op.on] = state._replace(depth=state.depth + 1)
        return Outcome.DONE
    if state.free and not (spec.is_fair and any(draft.is_waiting(other) for other in state.waiters)):
        taken = state._replace(free=state.free - 1, waiters=_without(state.waiters, unit))
        draft.resources[op.on] = taken._replace(owner=unit, depth=1) if spec.is_reentrant else taken
        return Outcome.DONE
    if op.act is Act.TRY_ACQUIRE:
        return Outcome.REFUSED
    draft.resources[op.on] = state._replace(waiters=(*_without(state.waiters, unit), unit))
    return None


def _release(system: System, draft: Draft, lock: int) -> None:
    """One more permit: to the first who waits, or for whoever comes."""
    spec, state = system.resources[lock], draft.resources[lock]
    assert isinstance(spec, Lock)
    assert isinstance(state, LockState)
    waiting = [other for other in state.waiters if draft.is_waiting(other)]
    if spec.is_fair and waiting:
        draft.wake(waiting[0], Status.GIVEN)
        draft.resources[lock] = state._replace(waiters=_without(state.waiters, waiting[0]))
        return
    for other in waiting:
        draft.wake(other)
    draft.resources[lock] = state._replace(free=state.free + 1, owner=-1, depth=0)


# --- events, conditions, barriers


def _on_event(system: System, draft: Draft, unit: int, op: Op, woken: Status | None) -> Outcome | None:
    spec, state = system.resources[op.on], draft.resources[op.on]
    assert isinstance(state, EventState)
    match op.act:
        case Act.SET:
            _wake_all(draft, state.waiters)
            draft.resources[op.on] = EventState(True)
        case Act.CLEAR:
            draft.resources[op.on] = state._replace(is_set=False)
        case Act.IS_SET:
            return Outcome.DONE if state.is_set else Outcome.REFUSED
        case Act.LISTEN | Act.NOTIFY if woken is None and _is_free(system, draft, spec):
            return Outcome.REFUSED
        case Act.NOTIFY:
            left = len(state.waiters) if op.value == ALL else op.value
            waiters = state.waiters
            while left and waiters:
                waiters = _wake_first(draft, waiters)
                left -= 1
            draft.resources[op.on] = state._replace(waiters=waiters)
        case _ if woken is not None or (op.act is Act.WAIT and state.is_set):
            return Outcome.DONE
        case _ if isinstance(spec, Barrier) and len(state.waiters) + 1 >= spec.parties:
            _wake_all(draft, state.waiters)
            draft.resources[op.on] = EventState()
        case _:
            draft.resources[op.on] = state._replace(waiters=(*state.waiters, unit))
            if isinstance(spec, Condition):
                _give_up(system, draft, spec.lock)
            return None
    return Outcome.DONE


def _is_free(system: System, draft: Draft, condition: object) -> bool:
    """Whether nobody has the lock of a condition: then there is nothing to give up, and to notify is a mistake."""
    assert isinstance(condition, Condition)
    spec, state = system.resources[condition.lock], draft.resources[condition.lock]
    assert isinstance(spec, Lock)
    assert isinstance(state, LockState)
    return state.free >= spec.permits


def _give_up(system: System, draft: Draft, lock: int) -> None:
    """Raises OutOfBounds for a lock that has been taken more than once: how often is not remembered."""
    state = draft.resources[lock]
    if isinstance(state, LockState) and state.depth > 1:
        raise OutOfBounds
    _release(system, draft, lock)


def _wake_all(draft: Draft, waiters: tuple[int, ...]) -> None:
    for other in waiters:
        if draft.is_waiting(other):
            draft.wake(other)
