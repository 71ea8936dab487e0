"""What happens to locks at the nodes of a function: takes, gives, and the calls in which more may happen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.values import FunctionId
from leaklint.locks.calls import Call, Calls, How
from leaklint.locks.gates import Gates
from leaklint.locks.holds import Hold, Mode
from leaklint.locks.identity import Identity
from leaklint.locks.terms import Term, Terms
from leaklint.paths import Node


@dataclass(frozen=True, slots=True)
class Take:
    """A lock is taken. `sure`: it is held afterwards, on the edges that say so; `blocks`: it waits without a bound."""

    hold: Hold
    sure: bool
    blocks: bool


@dataclass(frozen=True, slots=True)
class Give:
    """A lock is given back."""

    hold: Hold


Event: TypeAlias = Take | Give | Call


class Events:
    """Answers for one program."""

    def __init__(self, graph: Graph, identity: Identity, terms: Terms, calls: Calls) -> None:
        self.graph = graph
        self.identity = identity
        self.terms = terms
        self.calls = calls
        self.gates = Gates(graph)
        self._found: dict[tuple[FunctionId, int], tuple[Event, ...]] = {}

    @cached_property
    def takes(self) -> tuple[Action, ...]:
        """The operations that take a lock."""
        return tuple(a for a in self.graph.program.actions if a.does is Does.ACQUIRE and self.identity.locks(a.subjects))

    @cached_property
    def takers(self) -> dict[FunctionId, frozenset[int]]:
        """Function → the locks that it takes itself, those written by hand too."""
        found: dict[FunctionId, frozenset[int]] = {function: self.gates.objects(function) for function in self.gates.takers}
        for action in self.takes:
            found[action.function] = found.get(action.function, frozenset()) | self.identity.locks(action.subjects)
        return found

    @cached_property
    def gives(self) -> tuple[Action, ...]:
        """The operations that give one back."""
        return tuple(a for a in self.graph.program.actions if a.does is Does.RELEASE and self.identity.locks(a.subjects))

    def at(self, function: FunctionId, node: Node) -> tuple[Event, ...]:
        """In the order of evaluation. Of a `with`, each item is entered after what it names is evaluated."""
        key = function, id(node)
        found = self._found.get(key)
        if found is None:
            is_block = isinstance(node.stmt, ir.With) and node.kind in ("enter", "exit")
            inside = self._block(function, node) if is_block else self._plain(function, node)
            found = self._found[key] = (*inside, *self._by_hand(function, node))
        return found

    def _by_hand(self, function: FunctionId, node: Node) -> Iterator[Event]:
        """A lock written by hand is taken, or left."""
        mode = self.gates.taken(function, node)
        if mode is None and not self.gates.is_left(function, node):
            return
        assert node.stmt is not None and not isinstance(node.stmt, ir.Scope | ir.DefineFunction | ir.DefineClass)
        locks = self.gates.objects(function)
        own = self.graph.program.node(function).parameters[0].name
        name = min((self.graph.program.describe(lock) for lock in locks), default="")
        taken = self.graph.step(function, node.stmt.at, f"the `{name}` is taken here")
        hold = Hold(locks, self.terms.of(function, ir.Name(own)), mode or Mode.EXCLUSIVE, taken, by_block=False)
        if locks:
            yield Take(hold, True, True) if mode is not None else Give(hold)

    def _plain(self, function: FunctionId, node: Node) -> Iterator[Event]:
        yield from self.calls.at(function, node)
        for number in node.sites():
            site = function.site(number)
            # What may be a function of the program too is not a library's for sure: one of both happens, not both.
            if not self.graph.program.state.callees.get(site):
                yield from self._direct(function, self.graph.program.at(site))

    def _block(self, function: FunctionId, node: Node) -> Iterator[Event]:
        assert isinstance(node.stmt, ir.With)
        entering = node.kind == "enter"
        calls = self.calls.at(function, node)
        yield from (call for call in calls if call.how not in (How.ENTERED, How.LEFT))
        for item in node.stmt.items if entering else reversed(node.stmt.items):
            own = [call for call in calls if call.how in (How.ENTERED, How.LEFT) and call.at == item.at]
            yield from own
            if not own:
                actions = [a for a in self.graph.program.at(function.site(item.site)) if (a.does is Does.ACQUIRE) is entering]
                yield from self._direct(function, actions, self.terms.of(function, item.context))

    def _direct(self, function: FunctionId, actions: list[Action], term: Term | None = None) -> Iterator[Event]:
        """What the operations of one place do: to one of the locks that may be meant there, not to each of them."""
        for does in (Does.RELEASE, Does.ACQUIRE):
            same = [
                a for a in actions if a.does is does and not a.deferred and a.call.record.by is None and self.identity.locks(a.subjects)
            ]
            if not same:
                continue
            locks = frozenset[int]().union(*(self.identity.locks(a.subjects) for a in same))
            node = same[0].call.record.node
            if term is None and node is not None and isinstance(node.function, ir.Attribute):
                term = self.terms.of(function, node.function.base)
            name = min(self.graph.program.describe(lock) for lock in locks)
            taken = self.graph.step(function, same[0].at, f"`{name}` is taken here")
            hold = Hold(locks, term, Mode.EXCLUSIVE, taken, by_block=same[0].method.startswith("__"))
            if does is Does.RELEASE:
                yield Give(hold)
            else:
                sure = all(a.waits is not None and not a.bounded for a in same)
                yield Take(hold, sure, any(self.graph.program.blocks(a) for a in same))
