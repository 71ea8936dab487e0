"""Small random programs: the same one as a system for the explorer and as coroutines for a real event loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import Literal, TypeAlias

from leaklint.explore.points import Points, Ways
from leaklint.explore.state import State, Status
from leaklint.explore.system import (
    ALL,
    CANCELLED,
    FAILED,
    RETURNED,
    Act,
    Channel,
    Condition,
    Event,
    Flag,
    Lock,
    Op,
    Outcome,
    Point,
    Resource,
    System,
    Unit,
)

HAS_SHUTDOWN = sys.version_info >= (3, 13)


@dataclass(frozen=True)
class Do:
    """One operation; `number` tells it from all others of its program."""

    number: int
    op: Op


@dataclass(frozen=True)
class Either:
    one: Block
    other: Block


@dataclass(frozen=True)
class If:
    """`op` looks at a flag."""

    op: Op
    body: Block


@dataclass(frozen=True)
class While:
    """`op` looks at a flag."""

    op: Op
    body: Block


@dataclass(frozen=True)
class Forever:
    body: Block


@dataclass(frozen=True)
class Finally:
    body: Block
    final: Block


@dataclass(frozen=True)
class Catching:
    """What fails in the body is forgotten; a cancellation is not."""

    body: Block


Statement: TypeAlias = Do | Either | If | While | Forever | Finally | Catching
Block: TypeAlias = "tuple[Statement, ...]"


@dataclass(frozen=True)
class Program:
    """`bodies` of the units, all of which start at once on one event loop; but those in `group` are started by the first one, whose body is
    that of a task group."""

    resources: tuple[Resource, ...]
    bodies: tuple[Block, ...]
    group: tuple[int, ...] = ()


# --- at random


@dataclass
class _Maker:
    random: Random
    resources: tuple[Resource, ...]
    units: int
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1_000)))

    def body(self, unit: int) -> Block:
        return self._block(unit, self.random.randint(1, 4), 0)

    def _block(self, unit: int, length: int, depth: int) -> Block:
        return tuple(self._statement(unit, depth) for _ in range(length))

    def _statement(self, unit: int, depth: int) -> Statement:
        if depth < 2:
            form, inner = self.random.random(), self.random.randint(1, 2)
            if form < 0.08:
                return Either(self._block(unit, inner, depth + 1), self._block(unit, self.random.randint(0, 2), depth + 1))
            if form < 0.12:
                return Finally(self._block(unit, inner, depth + 1), self._block(unit, 1, depth + 1))
            if form < 0.15:
                return Catching(self._block(unit, inner, depth + 1))
            if form < 0.26 and any(isinstance(one, Condition) for one in self.resources):
                return self._holding(unit, depth)
            if form < 0.29 and any(isinstance(one, Flag) for one in self.resources):
                return If(self._test(), self._block(unit, inner, depth + 1))
            if form < 0.18 and any(isinstance(one, Channel) for one in self.resources):
                channel = self._some(Channel)
                return Forever((Do(next(self.numbers), Op(Act.RECEIVE, channel)), *self._block(unit, self.random.randint(0, 1), 2)))
        return Do(next(self.numbers), self._op(unit))

    def _holding(self, unit: int, depth: int) -> Statement:
        """`async with condition: …`, with what a condition is for in it."""
        condition = self._some(Condition)
        spec = self.resources[condition]
        assert isinstance(spec, Condition)
        do, form = self._do, self.random.random()
        body: Block
        if form < 0.45:
            body = (While(self._test(), (do(Op(Act.LISTEN, condition)),)),)
        elif form < 0.55:
            body = (do(Op(Act.LISTEN, condition)),)
        else:
            body = (do(self._change()), do(Op(Act.NOTIFY, condition, self.random.choice([1, 1, 2, ALL]))))
        if depth < 1 and self.random.random() < 0.2:
            body = (*body, *self._block(unit, 1, 2))
        return Finally((do(Op(Act.ACQUIRE, spec.lock)), Finally(body, (do(Op(Act.RELEASE, spec.lock)),))), ())

    def _do(self, op: Op) -> Do:
        return Do(next(self.numbers), op)

    def _test(self) -> Op:
        flag, act = self._some(Flag), self.random.choice([Act.IS_TRUE, Act.EQUALS, Act.LESS])
        return Op(act, flag, self.random.randint(0, 2))

    def _change(self) -> Op:
        flag, act = self._some(Flag), self.random.choice([Act.ASSIGN, Act.ASSIGN, Act.ADD, Act.TAKE])
        return Op(act, flag, self.random.randint(0, 2) if act is Act.ASSIGN else 1)

    def _some(self, kind: type[Resource]) -> int:
        return self.random.choice([number for number, one in enumerate(self.resources) if isinstance(one, kind)])

    def _op(self, unit: int) -> Op:
        others = [number for number in range(self.units) if number != unit]
        if self.random.random() < 0.25:
            act = self.random.choice([Act.JOIN, Act.CANCEL, Act.CANCEL, Act.PAUSE, Act.GATHER])
            if act in (Act.JOIN, Act.GATHER):
                others = [number for number in others if number > unit]  # in a ring a cancellation would never end
            if act is Act.PAUSE or not others:
                return Op(Act.PAUSE)
            if act is Act.GATHER:
                return Op(act, units=tuple(sorted(self.random.sample(others, self.random.randint(1, len(others))))))
            return Op(act, units=(self.random.choice(others),), shielded=act is Act.JOIN and self.random.random() < 0.2)
        on = self.random.randrange(len(self.resources))
        timed = self.random.random() < 0.08
        match self.resources[on]:
            case Channel():
                acts = [Act.SEND] * 4 + [Act.RECEIVE] * 4 + [Act.TRY_SEND, Act.TRY_RECEIVE, Act.TASK_DONE, Act.DRAINED]
                act = self.random.choice([*acts, Act.CLOSE] if HAS_SHUTDOWN else acts)
            case Lock() if not any(isinstance(one, Condition) and one.lock == on for one in self.resources):
                act = self.random.choice([Act.ACQUIRE, Act.ACQUIRE, Act.RELEASE])
            case Condition() | Flag() | Lock():
                return self._change()
            case _:
                act = self.random.choice([Act.SET, Act.WAIT, Act.WAIT, Act.CLEAR])
        return Op(act, on, timed=timed and act in (Act.SEND, Act.RECEIVE, Act.ACQUIRE, Act.WAIT, Act.DRAINED))


def some_program(seed: int) -> Program:
    """Two to four units, one to three resources of each kind at most; the same for the same seed."""
    random = Random(seed)
    resources: list[Resource] = [Channel(random.choice([1, 1, 2, None])) for _ in range(random.randint(1, 3))]
    resources += [Lock(random.choice([1, 1, 2]), is_fair=True, is_bounded=False) for _ in range(random.randint(0, 2))]
    resources += [Event() for _ in range(random.randint(0, 2))]
    if random.random() < 0.3:
        resources += [Lock(is_fair=True), Condition(len(resources)), *(Flag() for _ in range(random.randint(1, 2)))]
    units = random.randint(2, 4)
    maker = _Maker(random, tuple(resources), units)
    return Program(tuple(resources), tuple(maker.body(unit) for unit in range(units)))


def some_grouped_program(seed: int) -> Program:
    """One in which the others are in a task group of the first unit."""
    program = some_program(seed)
    return replace(program, group=tuple(range(1, len(program.bodies))))


# --- for the explorer


def system_of(program: Program, loop: int | None = 0) -> System:
    """With `loop` None the units are threads."""
    units = [
        Unit(f"unit {n}", _points(program.resources, body, () if n else program.group), loop, n not in program.group)
        for n, body in enumerate(program.bodies)
    ]
    return System(tuple(units), program.resources, groups=((0, program.group),) if program.group else ())


def _points(resources: tuple[Resource, ...], body: Block, group: tuple[int, ...]) -> tuple[Point, ...]:
    points = Points()

    def block(body: Block, then: int, fails: int, cancelled: int) -> int:
        for stmt in reversed(body):
            then = statement(stmt, then, fails, cancelled)
        return then

    def statement(stmt: Statement, then: int, fails: int, cancelled: int) -> int:
        match stmt:
            case Do(number=number, op=op):
                ways: Ways = dict.fromkeys((Outcome.REFUSED, Outcome.FAILED, Outcome.TIMED_OUT), (fails,))
                ways |= {Outcome.DONE: (then,), Outcome.CANCELLED: (cancelled,)}
                if op.act is Act.LISTEN:
                    condition = resources[op.on]
                    assert isinstance(condition, Condition)
                    return points.listen(op, condition.lock, ways, str(number))
                return points.add(op, ways, str(number))
            case Either(one=one, other=other):
                return points.choose((block(one, then, fails, cancelled), block(other, then, fails, cancelled)))
            case If(op=op, body=inner):
                ways = {Outcome.DONE: (block(inner, then, fails, cancelled),), Outcome.REFUSED: (then,)}
                return points.add(op, ways)
            case While(op=op, body=inner):
                head = points.new()
                return points.set(head, op, {Outcome.DONE: (block(inner, head, fails, cancelled),), Outcome.REFUSED: (then,)})
            case Forever(body=inner):
                head = points.new()
                return points.set(head, Op(Act.CHOOSE), {Outcome.DONE: (block(inner, head, fails, cancelled),)})
            case Catching(body=inner):
                return block(inner, then, then, cancelled)
            case Finally(body=inner, final=final):
                failing, cancelling = (block(final, way, fails, cancelled) for way in (fails, cancelled))
                return block(inner, block(final, then, fails, cancelled), failing, cancelling)

    ends = [points.add(Op(Act.CHOOSE), {Outcome.DONE: (end,)}) for end in (RETURNED, FAILED, CANCELLED)]
    if not group:
        return points.automaton(block(body, *ends))
    returned, failed, cancelled = ends

    def leaving(end: int, then: int | None) -> int:
        """The wait for the group. `then`: where a cancellation leads; None: back to it, as the group is cancelled already."""
        wait = points.new()
        ways: Ways = {Outcome.DONE: (end,), Outcome.FAILED: (failed,), Outcome.CANCELLED: (wait if then is None else then,)}
        return points.set(wait, Op(Act.GROUP, units=group), ways, LEAVING)

    def aborting(end: int) -> int:
        return points.add(Op(Act.CANCEL, units=group), {Outcome.DONE: (leaving(end, None),)})

    left = (leaving(returned, aborting(cancelled)), aborting(failed), aborting(cancelled))
    start = block(body, *left)
    for unit in reversed(group):
        start = points.add(Op(Act.SPAWN, units=(unit,)), {Outcome.DONE: (start,)})
    return points.automaton(start)


LEAVING = "leaving"
"""The place of who waits for the group to end."""


# --- for a real event loop


class Failed(Exception):
    pass


@dataclass
class Running:
    """A program at work on the loop that runs. `at`: the operation that each unit is in, or how it ended."""

    program: Program
    choose: Callable[[int], int]
    tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    at: list[str] = field(default_factory=list)
    is_over: bool = False
    """What is thrown away unwinds: then nothing must happen any more."""

    def start(self) -> None:
        self.resources: list[object] = []
        for resource in self.program.resources:
            self.resources.append(_real(resource, self.resources))
        self.values = [0] * len(self.resources)
        self.at = [""] * len(self.program.bodies)
        loop = asyncio.get_running_loop()
        self.tasks = {n: loop.create_task(self._unit(n)) for n in range(len(self.program.bodies)) if n not in self.program.group}

    def end(self) -> tuple[str, ...]:
        """How each unit ended, or the operation that it is still in; nothing for one that was never started."""
        self.is_over = True
        for resource in self.resources:
            if isinstance(resource, asyncio.Condition):
                resource.acquire = _at_once  # type: ignore[method-assign]
        return tuple(_how(self.tasks[n]) if n in self.tasks and self.tasks[n].done() else at for n, at in enumerate(self.at))

    async def _unit(self, number: int) -> None:
        if number or not self.program.group:
            await self._block(number, self.program.bodies[number])
            return
        async with asyncio.TaskGroup() as group:
            group._tasks = _InOrder()  # type: ignore[assignment]
            self.tasks |= {n: group.create_task(self._unit(n)) for n in self.program.group}
            try:
                await self._block(number, self.program.bodies[number])
            finally:
                self.at[number] = LEAVING

    async def _block(self, unit: int, body: Block) -> None:
        for stmt in body:
            if self.is_over:
                return
            match stmt:
                case Do(number=number, op=op):
                    self.at[unit] = str(number)
                    await self._do(op)
                case Either(one=one, other=other):
                    await self._block(unit, (one, other)[self.choose(2)])
                case If(op=op, body=inner):
                    if self._holds(op):
                        await self._block(unit, inner)
                case While(op=op, body=inner):
                    while not self.is_over and self._holds(op):
                        await self._block(unit, inner)
                case Forever(body=inner):
                    while not self.is_over:
                        await self._block(unit, inner)
                case Finally(body=inner, final=final):
                    try:
                        await self._block(unit, inner)
                    finally:
                        await self._block(unit, final)
                case Catching(body=inner):
                    with suppress(Failed):
                        await self._block(unit, inner)

    async def _do(self, op: Op) -> None:
        try:
            if op.timed:
                async with asyncio.timeout(1):
                    await self._act(op)
            else:
                await self._act(op)
        except (asyncio.QueueEmpty, asyncio.QueueFull, TimeoutError, ValueError, RuntimeError, *_SHUT) as error:
            if not self.is_over:
                raise Failed from error

    async def _act(self, op: Op) -> None:
        if isinstance(self.program.resources[op.on], Flag) and op.on >= 0:
            self._change(op)
            return
        if op.on >= 0:
            await self._on(self.resources[op.on], op)
            return
        others = [self.tasks[unit] for unit in op.units]
        match op.act:
            case Act.PAUSE:
                await asyncio.sleep(0)
            case Act.CANCEL:
                for other in others:
                    other.cancel()
            case Act.GATHER:
                await asyncio.gather(*others)
            case _:
                await (asyncio.shield(others[0]) if op.shielded else others[0])

    def _holds(self, op: Op) -> bool:
        value = self.values[op.on]
        return value == op.value if op.act is Act.EQUALS else value < op.value if op.act is Act.LESS else bool(value)

    def _change(self, op: Op) -> None:
        value = self.values[op.on]
        if op.act is Act.TAKE and not value:
            raise ValueError
        self.values[op.on] = op.value if op.act is Act.ASSIGN else value + (1 if op.act is Act.ADD else -1)

    async def _on(self, on: object, op: Op) -> None:
        match op.act, on:
            case Act.SEND, asyncio.Queue():
                await on.put(0)
            case Act.TRY_SEND, asyncio.Queue():
                on.put_nowait(0)
            case Act.RECEIVE, asyncio.Queue():
                await on.get()
            case Act.TRY_RECEIVE, asyncio.Queue():
                on.get_nowait()
            case Act.TASK_DONE, asyncio.Queue():
                on.task_done()
            case Act.DRAINED, asyncio.Queue():
                await on.join()
            case Act.CLOSE, asyncio.Queue():
                on.shutdown()
            case Act.ACQUIRE, asyncio.Semaphore() | asyncio.Lock():
                await on.acquire()
            case Act.RELEASE, asyncio.Semaphore() | asyncio.Lock():
                on.release()
            case Act.LISTEN, asyncio.Condition():
                await on.wait()
            case Act.NOTIFY, asyncio.Condition():
                on.notify_all() if op.value == ALL else on.notify(op.value)
            case Act.SET, asyncio.Event():
                on.set()
            case Act.CLEAR, asyncio.Event():
                on.clear()
            case _, asyncio.Event():
                await on.wait()


class _InOrder(dict[object, None]):
    """A set that is the same whenever the same is done to it."""

    def add(self, one: object) -> None:
        self[one] = None

    def discard(self, one: object) -> None:
        self.pop(one, None)


async def _at_once() -> Literal[True]:
    return True


_SHUT: tuple[type[Exception], ...] = (asyncio.QueueShutDown,) if HAS_SHUTDOWN else ()


def _real(resource: Resource, before: list[object]) -> object:
    match resource:
        case Channel(capacity=capacity):
            return asyncio.Queue[int](capacity or 0)
        case Lock(is_bounded=True):
            return asyncio.Lock()
        case Lock(permits=permits):
            return asyncio.Semaphore(permits)
        case Condition(lock=lock):
            inner = before[lock]
            assert isinstance(inner, asyncio.Lock)
            return asyncio.Condition(inner)
        case _:
            return asyncio.Event()


def _how(task: asyncio.Task[None]) -> str:
    if task.cancelled():
        return "cancelled"
    return "failed" if task.exception() is not None else "returned"


def end_of(system: System, state: State) -> tuple[str, ...]:
    """The same of a state of the explorer."""
    names = {RETURNED: "returned", FAILED: "failed", CANCELLED: "cancelled"}
    return tuple(
        names[it.at] if it.at < 0 else "" if it.status is Status.IDLE else unit.points[it.at].label
        for it, unit in zip(state.units, system.units, strict=True)
    )
