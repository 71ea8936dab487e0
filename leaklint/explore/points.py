"""An automaton under construction."""

from __future__ import annotations

from leaklint.explore.system import CANCELLED, FAILED, RETURNED, Act, Op, Outcome, Point

MOST_POINTS = 3_000


class Unsupported(Exception):
    """Something in the scope has no counterpart in the automata; the text says what."""


Ways = dict[Outcome, tuple[int, ...]]


class Points:
    """Points are added from the last to the first, and given a place before it is known what they do where control comes round again."""

    def __init__(self) -> None:
        self._made: list[Point] = []

    def new(self) -> int:
        """A place for a point. Raises Unsupported when there are too many."""
        if len(self._made) > MOST_POINTS:
            raise Unsupported("too much code")
        self._made.append(_NOTHING)
        return len(self._made) - 1

    def set(self, at: int, op: Op, ways: Ways, label: str = "") -> int:
        self._made[at] = Point(op, ways, label)
        return at

    def add(self, op: Op, ways: Ways, label: str = "") -> int:
        return self.set(self.new(), op, ways, label)

    def listen(self, op: Op, lock: int, ways: Ways, label: str = "") -> int:
        """A wait for a notification. However it ends, the lock is taken again before control goes on, and while it is, a cancellation must
        wait; one who has been cancelled passes on a notification that it may have had (`asyncio`, Python 3.13)."""
        acquire, told = Op(Act.ACQUIRE, lock), dict(ways)
        for outcome in (Outcome.CANCELLED, Outcome.TIMED_OUT):
            if outcome in ways:
                again, notify = self.new(), self.add(Op(Act.NOTIFY, op.on, 1), {Outcome.DONE: ways[outcome]})
                told[outcome] = (self.set(again, acquire, {Outcome.DONE: (notify,), Outcome.CANCELLED: (again,)}, label),)
        told[Outcome.DONE] = (self.add(acquire, {Outcome.DONE: ways[Outcome.DONE], **_only(told, Outcome.CANCELLED)}, label),)
        return self.add(op, told, label)

    def choose(self, targets: tuple[int, ...]) -> int:
        """One of the targets, and nobody knows which."""
        return targets[0] if len(targets) == 1 else self.add(Op(Act.CHOOSE), {Outcome.DONE: targets or (RETURNED,)})

    def automaton(self, start: int) -> tuple[Point, ...]:
        """What can be reached from a point, which comes first; without points that do nothing and have one way on."""
        first = self._final(start)
        if first < 0:
            return (Point(Op(Act.CHOOSE), {Outcome.DONE: (first,)}),)
        renamed = {RETURNED: RETURNED, FAILED: FAILED, CANCELLED: CANCELLED}
        order: list[int] = []
        todo = [first]
        while todo:
            at = todo.pop()
            if at not in renamed:
                renamed[at] = len(order)
                order.append(at)
                todo += [self._final(target) for targets in self._made[at].ways.values() for target in targets]
        return tuple(self._renamed(self._made[at], renamed) for at in order)

    def _final(self, at: int) -> int:
        """Where control comes to from a point without anything having been done."""
        seen = set()
        while at >= 0 and at not in seen:
            seen.add(at)
            targets = self._made[at].ways.get(Outcome.DONE, ())
            if self._made[at].op.act is not Act.CHOOSE or len(set(targets)) != 1:
                return at
            at = targets[0]
        return at

    def _renamed(self, point: Point, names: dict[int, int]) -> Point:
        ways = {outcome: tuple(dict.fromkeys(names[self._final(t)] for t in targets)) for outcome, targets in point.ways.items()}
        return Point(point.op, ways, point.label)


def _only(ways: Ways, outcome: Outcome) -> Ways:
    return {outcome: ways[outcome]} if outcome in ways else {}


_NOTHING = Point(Op(Act.CHOOSE), {})
