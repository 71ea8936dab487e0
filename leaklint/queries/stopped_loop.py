"""LK110: a thread waits for a job of a loop that others stop with the job undone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Gives, Kind, UnitKind
from leaklint.exits.bounds import may_last
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import subexpressions, walk
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.locks.needs import callers_of
from leaklint.queries.wording import grows


def stopped_loop(graph: Graph) -> Iterator[Leak]:
    """A thread gives a job to a loop that runs in another one, and waits for the result without a bound. Somebody else stops the loop,
    and neither ends the jobs that it still has nor keeps new ones away."""
    told: set[tuple[tuple[int, int], int]] = set()
    for unit in graph.program.units:
        loops = _loops(graph, unit)
        for wait in _waits(graph, unit) if loops else ():
            key = (wait.function.source, wait.site.number)
            stop = next((s for s in _stops(graph, loops) if _overtakes(graph, wait, s, loops)), None) if key not in told else None
            if stop is not None:
                told.add(key)
                yield _leak(graph, wait, min(loops & stop.subjects), stop)


def _loops(graph: Graph, unit: Unit) -> frozenset[int]:
    """The loops that are given a job whose result is for another thread: nobody can await it. They run in threads of their own."""
    program = graph.program
    models = [program.model(obj) for obj in unit.handle]
    if unit.made is None or unit.kind is not UnitKind.TASK or not models:
        return frozenset()
    if any(model is None or model.kind is not Kind.FUTURE or "__await__" in model.methods for model in models):
        return frozenset()
    given = (o for variables in unit.made.formals.values() for v in variables for o in program.holds(v))
    return frozenset(o for o in given if program.kind(o) is Kind.LOOP and any(_runs_in_thread(graph, a) for a in program.on(o)))


def _runs_in_thread(graph: Graph, action: Action) -> bool:
    """Whether it runs a loop until it is stopped, in a thread."""
    if action.does is not Does.WAIT or action.function not in graph.program.live:
        return False
    by = action.call.record.by
    if by is not None:  # it is what the thread is made with
        return any(unit.kind is UnitKind.THREAD and unit.made is by for unit in graph.program.units)
    return any(runner.kind is UnitKind.THREAD for runner in graph.runners(action.function))


def _waits(graph: Graph, unit: Unit) -> list[Action]:
    found = (a for o in sorted(unit.handle) for a in graph.program.on(o) if a.does is Does.WAIT and not a.deferred)
    return [a for a in found if a.function in graph.program.live and a.call.record.by is None and may_last(graph, a)]


def _stops(graph: Graph, loops: frozenset[int]) -> list[Action]:
    found = (a for o in sorted(loops) for a in graph.program.on(o) if a.does is Does.SIGNAL)
    return [a for a in found if a.function in graph.program.live]


def _overtakes(graph: Graph, wait: Action, stop: Action, loops: frozenset[int]) -> bool:
    """Whether the loop may be stopped while somebody waits, or before: what comes to the wait is no part of what stops the loop, and asks
    nothing that this has told."""
    program = graph.program
    closing = callers_of(graph, {stop.function})
    if wait.function in program.reached({stop.function}) or program.roots(wait.function) <= closing:
        return False
    near = {stop.function, *_above(graph, {stop.function}, 2)}
    if _ends_jobs(graph, near | {a.function for o in loops & stop.subjects for a in program.on(o) if _runs_in_thread(graph, a)}):
        return False
    flags = {name for f in near for s in walk(program.node(f).body) if isinstance(s, ir.Bind) for t in s.targets for name in _own(t)}
    asking = {wait.function, *_above(graph, {wait.function}, 2)}
    return not any(_asks(graph, function, flags, loops) for function in asking)


def _above(graph: Graph, functions: Iterable[FunctionId], calls: int) -> set[FunctionId]:
    found, near = set[FunctionId](), set(functions)
    for _ in range(calls):
        near = {caller for one in near for caller in graph.program.callers.get(one, ())} - found
        found |= near
    return found


def _ends_jobs(graph: Graph, functions: Iterable[FunctionId]) -> bool:
    """Whether tasks are cancelled that nobody has started by name, as all that a loop has; or the loop is run until something is done."""
    program = graph.program
    for action in (a for function in program.reached(functions) for a in program.actions_in(function)):
        if action.does is Does.CANCEL and not (action.subjects and action.subjects <= program.handles):
            return True
        if action.does is Does.RUN and action.subjects and any(program.kind(o) is Kind.LOOP for o in action.subjects):
            return True
        if action.does is Does.RUN and action.call.subject is not None and program.kind(action.call.subject) is Kind.LOOP:
            return True
    return False


def _own(target: ir.Expr) -> tuple[str, ...]:
    return (target.name,) if isinstance(target, ir.Attribute) and isinstance(target.base, ir.Name) else ()


def _asks(graph: Graph, function: FunctionId, flags: set[str], loops: frozenset[int]) -> bool:
    """Whether a function asks the loop how it is, or tests what is bound where it is stopped."""
    program = graph.program
    looks = (a for a in program.actions_in(function) if a.does is Does.OBSERVE and a.call.operation.returns in (None, Gives.OBJECT))
    if any(a.subjects & loops for a in looks):
        return True
    for stmt in walk(program.node(function).body):
        match stmt:
            case ir.Branch(test=test) | ir.While(test=test) | ir.Assert(test=test):
                words = {one.name for one in subexpressions(test) if isinstance(one, ir.Attribute)}
                if words & flags:
                    return True
            case _:
                pass
    return False


def _leak(graph: Graph, wait: Action, loop: int, stop: Action) -> Leak:
    program = graph.program
    name = program.describe(loop)
    often = graph.recurrences.of(wait.function)
    trace = (
        graph.step(wait.function, wait.at, f"this waits without a bound for a job that is given to `{name}`"),
        graph.step(stop.function, stop.at, f"`{name}` is stopped here, and with it all that it has not done yet"),
        graph.step(wait.function, wait.at, "then nobody runs the job any more, and this waits for ever"),
    )
    facts = {
        "object": name,
        "function": graph.qualname(wait.function),
        "unit": graph.qualname(stop.function),
        "growth": grows(graph, often, "waiter", wait.function),
    }
    return Leak(program.path(wait.function.module), wait.at, facts["function"], facts, Confidence.LIKELY, often.growth, trace, "stopped")
