"""LK501: an acquire that may give up, whose result nobody looks at, and a release that then gives back what somebody else holds."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.thrown import Thrown, catches, types_of
from leaklint.paths import EXCEPTIONAL
from leaklint.queries.wording import grows

_LOCKS = frozenset({Kind.LOCK, Kind.SEMAPHORE, Kind.CONDITION})
_NO = frozenset({"0", "0.0"})


def unchecked(graph: Graph) -> Iterator[Leak]:
    """`lock.acquire(timeout=5)` as a statement of its own, and a release that is reached from it."""
    told: set[tuple[tuple[int, int], int]] = set()
    for action in graph.program.actions:
        if action.does is not Does.ACQUIRE or not _may_give_up(action) or action.function not in graph.program.live:
            continue
        if not action.subjects or not all(graph.program.kind(o) in _LOCKS for o in action.subjects):
            continue
        key = (action.function.source, action.site.number)
        release = _release_after(graph, action) if key not in told else None
        if release is not None:
            told.add(key)
            yield _leak(graph, action, release)


def _may_give_up(acquire: Action) -> bool:
    """Whether it waits for a time and tells by its result, which is dropped, whether it was enough. Who does not wait at all may just make
    sure that the lock is taken."""
    if acquire.waits is None or not acquire.bounded or acquire.call.operation.is_async or acquire.call.record.by is not None:
        return False
    limit = acquire.call.given.get(acquire.call.operation.timeout or "")
    return limit is not None and not (isinstance(limit, ir.Constant | ir.Operation) and _never_gives_up(limit))


def _never_gives_up(limit: ir.Expr) -> bool:
    """`timeout=-1` waits for ever, `timeout=0` not at all."""
    return isinstance(limit, ir.Operation) or (isinstance(limit, ir.Constant) and limit.text in _NO)


def _release_after(graph: Graph, acquire: Action) -> Action | None:
    """A release that the acquire leads to in its function, whether it was successful or not."""
    program, function = graph.program, acquire.function
    nodes = graph.paths(function).of(acquire.site.number)
    dropped = [n for n in nodes if isinstance(n.stmt, ir.Evaluate) and n.stmt.value is acquire.call.record.node]
    todo = [target for node in dropped for edge, target in node.successors if edge not in EXCEPTIONAL]
    seen: set[int] = set()
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        here = [a for number in node.sites() for a in program.at(function.site(number)) if a.subjects & acquire.subjects]
        if any(a.does is Does.OBSERVE or (a.does is Does.ACQUIRE and a.site != acquire.site) for a in here):
            continue
        for action in here:
            if action.does is Does.RELEASE and not action.method.startswith("__"):
                return None if _is_expected_to_fail(graph, action) else action
        todo += [target for edge, target in node.successors if edge not in EXCEPTIONAL]
    return None


def _is_expected_to_fail(graph: Graph, release: Action) -> bool:
    """Whether the error of a release without an acquire is caught around it."""
    place = graph.program.place(release.function, release.site.number)
    tries = (e.stmt for e in place.around if isinstance(e.stmt, ir.Try) and e.block == "body") if place is not None else ()
    types = [types_of(handler.type) for stmt in tries for handler in stmt.handlers]
    return any(catches(caught, Thrown(name)) for caught in types for name in ("RuntimeError", "ValueError"))


def _leak(graph: Graph, acquire: Action, release: Action) -> Leak:
    program, function = graph.program, acquire.function
    name, qualname = min(program.describe(o) for o in acquire.subjects), graph.qualname(function)
    often = graph.recurrence([acquire.call.record])
    trace = (
        graph.step(function, acquire.at, f"this may give up, and nobody looks whether `{name}` was acquired"),
        graph.step(function, release.at, "this releases it all the same: what somebody else holds, or nothing at all"),
    )
    return Leak(
        program.path(function.module), acquire.at, qualname,
        {"object": name, "function": qualname or "the module", "growth": grows(graph, often, "wrong release", function)},
        Confidence.LIKELY, often.growth, trace, "unchecked",
    )  # fmt: skip
