"""What acts do to flags, and tests of what was received."""

from __future__ import annotations

from leaklint.explore.state import Draft, State
from leaklint.explore.system import NOTHING, UNKNOWN, Act, Op, Outcome

MOST_ITEMS = 12
"""A channel without a bound that holds more, or a count that is farther from zero, makes the exploration inconclusive, not endless."""


class OutOfBounds(Exception):
    """More units, or more elements, than the system has room for."""


def is_open(draft: State | Draft, op: Op) -> bool:
    """Whether the outcome depends on a flag of which nothing is known."""
    return op.act in _LOOKING and draft.resources[op.on] == UNKNOWN


_LOOKING = frozenset({Act.TAKE, Act.EQUALS, Act.LESS, Act.IS_TRUE})


def on_flag(draft: Draft, unit: int, op: Op) -> Outcome:
    if op.act is Act.RECEIVED:
        return told(draft.units[unit].received == op.value)
    value = draft.resources[op.on]
    assert isinstance(value, int)
    match op.act:
        case Act.ASSIGN:
            draft.resources[op.on] = op.value
        case Act.ADD:
            draft.resources[op.on] = _sum(value, op.value)
        case Act.TAKE:
            if value == 0:
                return Outcome.REFUSED
            draft.resources[op.on] = _sum(value, -1)
        case Act.EQUALS:
            return told(value == op.value)
        case Act.LESS:
            return told(value < op.value)
        case _:
            return told(value not in (0, NOTHING))
    return Outcome.DONE


def told(holds: bool) -> Outcome:
    return Outcome.DONE if holds else Outcome.REFUSED


def _sum(value: int, more: int) -> int:
    """Raises OutOfBounds: a count that grows for ever makes the exploration inconclusive, not endless."""
    if value in (UNKNOWN, NOTHING):
        return UNKNOWN
    if abs(value + more) > MOST_ITEMS:
        raise OutOfBounds
    return value + more
