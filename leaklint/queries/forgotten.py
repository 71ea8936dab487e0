"""What an instance has made and nobody settles: never in the whole program, or not where its owner settles another of its kind."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.exits import ExitKind, Started, Verdict
from leaklint.finding import Confidence, Growth, Leak
from leaklint.graph import Graph
from leaklint.link.effects import Effect
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId, Instance
from leaklint.obligations.owned import Kept, Owned
from leaklint.queries.waiting import Waiting
from leaklint.queries.wording import grows
from leaklint.recurrence import Recurrence

PARTIAL_FACTS = "object teardown sibling settles growth"
"""What the messages about owners that forget some may use."""

_BLOCKS_EXIT = frozenset({Kind.THREAD, Kind.PROCESS})
_SETTLES = {
    Kind.TASK: ("cancels or awaits", ""),
    Kind.THREAD: ("stops or joins", ""),
    Kind.PROCESS: ("joins or terminates", ""),
    Kind.EXECUTOR: ("shuts", " down"),
    Kind.TIMER: ("cancels", ""),
    Kind.SUBPROCESS: ("waits for or kills", ""),
}
_CLOSES = ("closes", "")
_OF_ITS_OWN = frozenset({ExitKind.RETURNS, ExitKind.RAISES})
"""Ways on which a unit comes to its end though its owner says nothing to it: what it reads is closed, and it hears of that."""


def owner_leaks(owned: Owned, waiting: Waiting, kinds: frozenset[Kind | None]) -> Iterator[Leak]:
    """Things of these kinds (None: instances of the project) that an attribute keeps and nothing in the program settles for good."""
    told: set[tuple[str, ir.Span]] = set()
    for kept in owned.kept:
        kind = None if kept.is_instance else kept.kind
        if kind not in kinds or owned.enders(kept) or not _is_lost(owned, kept) or next(_siblings(owned, kept), None) is not None:
            continue
        leak = _leak(owned, kept) if not any(waiting.has(unit) for unit in owned.units(kept)) else None
        if leak is not None and (leak.path, leak.at) not in told:
            told.add((leak.path, leak.at))
            yield leak


def partial_teardowns(owned: Owned) -> Iterator[Leak]:
    """Things that nothing settles, though their owner has a method that settles another of the same kind."""
    for kept in owned.kept:
        if kept.kind is Kind.TIMER:
            continue
        if not owned.handlers(kept) and not owned.is_open(kept, but_attribute=True) and not _OF_ITS_OWN & owned.ways(kept):
            sibling = next(_siblings(owned, kept), None)
            if sibling is not None:
                yield _partial(owned, kept, *sibling)


def _is_lost(owned: Owned, kept: Kept) -> bool:
    """Whether it goes on, or stays, when its owner is gone."""
    if owned.is_open(kept, but_attribute=bool(owned.teardowns(kept))):
        return False
    if all(debt.collected for debt in kept.debts) and not owned.teardowns(kept):
        return False  # it ends when its owner is collected
    return not owned.ways(kept)


# --- what the owner does with others


def _siblings(owned: Owned, kept: Kept) -> Iterator[tuple[Kept, FunctionId]]:
    """The attributes with debts of the same kind that a method of the same owner settles, without a word of this one."""
    for other in owned.kept:
        if other.name == kept.name or other.kind is not kept.kind or other.is_instance is not kept.is_instance:
            continue
        if not {p.owner for p in other.holders} & {p.owner for p in kept.holders} or not owned.ways(kept) <= owned.ways(other):
            continue
        final = owned.program.reached(owned.teardowns(kept)) & owned.methods(kept)
        handlers = owned.handlers(other)
        readers = {load.function for load in owned.graph.loads_of(other.name) if load.value is None}
        for ender in sorted(final & readers):
            if not handlers.isdisjoint(owned.program.reached([ender])) and not _is_touched(owned, kept, ender):
                yield other, ender


def _is_touched(owned: Owned, kept: Kept, ender: FunctionId) -> bool:
    """Whether the method that settles another, what it calls, or a method of the owner that calls it, uses the attribute, other than to
    make it anew."""
    program = owned.program
    methods = owned.methods(kept)
    todo = [ender, *owned.teardowns(kept)]
    above = set(todo)
    while todo:
        for caller in program.callers.get(todo.pop(), frozenset()) & methods - above:
            above.add(caller)
            todo.append(caller)
    if any(_goes_by_names(program.node(function)) for function in above):
        return True
    reach = {function.source for function in program.reached(above)} - {record.function.source for record in kept.made}
    return any(load.function.source in reach for load in owned.graph.loads_of(kept.name))


def _goes_by_names(node: ir.Function) -> bool:
    """Whether it gets hold of attributes by names that it computes."""
    for part in (e for stmt in walk(node.body) for one in expressions(stmt) for e in subexpressions(one)):
        match part:
            case ir.Call(function=ir.Name(id="getattr" | "vars")) | ir.Attribute(name="__dict__"):
                return True
            case _:
                pass
    return False


# --- units that nothing holds


def unit_leaks(owned: Owned, waiting: Waiting, kinds: frozenset[Kind | None]) -> Iterator[Leak]:
    """Threads and processes that nothing ends, wherever their handles are; processes that nobody ever waits for."""
    graph, ends = owned.graph, owned.debts.ends
    told: set[tuple[str, ir.Span]] = set()
    apart = _told_apart(graph)
    for unit in graph.program.units:
        kind = {UnitKind.THREAD: Kind.THREAD, UnitKind.PROCESS: Kind.PROCESS}.get(unit.kind)
        handle = sorted(unit.handle)
        if kind not in kinds or kind is None or not unit.spawns or any(graph.program.kind(o) is not kind for o in handle):
            continue
        if any(graph.program.opened(o) is not None or owned.debts.handlers(o) for o in handle) or _is_kept_out_of_sight(graph, unit):
            continue
        often = graph.recurrence(spawn.record for spawn in unit.spawns)
        is_endless = not unit.daemon and all(ending.verdict is Verdict.NO_EXIT for ending in ends.of(unit).found)
        is_zombie = kind is Kind.PROCESS and often.growth is not Growth.ONCE and not _is_watched(graph, unit)
        for one in ends.started(unit) if (is_zombie or is_endless) and not waiting.has(unit) else ():
            place = graph.program.path(one.made.function.module), one.made.at
            if _stands_for_all(graph, unit) and (one.made.site.module, one.made.site.number) in apart:
                continue
            if one.made.function in graph.program.live and place not in told:
                told.add(place)
                yield _dropped(owned, one, kind, _at_least_at_exit(often), is_endless=is_endless)


def _told_apart(graph: Graph) -> frozenset[tuple[int, int]]:
    """The calls, by module and number, of classes of units whose instances are told apart: each is judged by itself."""
    values = (graph.program.value(o) for unit in graph.program.units for o in unit.handle)
    return frozenset((v.site.module, v.site.number) for v in values if isinstance(v, Instance) and v.site is not None)


def _stands_for_all(graph: Graph, unit: Unit) -> bool:
    """Whether the unit is that of any instance of its class, wherever it is made."""
    values = [graph.program.value(o) for o in unit.handle]
    return bool(values) and all(isinstance(v, Instance) and v.site is None for v in values)


def _is_watched(graph: Graph, unit: Unit) -> bool:
    """Whether a loop goes on as long as it sees the unit alive: the look that sees the end of a process takes it off the system's table."""
    for action in (a for o in unit.handle for a in graph.program.on(o) if a.does is Does.OBSERVE and a.function in graph.program.live):
        place = graph.program.place(action.function, action.site.number)
        if place is not None and any(isinstance(e.stmt, ir.While) and e.block == "test" for e in place.around):
            return True
    return False


def _is_kept_out_of_sight(graph: Graph, unit: Unit) -> bool:
    """Whether the function that makes a unit stores or returns it, and it is not seen where that leads."""
    program = graph.program
    away = {Effect.KEEPS, Effect.RETURNS, Effect.ESCAPES}
    lost = not unit.handle <= program.kept_on_objects
    return lost and unit.made is not None and bool(away & program.effects.of_result(unit.made.record))


def _dropped(owned: Owned, one: Started, kind: Kind, often: Recurrence, *, is_endless: bool) -> Leak:
    graph, made = owned.graph, one.made
    hindrances = [step for ending in owned.debts.ends.of(one.unit).found for step in ending.hindrances]
    end = "nothing in the program ends it" if is_endless else "it comes to its end"
    trace = [graph.step(made.function, made.at, f"the {kind.value} that runs `{one.name}` is made here; {end}")]
    trace += hindrances[:2] if is_endless else []
    trace.append(graph.step(made.function, made.at, _CONSEQUENCE[kind]))
    return Leak(
        graph.program.path(made.function.module), made.at, graph.qualname(made.function),
        {
            "object": one.name, "release": "`join()`", "function": graph.qualname(made.function),
            "growth": grows(graph, often, kind.value, made.function),
        },
        Confidence.LIKELY, often.growth, tuple(trace), "endless" if is_endless else "nowhere",
    )  # fmt: skip


_CONSEQUENCE = {
    Kind.THREAD: "the interpreter waits for it at the end, for ever",
    Kind.PROCESS: "nobody waits for it: when it is over it stays as a zombie, while it is not the interpreter waits for it at the end",
}


# --- for people


def _leak(owned: Owned, kept: Kept) -> Leak | None:
    graph, made, name = owned.graph, kept.made[0], owned.label(kept)
    often = _often(graph, kept)
    if often is None:
        return None
    methods = sorted(kept.debts[0].methods)
    if kept.is_instance:
        nothing = "nothing in the program calls " + " or ".join(f"its `{method}`" for method in methods[:2])
    else:
        nothing = f"nothing in the program {_settles(kept, 'it')}"
    trace = [graph.step(made.function, made.at, f"`{name}` is made here{_runs(owned, kept)}")]
    for teardown in owned.teardowns(kept)[:1]:
        trace.append(graph.step(teardown, graph.program.node(teardown).at, f"`{graph.qualname(teardown)}` ends its owner, and leaves it"))
    trace.append(graph.step(made.function, made.at, nothing))
    release = " or ".join(f"`{kept.name}.{method}()`" for method in methods[:2])
    return Leak(
        graph.program.path(made.function.module), made.at, graph.qualname(made.function),
        {"object": name, "release": release, "function": graph.qualname(made.function), "growth": _grows(graph, often, kept)},
        Confidence.LIKELY, often.growth, tuple(trace), "owner",
    )  # fmt: skip


def _partial(owned: Owned, kept: Kept, sibling: Kept, ender: FunctionId) -> Leak:
    graph, made, name, other = owned.graph, kept.made[0], owned.label(kept), owned.label(sibling)
    often, where = graph.recurrence(kept.made), graph.qualname(ender)
    trace = (
        graph.step(made.function, made.at, f"`{name}` is made here{_runs(owned, kept)}"),
        graph.step(ender, graph.program.node(ender).at, f"`{where}` {_settles(kept, f'`{other}`')}, and not `{name}`"),
        graph.step(made.function, made.at, f"nothing else in the program {_settles(kept, 'it')}"),
    )
    return Leak(
        graph.program.path(made.function.module), made.at, graph.qualname(made.function),
        {
            "object": name, "teardown": where, "sibling": other, "settles": _settles(kept, f"`{other}`"),
            "growth": _grows(graph, often, kept),
        },
        Confidence.LIKELY, often.growth, trace,
    )  # fmt: skip


def _settles(kept: Kept, what: str) -> str:
    verb, after = _SETTLES.get(kept.kind, _CLOSES)
    return f"{verb} {what}{after}"


def _runs(owned: Owned, kept: Kept) -> str:
    units = owned.units(kept)
    return f" and runs `{units[0].name}` until something ends it" if units and not kept.is_instance else ""


def _often(graph: Graph, kept: Kept) -> Recurrence | None:
    """How many there are; None for one that lives as long as the process and does not keep it from ending."""
    often = graph.recurrence(kept.made)
    if often.growth is not Growth.ONCE:
        return often
    return _at_least_at_exit(often) if kept.kind in _BLOCKS_EXIT and not kept.is_instance else None


def _at_least_at_exit(often: Recurrence) -> Recurrence:
    return Recurrence(Growth.AT_EXIT) if often.growth is Growth.ONCE else often


def _grows(graph: Graph, often: Recurrence, kept: Kept) -> str:
    return grows(graph, often, "resource" if kept.kind is Kind.VALUE else kept.kind.value, kept.made[0].function)
