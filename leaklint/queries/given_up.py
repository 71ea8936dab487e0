"""LK110: an answer to somebody who has given up waiting, which raises and ends the unit that answers all others."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.thrown import Thrown, catches, types_of
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.paths.semantics import semantics
from leaklint.queries.wording import grows

_UNITS = frozenset({UnitKind.TASK, UnitKind.THREAD})
_DONE_ALREADY = Thrown("InvalidStateError")
_REMOVALS = frozenset({"pop", "popitem", "popleft", "remove", "discard", "clear"})


def given_up(graph: Graph) -> Iterator[Leak]:
    """A future is set that nobody asks whether it is done, by a unit that answers many in a loop and does not expect an error there. Who
    waits for it may run out of time, which cancels the future and leaves it where the unit finds it."""
    program = graph.program
    told: set[tuple[tuple[int, int], int]] = set()
    impatient: dict[int, Action | None] = {}
    for answer in program.actions:
        key = (answer.function.source, answer.site.number)
        if answer.does is not Does.SIGNAL or answer.call.record.by is not None or answer.function not in program.live or key in told:
            continue
        for obj in sorted(answer.subjects):
            if obj not in impatient:
                impatient[obj] = next((a for a in program.on(obj) if _gives_up(graph, a, obj)), None) if _lies_about(graph, obj) else None
            wait = impatient[obj]
            unit = _server(graph, answer, obj) if wait is not None and wait.function != answer.function else None
            if wait is not None and unit is not None:
                told.add(key)
                yield _leak(graph, answer, obj, wait, unit)
                break


def _lies_about(graph: Graph, obj: int) -> bool:
    """Whether it is a future that awaiting within a time limit cancels, and that lies in a container or a channel."""
    program = graph.program
    model = program.model(obj)
    awaitable = model is not None and model.kind is Kind.FUTURE and "__await__" in model.methods
    return awaitable and obj not in program.handles and obj in program.in_containers


def _gives_up(graph: Graph, action: Action, obj: int) -> bool:
    """Whether it waits for the future, for some time only, and cancels it then; and the function does not take anything out of where the
    future lies."""
    program = graph.program
    if action.function not in program.live or action.deferred:
        return False
    limited = action.does is Does.BOUND and action.bounded
    within = action.does is Does.WAIT and action.method == "__await__" and not program.blocks(action)
    shields = (a for a in program.actions_in(action.function) if a.does is Does.SHIELD and obj in a.subjects)
    return (limited or within) and not any(shields) and not _takes_out(program.node(action.function))


def _takes_out(function: ir.Function) -> bool:
    for stmt in walk(function.body):
        if isinstance(stmt, ir.Delete) and any(isinstance(target, ir.Subscript) for target in stmt.targets):
            return True
        calls = (one.function for part in expressions(stmt) for one in subexpressions(part) if isinstance(one, ir.Call))
        if any(isinstance(one, ir.Attribute) and one.name in _REMOVALS for one in calls):
            return True
    return False


# --- who answers


def _server(graph: Graph, answer: Action, obj: int) -> Unit | None:
    """The unit that an error at the answer ends, though it has others to answer: it comes to it in a loop."""
    program = graph.program
    roots = program.roots(answer.function)
    if len(roots) != 1 or _asks(graph, answer.function, obj):
        return None
    (entry,) = roots
    units = program.entered_by.get(entry, ())
    if not units or entry in program.openness.callable or any(unit.kind not in _UNITS or _is_watched(graph, unit) for unit in units):
        return None
    return units[0] if _is_let_through(graph, answer.function, answer.site.number, entry, frozenset(), obj, looped=False) else None


def _is_let_through(
    graph: Graph, function: FunctionId, number: int, entry: FunctionId, around: frozenset[FunctionId], obj: int, *, looped: bool
) -> bool:
    """Whether on every chain of calls from the entry to a place the error comes back to the entry, and the place is in a loop."""
    place = graph.program.place(function, number)
    if place is None or function in around:
        return False
    swallows = semantics(graph.program, function).swallowed
    for one in place.around:
        match one.stmt:
            case ir.Try(handlers=handlers) if one.block == "body":
                if any(catches(types_of(handler.type), _DONE_ALREADY) is not False for handler in handlers):
                    return False
            case ir.With(items=items) if one.block == "body":
                if any(catches(swallows(item), _DONE_ALREADY) is not False for item in items):
                    return False
            case _:
                pass
    looped = looped or bool(place.loops)
    if function == entry:
        return looped
    callers = graph.program.callers.get(function, frozenset())
    return bool(callers) and all(
        not _asks(graph, caller, obj)
        and all(_is_let_through(graph, caller, n, entry, around | {function}, obj, looped=looped) for n in graph.calls_to(caller, function))
        for caller in callers
    )


def _asks(graph: Graph, function: FunctionId, obj: int) -> bool:
    """Whether the function looks whether the future is done."""
    return any(a.does is Does.OBSERVE and obj in a.subjects for a in graph.program.actions_in(function))


def _is_watched(graph: Graph, unit: Unit) -> bool:
    """Whether somebody is called when the unit ends: it may start it again."""
    return any(a.does is Does.REGISTER for o in unit.handle for a in graph.program.on(o))


def _leak(graph: Graph, answer: Action, obj: int, wait: Action, unit: Unit) -> Leak:
    program, function = graph.program, answer.function
    qualname = graph.qualname(function)
    name = program.describe(obj)
    often = graph.recurrences.of(wait.function)
    start = unit.spawns[0].record
    trace = (
        graph.step(start.function, start.at, f"`{unit.name}` starts here, and answers one after another"),
        graph.step(wait.function, wait.at, f"who waits here gives up after some time; that cancels `{name}`, which stays where it is"),
        graph.step(function, answer.at, f"then this raises `InvalidStateError`, and `{unit.name}` ends"),
    )
    facts = {"object": name, "function": qualname, "unit": unit.name, "growth": grows(graph, often, "waiter", wait.function)}
    return Leak(program.path(function.module), answer.at, qualname, facts, Confidence.LIKELY, often.growth, trace, "impatient")
