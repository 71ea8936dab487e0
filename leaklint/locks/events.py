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
        self._found: dict[tuple[FunctionId, int], tuple[Event, ...]] = {}

    @cached_property
    def takes(self) -> tuple[Action, ...]:
        """The operations that take a lock."""
        return tuple(a for a in self.graph.program.actions if a.does is Does.ACQUIRE and self.identity.locks(a.subjects))

    def takes_in(self, function: FunctionId) -> list[Action]:
        """Those that stand in a function."""
        return self._takes_in.get(function, [])

    @cached_property
    def _takes_in(self) -> dict[FunctionId, list[Action]]:
        found: dict[FunctionId, list[Action]] = {}
        for action in self.takes:
            found.setdefault(action.function, []).append(action)
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
            found = self._found[key] = tuple(self._block(function, node) if is_block else self._plain(function, node))
        return found

    def _plain(self, function: FunctionId, node: Node) -> Iterator[Event]:
        yield from self.calls.at(function, node)
        for number in node.sites():
            site = function.site(number)
            # What may be a function of the program too is not a library's for sure: one of both happens, not both.
            for action in self.graph.program.at(site) if not self.graph.program.state.callees.get(site) else ():
                yield from self._direct(function, action)

    def _block(self, function: FunctionId, node: Node) -> Iterator[Event]:
        assert isinstance(node.stmt, ir.With)
        entering = node.kind == "enter"
        calls = self.calls.at(function, node)
        yield from (call for call in calls if call.how not in (How.ENTERED, How.LEFT))
        for item in node.stmt.items if entering else reversed(node.stmt.items):
            own = [call for call in calls if call.how in (How.ENTERED, How.LEFT) and call.at == item.at]
            yield from own
            for action in self.graph.program.at(function.site(item.site)) if not own else ():
                if (action.does is Does.ACQUIRE) is entering:
                    yield from self._direct(function, action, self.terms.of(function, item.context))

    def _direct(self, function: FunctionId, action: Action, term: Term | None = None) -> Iterator[Event]:
        if action.does not in (Does.ACQUIRE, Does.RELEASE) or action.deferred or action.call.record.by is not None:
            return
        locks = self.identity.locks(action.subjects)
        if not locks:
            return
        node = action.call.record.node
        if term is None and node is not None and isinstance(node.function, ir.Attribute):
            term = self.terms.of(function, node.function.base)
        taken = self.graph.step(function, action.at, f"`{self.graph.program.describe(min(locks))}` is taken here")
        hold = Hold(locks, term, Mode.EXCLUSIVE, taken, by_block=action.method.startswith("__"))
        if action.does is Does.RELEASE:
            yield Give(hold)
        else:
            yield Take(hold, action.waits is not None and not action.bounded, self.graph.program.blocks(action))
