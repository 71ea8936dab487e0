"""LK302: the losers of a first-of-many wait are left running."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, Waits
from leaklint.finding import Confidence, Growth, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.program import Unit
from leaklint.link.scopes import expressions, subexpressions, walk
from leaklint.link.values import Coroutine
from leaklint.queries.query import NoOptions
from leaklint.queries.stopping import in_program
from leaklint.queries.wording import grows


def left_pending(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A wait that can return before all are done, over tasks made for it in the same function, that nobody cancels or awaits."""
    program = graph.program
    for action in program.actions:
        if action.does is not Does.WAIT or action.function not in program.live or not action.call.operation.subject:
            continue
        if not (action.waits is Waits.UNTIL_FIRST or (action.bounded and action.waits is Waits.UNTIL_DONE)):
            continue
        if action.call.operation.returns == "subject" and not _left_early(graph, action):
            continue
        losers = _losers(graph, action)
        if losers and not _only_at_the_end(graph, action, losers):
            yield _leak(graph, action, losers)


def _left_early(graph: Graph, action: Action) -> bool:
    """A loop over `as_completed` that is left before its end."""
    place = graph.program.place(action.function, action.site.number)
    if place is None or not isinstance(place.stmt, ir.For):
        return False
    return any(isinstance(s, ir.Return) or (isinstance(s, ir.Jump) and s.kind == "break") for s in walk(place.stmt.body))


def _losers(graph: Graph, action: Action) -> list[Unit]:
    """The units made for this wait that nothing ends, awaits or keeps afterwards."""
    program = graph.program
    found: list[Unit] = []
    for unit in program.units:
        made = unit.made
        if made is None or made.record.function != action.function:
            continue
        inline = made is action.call and any(isinstance(program.value(o), Coroutine) for o in made.entries)
        if not inline and not unit.handle & action.subjects:
            continue
        if any(_is_looked_after(graph, obj, action) for obj in unit.handle):
            continue
        found.append(unit)
    return found


def _is_looked_after(graph: Graph, obj: int, action: Action) -> bool:
    program = graph.program
    if program.opened(obj) is not None or program.kind(obj) not in (Kind.TASK, Kind.FUTURE):
        return True
    for other in program.on(obj):
        if other is action or other.site == action.site:
            continue
        if other.does is Does.CANCEL and other.function in program.live:
            return True
        if other.does in (Does.JOIN, Does.WAIT, Does.BOUND, Does.SHIELD) and not _only_the_done(graph, other, action):
            return True
    return obj in program.kept_on_objects


def _only_the_done(graph: Graph, other: Action, action: Action) -> bool:
    """Awaiting what the wait says is done ends no loser: `for t in done: await t`."""
    program = graph.program
    node = program.node(other.function)
    names: dict[str, str] = {}
    for stmt in walk(node.body):
        match stmt:
            case ir.Bind(targets=(ir.Display(items=(ir.Name(id=first), ir.Name(id=second))),)):
                names[first], names[second] = "done", "pending"
            case ir.For(target=ir.Name(id=each), iterable=ir.Name(id=over)) if over in names:
                names[each] = names[over]
            case _:
                pass
    place = program.place(other.function, other.site.number)
    if place is None:
        return False
    used = {e.id for e in _names_of(place.stmt, other.site.number)}
    return bool(used) and all(names.get(name) == "done" for name in used)


def _names_of(stmt: ir.Stmt, site: int) -> Iterator[ir.Name]:
    for expression in expressions(stmt):
        for part in subexpressions(expression):
            if isinstance(part, ir.Await) and part.site == site and isinstance(part.value, ir.Name):
                yield part.value


def _only_at_the_end(graph: Graph, action: Action, losers: list[Unit]) -> bool:
    """The program's own main coroutine, once: what is left then is cancelled when the program ends."""
    return graph.runs_once(action.function) and all(in_program(graph, unit) for unit in losers)


def _leak(graph: Graph, action: Action, losers: list[Unit]) -> Leak:
    program = graph.program
    growth = Growth.ONCE if graph.runs_once(action.function) else Growth.PER_CALL
    names = sorted({unit.name for unit in losers})
    trace = (
        *(graph.step(u.made.record.function, u.made.record.at, f"`{u.name}` starts here, for this wait") for u in losers[:3] if u.made is not None),
        graph.step(action.function, action.at, "the wait returns before all of them are done"),
        graph.step(action.function, action.at, "nothing cancels or awaits those that are not"),
    )
    return Leak(
        program.path(action.function.module), action.at, graph.qualname(action.function),
        {"operation": action.method, "unit": ", ".join(names[:3]), "growth": grows(graph, growth, "task", action.function)},
        Confidence.LIKELY, growth, trace,
    )  # fmt: skip
