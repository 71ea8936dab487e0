"""Things that a function makes for itself and forgets on some way out."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Kind
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.syntax import walk
from leaklint.link.values import FunctionId
from leaklint.obligations.custody import Custody, End, Outcome
from leaklint.obligations.uses import UNITS, Fate
from leaklint.paths import Edge, Exit
from leaklint.queries.wording import grows

FACTS = "object release function growth"
"""What the messages about ways out may use."""


def path_leaks(graph: Graph, custody: Custody, kinds: frozenset[Kind | None]) -> Iterator[Leak]:
    """The things of these kinds (None: what a pool of the program lends) that a function has in its locals alone and leaves behind:
    `nowhere` when no way releases them, `way` for an early return or an exception, `lost` when the name gets another value before,
    `cancelled` when only a cancellation or the closing of a generator comes between."""
    told: set[tuple[int, int]] = set()
    for function in sorted(graph.program.live):
        for outcome in custody.outcomes(function):
            place = function.module, outcome.acquired.record.site.number
            if outcome.acquired.thing.kind in kinds and place not in told and (end := _worst(graph, outcome)) is not None:
                told.add(place)
                yield _leak(graph, outcome, end)


def _worst(graph: Graph, outcome: Outcome) -> End | None:
    """The way to tell of, the plainest first; None where the function has reasons to let the thing go."""
    acquired = outcome.acquired
    ends = sorted(outcome.ends, key=_rank)
    if acquired.thing.kind in UNITS and Fate.SETTLED not in outcome.fates:
        return None  # started and let go: it ends by itself, or is told to by others
    if acquired.thing.debt is not None and _ends_by_itself(graph, acquired.function, acquired.thing.debt.kind):
        return None
    if graph.runs_once(acquired.function) or graph.ends_with_main(acquired.function):  # an error ends the program
        ends = [end for end in ends if end.exit_kind in (Exit.RETURN, None) or isinstance(end.node.stmt, ir.Raise)]
    if acquired.thing.is_collected:
        ends = [end for end in ends if end.exit_kind is Exit.RETURN or (end.exit_kind is not None and outcome.fates)]
    return ends[0] if ends else None


_OUTLIVES = frozenset({Kind.THREAD, Kind.PROCESS, Kind.SUBPROCESS, Kind.EXECUTOR})
"""What the end of the process waits for, or what goes on after it."""


def _ends_by_itself(graph: Graph, function: FunctionId, kind: Kind) -> bool:
    """Whether what the function leaves comes to its end together with it: with the process, or with the loop that was made for it."""
    if kind is Kind.TASK:
        return graph.ends_with_main(function) and not _answers(graph.program.node(function))
    return kind not in _OUTLIVES and graph.ends_with_process(function)


def _answers(function: ir.Function) -> bool:
    """Whether the function is called for what it returns: whoever asks once may ask again, and what it has started goes on meanwhile."""
    given = [stmt.value for stmt in walk(function.body) if isinstance(stmt, ir.Return) and stmt.value is not None]
    return any(not isinstance(value, ir.Constant) for value in given)


def _rank(end: End) -> tuple[int, bool, int]:
    order = (Exit.RETURN, None, Exit.RAISE, Exit.CLOSE, Exit.CANCEL).index(end.exit_kind)
    at = _span(end)
    return order, not isinstance(end.node.stmt, ir.Raise | ir.Return), at.line if at is not None else 0


def _span(end: End) -> ir.Span | None:
    return getattr(end.node.stmt, "at", None)


def _leak(graph: Graph, outcome: Outcome, end: End) -> Leak:
    acquired, program = outcome.acquired, graph.program
    function, record, thing = acquired.function, acquired.record, acquired.thing
    name = _name(graph, outcome)
    methods = sorted(thing.debt.methods) if thing.debt is not None else sorted(program.node(f).name for f in thing.takers)
    release = " or ".join(f"`{name}.{method}()`" for method in methods[:2])
    often = graph.recurrence([record])
    trace = [graph.step(function, record.at, f"`{name}` is got here")]
    if thing.made.site != record.site:
        trace.insert(0, graph.step(thing.made.function, thing.made.at, f"`{graph.qualname(thing.made.function)}` makes it and hands it on"))
    trace.append(graph.step(function, _span(end) or record.at, f"{_how(end)}, and `{name}` is still open"))
    trace.append(graph.step(function, record.at, _consequence(outcome)))
    return Leak(
        program.path(function.module), record.at, graph.qualname(function),
        {"object": name, "release": release, "function": graph.qualname(function), "growth": grows(graph, often, "of it", function)},
        Confidence.LIKELY, often.growth, tuple(trace), _variant(outcome, end),
    )  # fmt: skip


def _name(graph: Graph, outcome: Outcome) -> str:
    """The local that holds the thing itself; what sort of thing it is where no name tells anything."""
    acquired = outcome.acquired
    if not acquired.names:
        called = acquired.record.node.function if acquired.record.node is not None else None
        return f"{called.name if isinstance(called, ir.Attribute) else called.id if isinstance(called, ir.Name) else ''}()"
    own = (n for n in acquired.names if acquired.thing.object in graph.program.local_objects(acquired.function, (n,)))
    name = min(own, key=lambda one: (one == "_", one), default=min(acquired.names))
    return acquired.thing.kind.value if name == "_" and acquired.thing.kind is not None else name


def _variant(outcome: Outcome, end: End) -> str:
    match end.exit_kind:
        case Exit.CANCEL | Exit.CLOSE:
            return "cancelled"
        case None:
            return "lost"
        case Exit.RETURN if not outcome.fates:
            return "nowhere"
        case _:
            return "way"


def _how(end: End) -> str:
    match end.exit_kind, end.edge:
        case Exit.CANCEL, _:
            return "a cancellation may arrive here"
        case Exit.CLOSE, _:
            return "the generator may be closed here"
        case None, _:
            return "its last name gets another value here"
        case Exit.RAISE, Edge.RAISE if not isinstance(end.node.stmt, ir.Raise):
            return "this may raise"
        case _:
            return "the function is left here"


def _consequence(outcome: Outcome) -> str:
    thing = outcome.acquired.thing
    if thing.debt is None:
        return "the pool has one less to lend for ever"
    if thing.is_collected:
        return "it stays open until the garbage collector finds it"
    return "nothing else in the program refers to it, and nothing ends it"
