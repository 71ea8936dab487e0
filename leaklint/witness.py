"""A witness: a schedule, event by event, that ends with somebody blocked for ever, and the words for how things stand on the way."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Thing(Struct, frozen=True):
    """A unit or a resource, and the place that makes it; without one, who runs the function in which the schedule begins. `number`: which
    of several of this name, from 1 on; 0: there is one."""

    name: str
    path: str = ""
    line: int = 0
    number: int = 0

    def __str__(self) -> str:
        return f"`{self.name}` {self.number}" if self.number else f"`{self.name}`"


class Sort(StrEnum):
    """Of a resource. A semaphore is a lock with several permits."""

    CHANNEL = "channel"
    LOCK = "lock"
    EVENT = "event"
    FUTURE = "future"
    BARRIER = "barrier"
    CONDITION = "condition"


class Standing(Struct, frozen=True):
    """A resource after an event. `held`: the elements in a channel, the permits taken of a lock, whether an event is set, how many stand at
    a barrier; `room`: of how many, None: there is no bound. `is_rough`: one element stands for as many as there is room for. `by`: who
    holds a lock. `waiting`: who waits there, and for what."""

    thing: Thing
    sort: Sort
    held: int
    room: int | None
    is_closed: bool = False
    is_rough: bool = False
    by: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()

    @property
    def level(self) -> str:
        """`2 of 4`, `full, 4 of 4`, `free`, `set`: what fits under a name. Nothing to tell of a channel without a buffer that is open."""
        match self.sort:
            case Sort.CHANNEL:
                return ", ".join(word for word in (self._filled, "closed" if self.is_closed else "") if word)
            case Sort.LOCK if self.room == 1:
                return "taken" if self.held else "free"
            case Sort.LOCK:
                return f"{self.held} of {self.room} taken"
            case Sort.EVENT:
                return "set" if self.held else "not set"
            case Sort.FUTURE:
                return "has its result" if self.held else "no result yet"
            case Sort.BARRIER:
                return f"{self.held} of {self.room} are there"
            case Sort.CONDITION:
                return f"{self.held} waiting" if self.held else "nobody waits"

    @property
    def _filled(self) -> str:
        match self.room:
            case None:
                return f"{self.held} inside" if self.held else "empty"
            case 0:
                return ""
            case _ if self.is_rough:
                return "full" if self.held else "empty"
            case _ if self.held >= self.room:
                return f"full, {self.held} of {self.room}"
            case _:
                return f"{self.held} of {self.room}" if self.held else f"empty, 0 of {self.room}"

    def __str__(self) -> str:
        """`full, 1 of 1; ask 2 waits to put`"""
        level = f"{self.level} by {listed(self.by)}" if self.by else self.level
        return "; ".join(part for part in (level, *self.waiting) if part)


class Way(StrEnum):
    """What an event is."""

    ACTS = "acts"
    WAITS = "waits"  # until somebody else does something
    ENDS = "ends"
    STUCK = "stuck"  # waits for ever: the last events of every witness


class Event(Struct, frozen=True):
    """`does`: the words after the unit's name. `to`: what it is done to, a resource or another unit. `after`: how the resource stands then.
    `why`: of one that is stuck, what became of those who could have ended its wait."""

    unit: Thing
    way: Way
    does: str
    path: str
    line: int
    column: int
    to: Thing | None = None
    after: Standing | None = None
    why: str = ""

    @property
    def sentence(self) -> str:
        return f"{self.unit} {self.does}"

    def __str__(self) -> str:
        """All in one line, with the place."""
        state = [f"{self.after.thing}: {words}"] if self.after is not None and (words := str(self.after)) else []
        return "; ".join((f"{self.sentence} ({self.path}:{self.line}:{self.column})", *state, *([self.why] if self.why else [])))


def listed(names: tuple[str, ...]) -> str:
    """`a, b and c`"""
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)
