"""LK401, LK402: timers that nobody stops, and timers that arm themselves for ever."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.exits.chains import ends_by_itself, rearms
from leaklint.exits.ways import agrees, bound_at, first_reached, holders, is_told
from leaklint.finding import Confidence, Growth, Leak, Step
from leaklint.graph import Graph
from leaklint.link.flow.state import CallRecord, LibraryCall
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId, FunctionValue, Instance, Method, Site
from leaklint.paths import Edge, Exit, Node
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows
from leaklint.recurrence import Recurrence


def unstopped_timer(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A timer kept for later by an owner that never cancels it; a timer of one function that cancels it on some ways out only."""
    program = graph.program
    for unit, made in _timers(graph):
        if unit.daemon or not unit.entries or any(program.opened(obj) is not None for obj in unit.handle):
            continue
        kept = [obj for obj in sorted(unit.handle) if obj in program.held_for_long and program.kind(obj) is Kind.TIMER]
        cancels = [a for obj in unit.handle for a in program.on(obj) if a.does in (Does.CANCEL, Does.JOIN)]
        if kept and not cancels and _holds_something(graph, made) and not ends_by_itself(graph, unit):
            name = program.describe(kept[0])
            last = graph.step(made.record.function, made.record.at, f"nothing in the program cancels `{name}`")
            yield _unstopped(graph, unit, made, name, last)
        elif not kept and cancels and (exit_ := _way_past(graph, unit, made)) is not None:
            name = min(_names(graph, made.record.function, made.record.site.number), default=program.describe(min(unit.handle)))
            last = graph.step(made.record.function, exit_, f"this way out of the function does not cancel `{name}`")
            yield _unstopped(graph, unit, made, name, last)


def rearming_timer(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A callback that arms a timer for itself on every path, with no handle kept by which somebody could cancel it."""
    program = graph.program
    for unit, made in _timers(graph):
        if unit.daemon or not rearms(graph, unit) or ends_by_itself(graph, unit):
            continue
        if any(program.opened(obj) is not None or obj in program.held_for_long for obj in unit.handle):
            continue
        if any(a.does in (Does.CANCEL, Does.JOIN) for obj in unit.handle for a in program.on(obj)):
            continue
        at = made.record
        entry = unit.entries[0]
        often = _begun(graph, unit, at)
        if often.growth is Growth.ONCE and unit.kind is UnitKind.TIMER:
            often = Recurrence(Growth.AT_EXIT)
        trace = (
            graph.step(at.function, at.at, f"the timer that runs `{unit.name}` is armed here, and nobody can cancel it"),
            graph.step(entry, program.node(entry).at, "each time it fires it comes back to that line: no flag or count ends the chain"),
        )
        yield Leak(
            program.path(at.function.module), at.at, graph.qualname(at.function),
            {"callee": unit.name, "growth": grows(graph, often, "chain of timers", at.function)},
            Confidence.LIKELY, often.growth, trace,
        )  # fmt: skip


def _begun(graph: Graph, unit: Unit, made: CallRecord) -> Recurrence:
    """How often the timer is armed; of one whose callback arms it again, how often that is begun."""
    if not rearms(graph, unit):
        return graph.recurrence([made])
    return graph.recurrences.of_chain({*unit.entries, made.function}, graph.program.reached(unit.entries))


def _timers(graph: Graph) -> Iterator[tuple[Unit, LibraryCall]]:
    """The units that a timer starts, each with the call that makes it, where the program arms it."""
    program = graph.program
    for unit in program.units:
        if unit.made is None or unit.made.record.function not in program.live:
            continue
        if any(s.operation.does is Does.ARM for s in unit.spawns) and (unit.handle or unit.kind is UnitKind.CALLBACK):
            yield unit, unit.made


def _unstopped(graph: Graph, unit: Unit, made: LibraryCall, name: str, last: Step) -> Leak:
    at, entry = made.record, unit.entries[0]
    often = _begun(graph, unit, at)
    trace = (
        graph.step(at.function, at.at, f"the timer is made here and kept as `{name}`"),
        graph.step(entry, graph.program.node(entry).at, f"when it fires it runs `{unit.name}`, whatever became of its owner"),
        last,
    )
    return Leak(
        graph.program.path(at.function.module), at.at, graph.qualname(at.function),
        {"object": name, "callee": unit.name, "growth": grows(graph, often, "timer", at.function)},
        Confidence.LIKELY, often.growth, trace,
    )  # fmt: skip


# --- what a timer keeps alive


def _holds_something(graph: Graph, made: LibraryCall) -> bool:
    """Whether the armed timer keeps an object of the project alive: the callback's own, one of its closure, or one of its arguments.
    What it refers to weakly it does not hold."""
    program = graph.program
    for obj in made.entries:
        match program.value(obj):
            case FunctionValue(function=function) if program.node(function).parent == 0 and program.node(function).kind == "def":
                continue
            case FunctionValue() | Method():
                return True
            case _:
                return True
    given = (o for name in made.operation.passes for v in made.formals.get(name.lstrip("*"), ()) for o in program.holds(v))
    return any(isinstance(program.value(o), Instance | Method) for o in program.elements(given))


# --- ways out of the function that armed it


def _names(graph: Graph, function: FunctionId, number: int) -> frozenset[str]:
    return frozenset(name for node in graph.paths(function).of(number) for name in bound_at(node.stmt, number))


def _way_past(graph: Graph, unit: Unit, made: LibraryCall) -> ir.Span | None:
    """Where the function that arms a timer and cancels it can be left without cancelling it. None where something else has the timer."""
    program = graph.program
    function, number = made.record.function, made.record.site.number
    names = _names(graph, function, number)
    inside = program.reached([function])
    actions = [a for obj in unit.handle for a in program.on(obj)]
    ends = [a for a in actions if a.does in (Does.CANCEL, Does.JOIN)]
    if not names or any(a.function not in inside or a.call.record.by is not None for a in ends):
        return None
    if not any(a.function == function for a in ends):
        return None
    armed = [s.record.site.number for s in unit.spawns if s.record.function == function and s.operation.does is Does.ARM]
    place = program.place(function, armed[0]) if armed else None
    if place is None:
        return None
    given = [e.stmt.test for e in place.around if isinstance(e.stmt, ir.Branch) and e.block == "body"]
    told = frozenset(o for f in program.reached(unit.entries) for a in program.actions_in(f) if a.does is Does.SIGNAL for o in a.subjects)

    def truth(test: ir.Expr) -> bool | None:
        """What a test gives while the timer is armed."""
        if test in given:
            return True
        match test:
            case ir.Name(id=name) if name in names:
                return True
            case ir.Comparison(left=ir.Name(id=name), operators=("is" | "is not" as operator,), rights=(ir.Constant(kind="none"),)):
                return operator == "is not" if name in names else None
            case ir.Call(function=ir.Attribute(base=ir.Name(id=name), name="done" | "is_set"), arguments=()):
                asked = program.local_objects(function, [name])
                return False if asked and asked <= told else None  # it is the timer that sets it
            case _:
                return None

    def stops(node: Node) -> bool:
        if isinstance(node.stmt, ir.Return) and node.stmt.value is not None and holders(graph, function, node.stmt.value, unit.handle):
            return True
        return any(_cancels_at(graph, function.site(site), function, unit.handle) for site in node.sites())

    def follows(node: Node, edge: Edge) -> bool:
        return is_told(graph, function, node, edge) and agrees(node, edge, truth)

    before: dict[int, Node] = {}

    def leaves(node: Node) -> bool:
        for _, target in node.successors:
            before.setdefault(id(target), node)
        return node.exit_kind in (Exit.RETURN, Exit.RAISE)

    starts = [t for n in graph.paths(function).of(armed[0]) for edge, t in n.successors if edge is Edge.NEXT]
    found = first_reached(starts, leaves, stops, follows)
    if found is None:
        return None
    last = before.get(id(found))
    return last.stmt.at if last is not None and isinstance(last.stmt, ir.Return | ir.Raise) else program.node(function).at


def _cancels_at(graph: Graph, site: Site, function: FunctionId, handle: frozenset[int]) -> bool:
    program = graph.program
    ends = list(program.at(site))
    for callee in program.reached(program.state.callees.get(site, set())) - {function}:
        ends += program.actions_in(callee)
    return any(a.does in (Does.CANCEL, Does.JOIN) and a.subjects & handle for a in ends)
