"""What a function holds and takes: the vocabulary of lock sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from leaklint.finding import Step
from leaklint.link.values import FunctionId
from leaklint.locks.terms import Term

Facts: TypeAlias = frozenset[tuple[str, bool | tuple[int, int]]]
"""Parameters, and whether they are true, or which function (by its source) they are."""


class Mode(Enum):
    EXCLUSIVE = auto()
    SHARED = auto()  # with others that have taken it like this: readers


@dataclass(frozen=True, slots=True)
class Hold:
    """A lock that is held. `locks` are the ids of the locks that it may be, one of them: of conditions those of the locks inside; of a
    lock written by hand that of the instance. `term`: how the function calls it. `taken`: the place that took it; `by_block`: a `with`
    did, and will give it back. Holds that differ in these two alone are equal."""

    locks: frozenset[int]
    term: Term | None
    mode: Mode
    taken: Step = field(compare=False)
    by_block: bool = field(compare=False, default=True)

    def named(self, term: Term | None) -> Hold:
        """The same lock under another name."""
        return self if term == self.term else Hold(self.locks, term, self.mode, self.taken, self.by_block)


@dataclass(frozen=True, slots=True, eq=False)
class Acquisition:
    """A lock that a function takes, itself or through what it calls. `hold`: in the words of the function. `blocks`: it waits without
    a bound while the lock is taken. `function` takes it; `way` leads there: the calls, then the place. `without`: locks of the caller
    that have been given back by then. `when`: it happens only if parameters are like this. `is_late`: of a generator that stands for a
    block, after its `yield`; `is_one_of`: a call on the way goes to one of several objects, perhaps not to the one with this lock."""

    hold: Hold
    blocks: bool
    function: FunctionId
    way: tuple[Step, ...]
    without: frozenset[Hold]
    when: Facts
    is_late: bool = False
    is_one_of: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """What is held by callers when a function is entered. `holds`: in the words of the function; `way`: where each was taken, and the calls
    from there. Nothing held: it may be entered so."""

    holds: frozenset[Hold]
    way: tuple[Step, ...] = field(compare=False)
