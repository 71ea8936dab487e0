"""Where all units of a system are, and what is in its resources: a value that can be compared and kept."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from leaklint.explore.system import Barrier, Channel, Condition, Event, Flag, Lock, Resource, System


class Status(IntEnum):
    IDLE = 0  # not started
    NEW = 1  # started, has done nothing yet
    READY = 2  # about to act
    WAITING = 3
    WOKEN = 4  # what it waits for may have come
    GIVEN = 5  # what it waits for has been handed to it


class Alarm(IntEnum):
    """What reaches a unit at its next wait, whatever that is for."""

    NONE = 0
    TIMEOUT = 1
    CANCEL = 2
    EARLIER = 3  # a cancellation from before a wait with a time limit: if the time runs out first, the limit takes it for its own


class UnitState(NamedTuple):
    """`at`: a point, or an end. `received`: the last element. `note`: how a wait for several others will end."""

    at: int
    status: Status
    alarm: Alarm = Alarm.NONE
    received: int = 0
    note: int = 0


class ChannelState(NamedTuple):
    """The units that wait stand in the order in which they came."""

    items: tuple[int, ...] = ()
    is_closed: bool = False
    unfinished: int = 0
    getters: tuple[int, ...] = ()
    putters: tuple[int, ...] = ()
    joiners: tuple[int, ...] = ()


class LockState(NamedTuple):
    """`free` permits; `owner` and `depth` of a reentrant lock."""

    free: int
    owner: int = -1
    depth: int = 0
    waiters: tuple[int, ...] = ()


class EventState(NamedTuple):
    """Also of a condition and of a barrier: who waits there."""

    is_set: bool = False
    waiters: tuple[int, ...] = ()


ResourceState = ChannelState | LockState | EventState | int


class State(NamedTuple):
    """`running`: for each event loop the unit that has it, or -1."""

    units: tuple[UnitState, ...]
    resources: tuple[ResourceState, ...]
    running: tuple[int, ...]


def initial(system: System) -> State:
    units = tuple(UnitState(0, Status.NEW if unit.started else Status.IDLE) for unit in system.units)
    loops = 1 + max((unit.loop for unit in system.units if unit.loop is not None), default=-1)
    return State(units, tuple(map(_initial, system.resources)), (-1,) * loops)


def _initial(resource: Resource) -> ResourceState:
    match resource:
        case Channel():
            return ChannelState()
        case Lock(permits=permits):
            return LockState(permits)
        case Event(is_set=is_set):
            return EventState(is_set)
        case Condition() | Barrier():
            return EventState()
        case Flag(value=value):
            return value


class Draft:
    """A state under change."""

    __slots__ = ("resources", "running", "units")

    def __init__(self, state: State) -> None:
        self.units = list(state.units)
        self.resources = list(state.resources)
        self.running = list(state.running)

    def done(self) -> State:
        return State(tuple(self.units), tuple(self.resources), tuple(self.running))

    def wake(self, unit: int, status: Status = Status.WOKEN) -> None:
        self.units[unit] = self.units[unit]._replace(status=status)

    def is_waiting(self, unit: int) -> bool:
        """Whether it waits in earnest: a cancelled one only has not been told yet."""
        return self.units[unit].status is Status.WAITING and self.units[unit].alarm is Alarm.NONE
