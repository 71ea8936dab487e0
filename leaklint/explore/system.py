"""What the explorer explores: small automata, one for each unit, over channels, locks, events and flags.

A system is closed: nobody else touches its resources. It knows no Python; what is left out of it is said where it is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto


class Act(Enum):
    """What a unit does at a point."""

    CHOOSE = auto()  # one of several ways on, and nobody knows which
    GUESS = auto()  # as `CHOOSE`; the second way is only taken by the bold, with `value` 0 the first too
    PAUSE = auto()  # gives way to others, and comes back
    SEND = auto()
    TRY_SEND = auto()
    RECEIVE = auto()
    TRY_RECEIVE = auto()
    CLOSE = auto()
    TASK_DONE = auto()
    DRAINED = auto()  # waits until each element received has been told done
    ACQUIRE = auto()
    TRY_ACQUIRE = auto()
    RELEASE = auto()
    IS_HELD = auto()
    WAIT = auto()
    SET = auto()
    CLEAR = auto()
    IS_SET = auto()
    IS_EMPTY = auto()
    LISTEN = auto()  # waits for a notification, the lock of the condition released
    NOTIFY = auto()  # so many of those who listen
    SPAWN = auto()
    JOIN = auto()  # waits for the end of one unit and takes over how it ended
    GATHER = auto()  # waits for the end of all, or the first that fails
    ALL = auto()  # waits for the end of all, however they end
    GROUP = auto()  # the same; the first that fails cancels the others
    ANY = auto()  # waits for the first end
    CANCEL = auto()
    ASSIGN = auto()
    ADD = auto()
    TAKE = auto()  # one from a count; refused when there is none
    EQUALS = auto()  # whether a flag has this value
    LESS = auto()
    IS_TRUE = auto()
    RECEIVED = auto()  # whether the last element received is this


class Outcome(Enum):
    """How an act ends."""

    DONE = auto()  # of a test: it holds
    REFUSED = auto()  # closed, full, empty, held; of a test: it does not hold
    FAILED = auto()  # what it waited for has failed
    TIMED_OUT = auto()
    CANCELLED = auto()


RETURNED = -1
FAILED = -2
CANCELLED = -3
"""Where an automaton ends: points of no automaton."""

_UNHANDLED = {Outcome.REFUSED: FAILED, Outcome.FAILED: FAILED, Outcome.TIMED_OUT: FAILED, Outcome.CANCELLED: CANCELLED}

ALL = -1
"""Notify everybody."""

NOTHING = -1_000_001
"""The value of a flag that stands for `None`."""
UNKNOWN = -1_000_002
"""The value of a flag of which nothing is known: a test of it is a guess."""


@dataclass(frozen=True, slots=True)
class Op:
    """An act on a resource or on units. `value`: what is sent, assigned, added, compared, how many are notified. `timed`: a time may run
    out while it waits. `shielded`: a cancellation of the one who waits does not reach what it waits for."""

    act: Act
    on: int = -1
    value: int = 0
    units: tuple[int, ...] = ()
    timed: bool = False
    shielded: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """A place in an automaton. `ways`: where each outcome leads, any of several; an outcome that is not told ends the unit with it.
    `label` is for people."""

    op: Op
    ways: Mapping[Outcome, tuple[int, ...]]
    label: str = ""

    def after(self, outcome: Outcome) -> tuple[int, ...]:
        return self.ways.get(outcome) or (_UNHANDLED.get(outcome, RETURNED),)


@dataclass(frozen=True, slots=True)
class Unit:
    """`points` from 0 on, where it starts. `loop`: the event loop that it shares with others, between whose waits nobody else of that loop
    runs; None: it runs whenever it likes. `started`: it runs from the beginning. Units of one `twin` number are interchangeable."""

    name: str
    points: tuple[Point, ...]
    loop: int | None = None
    started: bool = False
    twin: int | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """`capacity`: None has no bound, 0 is a rendezvous."""

    capacity: int | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock, or a semaphore with so many permits. `is_fair`: those who wait get it in their order, whoever comes later waits.
    `is_bounded`: giving back more than there was fails."""

    permits: int = 1
    is_reentrant: bool = False
    is_fair: bool = False
    is_bounded: bool = True


@dataclass(frozen=True, slots=True)
class Event:
    is_set: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """Those who listen give up the lock and take it again in an act of its own."""

    lock: int


@dataclass(frozen=True, slots=True)
class Barrier:
    """Those who wait go on together when there are so many."""

    parties: int


@dataclass(frozen=True, slots=True)
class Flag:
    """A variable that tests look at: a number, a truth value, or a number that stands for something else."""

    value: int = 0


Resource = Channel | Lock | Event | Condition | Barrier | Flag


@dataclass(frozen=True, slots=True)
class System:
    """`names` of the resources, for people. `blocking`: the resources whose waits keep the event loop of the one who waits. `is_bold`:
    guesses are followed; else nothing is said of what comes after one. `groups`: a unit and those that it starts in a task group, the first
    failure of which cancels all of them. `twins`: the numbers of units that are
    interchangeable."""

    units: tuple[Unit, ...]
    resources: tuple[Resource, ...]
    names: tuple[str, ...] = ()
    blocking: frozenset[int] = field(default_factory=frozenset)
    is_bold: bool = True
    groups: tuple[tuple[int, tuple[int, ...]], ...] = ()
    twins: tuple[tuple[int, ...], ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        numbers: dict[int, list[int]] = {}
        for number, unit in enumerate(self.units):
            if unit.twin is not None:
                numbers.setdefault(unit.twin, []).append(number)
        object.__setattr__(self, "twins", tuple(tuple(group) for group in numbers.values() if len(group) > 1))
