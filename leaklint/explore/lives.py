"""How units are started, cancelled and waited for."""

from __future__ import annotations

from leaklint.explore.flags import OutOfBounds
from leaklint.explore.state import Alarm, Draft, Status
from leaklint.explore.system import CANCELLED, FAILED, RETURNED, Act, Op, Outcome, System


def on_units(system: System, draft: Draft, unit: int, op: Op, woken: Status | None) -> Outcome | None:
    match op.act:
        case Act.SPAWN:
            for other in op.units:
                if draft.units[other].status is Status.IDLE:
                    draft.wake(other, Status.NEW)
                    return Outcome.DONE
            raise OutOfBounds
        case Act.CANCEL:
            for other in op.units:
                cancel(system, draft, other)
            return Outcome.DONE
        case _ if woken is not None:
            return _ENDS[draft.units[unit].note]
        case _:
            _told_of_end(draft, unit, op)
            return _ENDS[draft.units[unit].note] if draft.units[unit].status is Status.WOKEN else None


_ENDS = {RETURNED: Outcome.DONE, FAILED: Outcome.FAILED, CANCELLED: Outcome.CANCELLED}


def _told_of_end(draft: Draft, unit: int, op: Op) -> None:
    """Wake a unit if enough of those it waits for have ended, and note how that ends the wait."""
    others = [draft.units[other] for other in op.units if draft.units[other].status is not Status.IDLE]
    ends = [other.at for other in others if other.at < 0]
    is_over = len(ends) == len(others)
    note = draft.units[unit].note
    match op.act:
        case Act.JOIN if ends:
            note = ends[0]
        case Act.GATHER if any(end != RETURNED for end in ends):
            note = next(end for end in ends if end != RETURNED)
        case Act.GATHER if is_over:
            note = note or RETURNED
        case Act.ALL if is_over:
            note = RETURNED
        case Act.GROUP if is_over:
            note = FAILED if FAILED in ends else RETURNED
        case Act.ANY if ends:
            note = RETURNED
        case _:
            return
    draft.units[unit] = draft.units[unit]._replace(status=Status.WOKEN, note=note)


def cancel(system: System, draft: Draft, unit: int, through: frozenset[int] = frozenset()) -> bool:
    """Cancel a unit, or what it waits for; whether there was anything to cancel. Threads cannot be cancelled. `through`: the units whose
    cancellation came here: those that wait for each other in a ring are told themselves."""
    it = draft.units[unit]
    if it.at < 0 or it.status is Status.IDLE or system.units[unit].loop is None:
        return False
    if it.status is Status.WAITING and it.alarm is Alarm.NONE and unit not in through:
        op, further = system.units[unit].points[it.at].op, through | {unit}
        if op.act is Act.JOIN and not op.shielded and cancel(system, draft, op.units[0], further):
            return True
        if op.act is Act.GATHER:
            told = [cancel(system, draft, other, further) for other in op.units]
            if any(told):
                draft.units[unit] = draft.units[unit]._replace(note=draft.units[unit].note or CANCELLED)
                return True
    draft.units[unit] = draft.units[unit]._replace(alarm=Alarm.CANCEL)
    return True


def ended(system: System, draft: Draft, unit: int) -> None:
    """A unit has come to its end: wake those who wait for that, and cancel those who end with it."""
    if draft.units[unit].at == FAILED:
        for parent, children in system.groups:
            if unit in children:
                for other in children:
                    cancel(system, draft, other)
                it = draft.units[parent]
                is_leaving = it.at >= 0 and system.units[parent].points[it.at].op.act is Act.GROUP and it.status is Status.WAITING
                if not is_leaving:
                    cancel(system, draft, parent)
    for other, it in enumerate(draft.units):
        if it.status is Status.WAITING and it.at >= 0:
            op = system.units[other].points[it.at].op
            if unit in op.units and op.act in (Act.JOIN, Act.GATHER, Act.ALL, Act.ANY, Act.GROUP):
                _told_of_end(draft, other, op)
