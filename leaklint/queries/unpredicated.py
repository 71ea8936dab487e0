"""LK505: a wait on a condition that does not look at the state first, so that a notify sent before it is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.finding import Confidence, Leak, Step
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import subexpressions
from leaklint.link.values import FunctionId
from leaklint.locks.quiet import Quiet
from leaklint.locks.signals import Signal, Signals
from leaklint.paths import EXCEPTIONAL, Node
from leaklint.queries.wording import grows

_UNTESTED, _TESTED, _STALE = 1, 2, 4
"""Before the lock is taken: nothing was tested; something was, and nobody can have run since; something was, some time ago."""


def unpredicated(graph: Graph, signals: Signals, quiet: Quiet) -> Iterator[Leak]:
    """Between taking the lock and waiting nothing is looked at and nothing is set going: who notifies may have been there before."""
    told: set[tuple[tuple[int, int], int]] = set()
    for function, waits in sorted(signals.waits.items()):
        for wait in waits:
            key = (function.source, wait.site.number)
            if key in told or not _may_last(graph, wait) or not all(graph.program.kind(o) is Kind.CONDITION for o in wait.subjects):
                continue
            found = signals.of(wait.subjects, function)
            if not found or any(signals.repeats(signal.action) for signal in found) or _passes_on(graph, quiet, wait):
                continue
            taken = _taken_blindly(graph, quiet, wait)
            if taken is not None:
                told.add(key)
                yield _leak(graph, wait, found[0], taken)


def _may_last(graph: Graph, wait: Action) -> bool:
    """Whether the wait tests nothing by itself, and may have no bound: a timeout that is a parameter may be None if it is by default."""
    if "predicate" in wait.call.operation.params:
        return False
    if graph.program.blocks(wait):
        return True
    match wait.call.given.get(wait.call.operation.timeout or ""):
        case ir.Name(id=name):
            parameters = graph.program.node(wait.function).parameters
            return any(p.name == name and p.default == ir.Constant("none", "None") for p in parameters)
        case _:
            return False


def _passes_on(graph: Graph, quiet: Quiet, wait: Action) -> bool:
    """Whether all that follows the wait is to signal others: who relays a call looks at no state, those whom it wakes do."""
    function, signals = wait.function, False
    waits = graph.paths(function).of(wait.site.number)
    seen = {id(node) for node in waits}
    todo = [target for node in waits for edge, target in node.successors if edge not in EXCEPTIONAL]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if _only_signals(graph, wait, node):
            signals = True
        elif not quiet.at(function, node, None):
            return False
        todo += [target for edge, target in node.successors if edge not in EXCEPTIONAL]
    return signals


def _only_signals(graph: Graph, wait: Action, node: Node) -> bool:
    """Whether the node signals something else than what is waited for, and does nothing else."""
    sites = [wait.function.site(number) for number in node.sites()]
    actions = [action for site in sites for action in graph.program.at(site)]
    told = bool(actions) and all(action.does is Does.SIGNAL and not action.subjects & wait.subjects for action in actions)
    return told and all(graph.program.at(site) for site in sites)


@dataclass(frozen=True, slots=True)
class _Blind:
    """A way from taking the lock, in `function`, to the wait, on which nothing is looked at; `test` comes before it, if there is one."""

    function: FunctionId
    taken: Node
    test: Node | None


def _taken_blindly(graph: Graph, quiet: Quiet, wait: Action) -> _Blind | None:
    """Where the lock is taken from which the wait is reached without a look at anything. None: there is no such place, or what was tested
    cannot have changed before the wait. A function that takes no lock is a part of those that call it."""
    program, function = graph.program, wait.function
    waits = {id(node) for node in graph.paths(function).of(wait.site.number)}
    if any(_takes(graph, wait, function, node) for node in graph.paths(function).nodes):
        return _blindly_in(graph, quiet, wait, function, waits)
    if quiet.way(function, [graph.paths(function).entry], lambda one: id(one) in waits, None) is None:
        return None
    for caller in sorted(program.callers.get(function, frozenset()) & program.live):
        calls = {id(node) for number in graph.calls_to(caller, function) for node in graph.paths(caller).of(number)}
        if (found := _blindly_in(graph, quiet, wait, caller, calls)) is not None:
            return found
    return None


def _blindly_in(graph: Graph, quiet: Quiet, wait: Action, function: FunctionId, goals: set[int]) -> _Blind | None:
    states, test = _tests(graph, quiet, wait, function)
    for node in graph.paths(function).nodes:
        if not _takes(graph, wait, function, node) or not states.get(id(node), _UNTESTED) & ~_TESTED:
            continue
        starts = [target for edge, target in node.successors if edge not in EXCEPTIONAL]
        if quiet.way(function, starts, lambda one: id(one) in goals, None) is not None:
            return _Blind(function, node, test if states.get(id(node), 0) & _STALE else None)
    return None


def _takes(graph: Graph, wait: Action, function: FunctionId, node: Node) -> bool:
    """Whether the node takes the lock of the condition."""
    program = graph.program
    locks = wait.subjects | frozenset(
        o for obj in wait.subjects for o in program.holds(program.state.solver.known(("attribute", obj, "()wraps")))
    )
    for number in node.sites():
        for action in program.at(function.site(number)):
            if action.does is Does.ACQUIRE and action.subjects & locks and (node.kind == "enter" or not action.method.startswith("__")):
                return True
    return False


def _tests(graph: Graph, quiet: Quiet, wait: Action, function: FunctionId) -> tuple[dict[int, int], Node | None]:
    """For each node what was tested before it, and a test of shared state. In a thread anybody may run at any time; in a task only where
    it gives way, and taking a lock that nobody holds is none of these."""
    is_async = wait.call.operation.is_async
    before = _before(graph, quiet, wait, function) if is_async else _UNTESTED
    return _flow(graph, quiet, wait, function, before)


def _before(graph: Graph, quiet: Quiet, wait: Action, function: FunctionId) -> int:
    """What those have tested who make the coroutine that takes the lock and run it at once."""
    program = graph.program
    in_sight = program.node(function).parent or function not in program.openness.callable
    if not in_sight or function in program.entered_by:
        return _UNTESTED
    found = 0
    for record in program.calls_of(function):
        states, _ = _flow(graph, quiet, wait, record.function, _UNTESTED)
        for node in graph.paths(record.function).of(record.site.number):
            found |= states.get(id(node), _UNTESTED)
    return found or _UNTESTED


def _flow(graph: Graph, quiet: Quiet, wait: Action, function: FunctionId, before: int) -> tuple[dict[int, int], Node | None]:
    is_async = wait.call.operation.is_async
    paths = graph.paths(function)
    states: dict[int, int] = {id(paths.entry): before}
    test: Node | None = None
    todo = [paths.entry]
    while todo:
        node = todo.pop()
        after = states[id(node)]
        if node.kind == "test" and not quiet.at(function, node, None):
            test = test or node
            after = _TESTED if is_async else _STALE
        elif is_async and after & _TESTED and not _takes(graph, wait, function, node) and _gives_way(graph, function, node):
            after = after & ~_TESTED | _STALE
        for edge, target in node.successors:
            if edge not in EXCEPTIONAL and states.get(id(target), 0) | after != states.get(id(target), 0):
                states[id(target)] = states.get(id(target), 0) | after
                todo.append(target)
    return states, test


def _gives_way(graph: Graph, function: FunctionId, node: Node) -> bool:
    if node.kind in ("enter", "exit", "step") and isinstance(node.stmt, ir.With | ir.For) and node.stmt.is_async:
        return True
    awaits = (one for part in node.parts for one in subexpressions(part) if isinstance(one, ir.Await))
    return any(graph.program.suspending.at(function, one) for one in awaits)


def _leak(graph: Graph, wait: Action, signal: Signal, blind: _Blind) -> Leak:
    program, function, notify = graph.program, wait.function, signal.action
    name = min(program.describe(o) for o in wait.subjects)
    often = graph.recurrences.of(function)
    steps: list[Step] = []
    if blind.test is not None and (at := getattr(blind.test.stmt, "at", None)) is not None:
        steps.append(graph.step(blind.function, at, "the state is tested here, before the lock is taken"))
    if (at := getattr(blind.taken.stmt, "at", None)) is not None:
        steps.append(graph.step(blind.function, at, "the lock is taken here, and nothing is tested under it"))
    steps.append(graph.step(notify.function, notify.at, f"`{graph.qualname(notify.function)}` may have notified by then: nobody heard it"))
    steps.append(graph.step(function, wait.at, "this waits for the next notify, which may never come"))
    return Leak(
        program.path(function.module), wait.at, graph.qualname(function),
        {"object": name, "function": graph.qualname(function) or "the module", "growth": grows(graph, often, "waiting caller", function)},
        Confidence.LIKELY, often.growth, tuple(steps), "default" if blind.test is None else "stale",
    )  # fmt: skip
