"""The lock sets of a program: what is held where, what a call may take, and with what held a function is entered."""

from __future__ import annotations

from functools import lru_cache

from leaklint.graph import Graph
from leaklint.link.values import FunctionId
from leaklint.locks.entering import Entering
from leaklint.locks.events import Event
from leaklint.locks.flow import State
from leaklint.locks.held import Held
from leaklint.locks.holds import Context, Hold
from leaklint.locks.taking import Taking
from leaklint.paths import Node


@lru_cache(maxsize=1)
def locks_of(graph: Graph) -> Locks:
    """The lock sets of a program, made once for all rules that ask."""
    return Locks(graph)


class Locks:
    """Answers for one program. Locks are named by the canonical ids of `Identity`, holds are in the words of the function asked about."""

    def __init__(self, graph: Graph) -> None:
        self.sets = Held(graph)
        self.identity = self.sets.identity
        self.events = self.sets.events
        self.taking = Taking(self.sets)
        self._entering = Entering(self.sets)

    @property
    def holders(self) -> frozenset[FunctionId]:
        """The functions that hold a lock at some point."""
        return self.sets.holders

    @property
    def signals(self) -> frozenset[int]:
        """The locks that somebody gives back who has not taken them."""
        return self.sets.signals

    def held(self, function: FunctionId, node: Node) -> frozenset[Hold]:
        """The locks that the function itself surely holds when it comes to a node."""
        return self.sets.at(function, node)

    def steps(self, function: FunctionId) -> tuple[tuple[Node, Event, State], ...]:
        """Everything that happens to locks in a function and every call, each with its node and the state before it."""
        return self.sets.steps(function)

    def entered_with(self, function: FunctionId) -> tuple[Context, ...]:
        """What callers may hold when they call the function, each way once, with the calls that lead there. One without holds: it may be
        entered with nothing held."""
        return self._entering.of(function)

    def may_take(self, function: FunctionId) -> frozenset[int]:
        """The locks that a call of the function may take, itself or through any number of calls."""
        return self.taking.locks(function)

    def are_same(self, one: Hold, other: Hold) -> bool:
        """Whether two locks, in the words of one function, are one lock of the running program for sure: both places call it the same,
        or it may be but one object, which the program makes once."""
        if not one.locks & other.locks:
            return False
        if one.term is not None and one.term == other.term:
            return True
        return one.locks == other.locks and len(one.locks) == 1 and self.identity.is_single(min(one.locks))
