"""The explorer against really running every schedule, and against itself without its reductions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from explore.programs import Block, Do, Program, Running, end_of, some_grouped_program, some_program, system_of
from explore.schedules import every_order

from leaklint.explore.flags import OutOfBounds
from leaklint.explore.reach import Reach
from leaklint.explore.search import stuck_in, successors
from leaklint.explore.state import State, initial
from leaklint.explore.steps import movable, moves
from leaklint.explore.system import Act, Op, System
from leaklint.explore.twins import canonical

_MOST_STATES = 3_000
_MOST_ORDERS = 400
_PROGRAMS = 2_150
_AT_ONCE = 50


def _ends(system: System, most: int = _MOST_STATES) -> Iterator[State] | None:
    """The states after which nothing moves any more; None where not every state could be seen."""
    reach = Reach(system)
    start = canonical(system, initial(system))
    seen, todo, found = {start}, [start], []
    while todo:
        state = todo.pop()
        after, is_whole = successors(system, reach, state, seen)
        if not is_whole or len(seen) > most:
            return None
        if not after:
            found.append(state)
        todo += after.keys() - seen
        seen |= after.keys()
    return iter(found)


def ends_of(system: System) -> set[tuple[str, ...]] | None:
    found = _ends(system)
    return {end_of(system, state) for state in found} if found is not None else None


def really(program: Program) -> set[tuple[str, ...]] | None:
    running: list[Running] = []

    def start(choose: Callable[[int], int]) -> None:
        running[:] = [Running(program, choose)]
        running[0].start()

    found = every_order(start, lambda: running[0].end(), _MOST_ORDERS)
    return set(found) if found is not None else None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="before, gather() gave way even when all it waits for was over")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # task groups that are thrown away after their loop
@pytest.mark.parametrize("make", [some_program, some_grouped_program])
@pytest.mark.parametrize("first", range(0, _PROGRAMS, _AT_ONCE))
def test_every_end_of_every_schedule(first: int, make: Callable[[int], Program]) -> None:
    """How each unit ended, or the operation in which it is stuck: in all orders that an event loop can choose, and in no other."""
    compared = 0
    for seed in range(first, first + _AT_ONCE):
        program = make(seed)
        if program.group and any(op.act is Act.GATHER for body in program.bodies for op in _ops(body)):
            continue  # which of a gather() and a group hears first of a failure is not modelled
        told = ends_of(system_of(program))
        seen = really(program) if told is not None else None  # what grows without a bound may never give way
        if seen is not None:
            compared += 1
            assert told == seen, f"program {seed}"
    assert compared >= _AT_ONCE * (0.8 if make is some_program else 0.5)


@pytest.mark.parametrize("loop", [0, None])
def test_who_is_stuck_stays_so(loop: int | None) -> None:
    """In every state that any schedule comes to, whoever is said to be stuck does nothing in all that come after it."""
    seen = 0
    for seed in range(8_000, 8_120):
        system = system_of(some_program(seed), loop)
        after = _graph(system)
        if after is None:
            continue
        reach = Reach(system)
        for state in after:
            for one in stuck_in(system, reach, state):
                seen += 1
                assert all(later.units[one.unit] == state.units[one.unit] for later in _reached(after, state)), f"program {seed}"
    assert seen > 1_000


def _graph(system: System, most: int = 400) -> dict[State, set[State]] | None:
    """Every state with those that one move leads to; None where there are more."""
    todo, found = [initial(system)], dict[State, set[State]]()
    while todo:
        state = todo.pop()
        if state in found:
            continue
        try:
            found[state] = {move.state for number in movable(system, state) for move in moves(system, state, number)}
        except OutOfBounds:
            return None
        if len(found) > most:
            return None
        todo += found[state]
    return found


def _reached(after: dict[State, set[State]], state: State) -> set[State]:
    seen, todo = {state}, [state]
    while todo:
        for other in after[todo.pop()] - seen:
            seen.add(other)
            todo.append(other)
    return seen


@pytest.mark.parametrize("loop", [0, None])
def test_the_reductions_lose_no_end(loop: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    systems = [system_of(some_program(seed), loop) for seed in range(5_000, 5_150)]
    reduced = [ends_of(system) for system in systems]
    monkeypatch.setattr(Reach, "is_alone", lambda self, state, number: False)
    whole = [ends_of(system) for system in systems]
    pairs = [(one, other) for one, other in zip(reduced, whole, strict=True) if one is not None and other is not None]
    assert len(pairs) > 50
    assert all(one == other for one, other in pairs)


def test_threads_do_what_tasks_do_and_more() -> None:
    """What a schedule of tasks can come to, a schedule of threads can: they give way between any two acts."""
    more = 0
    for seed in range(6_000, 6_300):
        program = some_program(seed)
        if any(op.act in (Act.CANCEL, Act.GATHER) or op.timed for body in program.bodies for op in _ops(body)):
            continue
        tasks, threads = ends_of(system_of(program)), ends_of(system_of(program, None))
        if tasks is not None and threads is not None:
            assert tasks <= threads, f"program {seed}"
            more += tasks < threads
    assert more


def test_twins_are_one() -> None:
    """Units that do the same are told apart by nothing: fewer states, and the same ends but for their order."""
    for seed in range(7_000, 7_040):
        program = some_program(seed)
        if any(op.units for body in program.bodies for op in _ops(body)):
            continue
        doubled = Program(program.resources, (program.bodies[0], *program.bodies[:2]))
        system = system_of(doubled)
        twins = System(tuple(replace(unit, twin=0) if n < 2 else unit for n, unit in enumerate(system.units)), system.resources)
        apart, together = ends_of(system), ends_of(twins)
        assert apart is not None
        assert together is not None
        assert {tuple(sorted(end)) for end in apart} == {tuple(sorted(end)) for end in together}, f"program {seed}"


def _ops(body: Block) -> Iterator[Op]:
    for stmt in body:
        if isinstance(stmt, Do):
            yield stmt.op
        else:
            for inner in vars(stmt).values():
                yield from (inner,) if isinstance(inner, Op) else _ops(inner)
