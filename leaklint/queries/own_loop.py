"""LK306: a coroutine that blocks the thread of its event loop until that loop has done something, or that starts the loop again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind, Waits
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.flow.state import LibraryCall
from leaklint.link.units import Unit
from leaklint.link.values import Coroutine, FunctionId, Resource
from leaklint.locks.frames import Frame, Frames
from leaklint.locks.needs import callers_of
from leaklint.locks.wakers import Wakening, Wakers
from leaklint.queries.wording import grows

_THREADS = frozenset({UnitKind.THREAD, UnitKind.JOB, UnitKind.TIMER})
_LASTING = frozenset({Waits.UNTIL_SET, Waits.UNTIL_DONE, Waits.UNTIL_DRAINED})


def own_loop(graph: Graph) -> Iterator[Leak]:
    """Waits without an `await`, in a coroutine or in what it calls, for a task of the same loop; and loops that a coroutine runs."""
    judge = _Judge(graph)
    for action in graph.program.actions:
        if action.call.operation.is_async or action.call.record.by is not None or action.function not in graph.program.live:
            continue
        if action.method.startswith("__"):  # an `await`, or the end of a block
            continue
        if action.does is Does.RUN and judge.runs_a_loop(action):
            yield _nested(graph, action)
        elif action.waits in _LASTING and action.does is not Does.RUN:
            found = judge.blocks_itself(action)
            if found is not None:
                yield _blocked(graph, action, *found)


class _Judge:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.program = graph.program
        self.wakening = Wakening(graph)
        self.frames = Frames(graph)

    # --- a loop in a loop

    def runs_a_loop(self, action: Action) -> bool:
        """Whether a coroutine runs another to its end by a loop of its own, whatever tells it that none is running."""
        program, function = self.program, action.function
        if not program.node(function).is_async or action.waits is not Waits.UNTIL_DONE:
            return False
        if not any(isinstance(program.value(o), Coroutine) for o in action.call.entries):
            return False
        place = program.place(function, action.site.number)
        return place is not None and not any(isinstance(e.stmt, ir.Try | ir.Branch) for e in place.around)

    # --- a wait that blocks the loop

    def blocks_itself(self, wait: Action) -> tuple[tuple[Frame, ...], Wakers] | None:
        """The way from a coroutine to the wait, and what the loop would have to do for the wait to end."""
        wakers = self.wakening.of(wait)
        here = next((one for one in wakers if self._needs_the_loop(wait, one)), None)
        way = self._way(wait, here) if here is not None else None
        return (way, here) if way is not None and here is not None else None

    def _needs_the_loop(self, wait: Action, wakers: Wakers) -> bool:
        if wakers.unit is not None:
            unit = wakers.unit
            return unit.kind is UnitKind.TASK and bool(unit.spawns) and all(self._is_on_the_loop(wait, spawn) for spawn in unit.spawns)
        if not self._has_one_loop or any(action.function == wait.function for action in wakers.operations):
            return False
        return bool(wakers.operations) and all(self._is_in_coroutines(action.function) for action in wakers.operations)

    def _is_on_the_loop(self, wait: Action, spawn: LibraryCall) -> bool:
        """Whether a task is given to the loop that runs the one who waits: the running loop, asked for in place or kept in a program that
        has no other."""
        loops = {o for variable in spawn.formals.get("loop", ()) for o in self.program.holds(variable)}
        makers = [a for o in loops if isinstance(value := self.program.value(o), Resource) for a in self.program.at(value.site)]
        if not loops or not makers or any(a.does is not Does.OBSERVE for a in makers):
            return False
        return self._has_one_loop or all(a.function == wait.function for a in makers)

    @cached_property
    def _has_one_loop(self) -> bool:
        """Whether the program makes no loop beside the running one, and no thread of it runs one."""
        program = self.program
        if any(a.does is Does.MAKE and any(program.kind(o) is Kind.LOOP for o in a.call.made) for a in program.actions):
            return False
        in_threads = program.reached(entry for unit in program.units if unit.kind in _THREADS for entry in unit.entries)
        return not any(self._runs(action) for function in in_threads for action in program.actions_in(function))

    def _runs(self, action: Action) -> bool:
        """Whether the operation runs a loop, for one coroutine or for ever."""
        if action.does is Does.RUN:
            return action.waits is Waits.UNTIL_DONE
        return action.does is Does.WAIT and any(self.program.kind(o) is Kind.LOOP for o in action.subjects)

    def _is_in_coroutines(self, function: FunctionId) -> bool:
        """Whether only coroutines come to the function."""
        return all(self.program.node(root).is_async for root in self.program.roots(function))

    def _way(self, wait: Action, wakers: Wakers) -> tuple[Frame, ...] | None:
        """A way from a coroutine through plain functions to the wait, on which nobody asks for the loop that is running, and all that the
        task is given comes from the coroutine."""
        program = self.program
        for function in sorted(callers_of(self.graph, (wait.function,)) & program.live):
            if program.node(function).is_async and not program.node(function).is_generator:
                for way in self.frames.to(function, wait):
                    if any(program.node(frame.function).is_async or self.frames.asks_who_runs(frame) for frame in way[1:]):
                        continue
                    if wakers.unit is None or all(self._has_the_loop(way, spawn) for spawn in wakers.unit.spawns):
                        return way
        return None

    def _has_the_loop(self, way: tuple[Frame, ...], spawn: LibraryCall) -> bool:
        """Whether the loop that a task is given to, where that is a parameter, is what the coroutine gives for it."""
        loop = spawn.given.get("loop")
        parameters = {p.name for p in self.program.node(way[-1].function).parameters}
        if spawn.record.function != way[-1].function or not (isinstance(loop, ir.Name) and loop.id in parameters):
            return True
        return self.frames.named(way, loop) is not None


# --- for people


def _blocked(graph: Graph, wait: Action, way: tuple[Frame, ...], wakers: Wakers) -> Leak:
    program, function = graph.program, way[0].function
    name = min(program.describe(o) for o in wait.subjects)
    calls = [
        graph.step(frame.function, frame.call.at, f"`{graph.qualname(frame.function)}` calls `{graph.qualname(frame.call.callee)}` here")
        for frame in way
        if frame.call is not None
    ]
    needed = _needed(wakers.unit) if wakers.unit is not None else f"`{graph.qualname(wakers.operations[0].function)}` to go on"
    by = wakers.unit.spawns[0].record if wakers.unit is not None else wakers.operations[0].call.record
    often = graph.recurrences.of(function)
    trace = (
        graph.step(by.function, by.at, f"this needs the event loop: {needed}"),
        *calls,
        graph.step(wait.function, wait.at, "the loop's own thread waits here, and the loop can run nothing meanwhile"),
    )
    facts = {"unit": graph.qualname(function), "object": name, "growth": grows(graph, often, "blocked loop", function)}
    return Leak(
        program.path(wait.function.module), wait.at, graph.qualname(wait.function), facts, Confidence.LIKELY, often.growth, trace, "loop"
    )


def _needed(unit: Unit) -> str:
    return f"it has to run `{unit.name}`"


def _nested(graph: Graph, action: Action) -> Leak:
    program, function = graph.program, action.function
    often = graph.recurrences.of(function)
    entries = ", ".join(sorted(graph.qualname(f) for f in program.entries(action.call)))
    trace = (
        graph.step(function, program.node(function).at, f"`{graph.qualname(function)}` is a coroutine: an event loop runs it"),
        graph.step(function, action.at, f"it has a loop run `{entries}` and waits for that, but its thread has a running loop already"),
    )
    facts = {"unit": graph.qualname(function), "object": entries, "growth": grows(graph, often, "failed call", function)}
    return Leak(program.path(function.module), action.at, graph.qualname(function), facts, Confidence.LIKELY, often.growth, trace, "nested")
