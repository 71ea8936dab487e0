"""The web of effects: nodes for names, arguments and results; what is done to one node is done to those that lead to it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

from leaklint.link.effects.kinds import ALL, GIVES_BACK, HELD, RETURNS, Mask
from leaklint.link.values import FunctionId, Site

NO_GUARD = -1


Value = tuple[tuple[int, Mask], ...]
"""What an expression may give or hold: nodes, each with the effects on the value that count for the node."""

NO_VALUE: Value = ()


class Thread(NamedTuple):
    """Of the effects on `target` those in `mask` happen to where the thread starts; with a guard, only when that node is given
    back, and those of a holder when it is held by what is."""

    target: int
    mask: Mask
    guard: int


class Web:
    """Nodes are dense ids. Threads are drawn while a function is looked at; nodes of parameters wait with `spin` until they are reached."""

    def __init__(self) -> None:
        self.direct: list[Mask] = []
        self.owner: list[FunctionId | None] = []
        self._threads: list[list[Thread]] = []
        self._solved: dict[int, Mask] = {}
        self._nodes: dict[Hashable, int] = {}

    def variable(self, function: FunctionId, name: str) -> int:
        """A parameter or local of a function."""
        return self._node((function, name), function)

    def turn(self, function: FunctionId, name: str, site: int) -> int:
        """A name of a loop, while it runs."""
        return self._node((function, name, site), function)

    def argument(self, site: Site, position: int | tuple[int, int]) -> int:
        """An argument of a call; position -1 is the object whose method is called, a pair an item of a tuple that is an argument."""
        return self._node((site, position), None)

    def result(self, site: Site) -> int:
        """What a call gives."""
        return self._node(site, None)

    def closure(self, function: FunctionId) -> int:
        """A lambda as a value."""
        return self._node(("closure", function), None)

    def returned(self, function: FunctionId) -> int:
        """What of its surroundings a nested function returns."""
        return self._node(function, None)

    def _node(self, key: Hashable, owner: FunctionId | None) -> int:
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = len(self.direct)
            self.direct.append(0)
            self.owner.append(owner)
            self._threads.append([])
        return found

    def mark(self, node: int, effects: Mask) -> None:
        self.direct[node] |= effects

    def draw(self, start: int, target: int, mask: Mask, guard: int = NO_GUARD) -> None:
        if mask and start != target:
            self._threads[start].append(Thread(target, mask, guard))

    def use(self, value: Value, effects: Mask) -> None:
        """Something is done to a value."""
        for node, mask in value:
            self.mark(node, effects & mask)

    def flow(self, value: Value, target: int) -> None:
        """A value gets another name."""
        for node, mask in value:
            self.draw(node, target, mask)

    def solve(self, node: int, spin: Callable[[FunctionId], object]) -> Mask:
        """The effects on a node: the least solution over all that is reachable from it. `spin` draws the threads of a function."""
        found = self._solved.get(node)
        if found is None:
            self._settle(self._reach(node, spin))
            found = self._solved[node]
        return found

    def _reach(self, start: int, spin: Callable[[FunctionId], object]) -> list[int]:
        """The unsolved nodes from which effects may come to one, that one included, nearest first."""
        seen = {start}
        order = [start]
        for node in order:
            owner = self.owner[node]
            if owner is not None:
                spin(owner)
            for target, _, guard in self._threads[node]:
                for one in (target, guard):
                    if one != NO_GUARD and one not in seen and one not in self._solved:
                        seen.add(one)
                        order.append(one)
        return order

    def _settle(self, nodes: list[int]) -> None:
        value = {node: self.direct[node] for node in nodes}
        waiting: dict[int, list[int]] = {node: [] for node in nodes}
        for node in nodes:
            for target, _, guard in self._threads[node]:
                for one in (target, guard):
                    if one in value:
                        waiting[one].append(node)
        todo = list(nodes)
        queued = set(nodes)
        while todo:
            node = todo.pop()
            queued.discard(node)
            bits = value[node]
            for target, mask, guard in self._threads[node]:
                if guard != NO_GUARD:
                    given = self._known(value, guard)
                    mask &= ALL if given & GIVES_BACK else HELD if given & RETURNS else 0
                bits |= self._known(value, target) & mask
            if bits != value[node]:
                value[node] = bits
                for one in waiting[node]:
                    if one not in queued:
                        queued.add(one)
                        todo.append(one)
        self._solved.update(value)

    def _known(self, value: dict[int, Mask], node: int) -> Mask:
        found = value.get(node)
        return found if found is not None else self._solved[node]
