"""LK401, LK402: timers that nobody stops, and timers that arm themselves for ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.exits.chains import ends_by_itself, rearms
from leaklint.exits.ways import agrees, bound_at, first_reached, holders, is_told
from leaklint.finding import Confidence, Growth, Leak, Step
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.flow.state import CallRecord, LibraryCall
from leaklint.link.syntax import outermost, walk
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId, FunctionValue, Instance, Method
from leaklint.obligations.armed import Armed, Kept
from leaklint.paths import Edge, Exit, Node
from leaklint.queries.again import Again, cancels_at, comes_again_armed
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows
from leaklint.recurrence import Recurrence


def unstopped_timer(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A timer that nobody cancels when its owner, or what it watches over, is done: kept for later and never cancelled; cancelled on some
    ways out of its function only; forgotten when its owner ends or arms another; of no more use once its future is done."""
    program = graph.program
    for unit, made in _timers(graph):
        if unit.daemon or not unit.entries or any(program.opened(obj) is not None for obj in unit.handle):
            continue
        kept = [obj for obj in sorted(unit.handle) if obj in program.held_for_long and program.kind(obj) is Kind.TIMER]
        cancels = [a for obj in unit.handle for a in program.on(obj) if a.does in (Does.CANCEL, Does.JOIN)]
        if kept and not cancels and _holds_something(graph, made) and not ends_by_itself(graph, unit):
            name = program.describe(kept[0])
            last = graph.step(made.record.function, made.record.at, f"nothing in the program cancels `{name}`")
            yield _unstopped(graph, unit, made, name, (_kept(graph, made, name), last))
        elif not kept and cancels and not _is_of_turns(graph, unit, made) and (exit_ := _way_past(graph, unit, made)) is not None:
            name = min(_names(graph, made.record.function, made.record.site.number), default=program.describe(min(unit.handle)))
            last = graph.step(made.record.function, exit_, f"this way out of the function does not cancel `{name}`")
            yield _unstopped(graph, unit, made, name, (_kept(graph, made, name), last))
        elif not kept and not cancels and (future := _outlived(graph, unit, made)) is not None:
            yield _unstopped(graph, unit, made, future.name, (future.step,), "resolved", future.callback)
    yield from _forgotten(graph)


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
        if _is_switched_on(graph, unit, often):
            continue
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


def _is_switched_on(graph: Graph, unit: Unit, often: Recurrence) -> bool:
    """Whether no object has anything to do with the chain: only top-level functions begin it, and what calls these is out of sight in the
    end. It belongs to the whole process then, as far as one can see; an application switches it on once (the pump of a window system)."""
    program = graph.program
    if often.growth is not Growth.PER_CALL or often.per is not None:
        return False
    begins = {spawn.record.function for spawn in unit.spawns} | set(unit.entries)
    above, todo = set[FunctionId](), list(begins)
    while todo:
        one = todo.pop()
        top = one.inner(outermost(program.modules[one.module].summary.functions, one.index))
        if top not in above:
            above.add(top)
            todo += program.callers.get(top, frozenset())
    return all(program.node(one).owner is None for one in above)


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


def _is_of_turns(graph: Graph, unit: Unit, made: LibraryCall) -> bool:
    """Whether the turns of a loop arm one after the other, so that each is left to the next turn (LK403)."""
    function, number = made.record.function, made.record.site.number
    loop = graph.recurrence([made.record]).loop
    place = graph.program.place(function, number)
    return loop is not None and place is not None and loop in place.loops and comes_again_armed(graph, unit, function, number, loop)


def _kept(graph: Graph, made: LibraryCall, name: str) -> Step:
    return graph.step(made.record.function, made.record.at, f"the timer is made here and kept as `{name}`")


def _unstopped(
    graph: Graph,
    unit: Unit,
    made: LibraryCall,
    name: str,
    steps: tuple[Step, ...],
    variant: str = "default",
    runs: FunctionId | None = None,
    often: Recurrence | None = None,
) -> Leak:
    """`runs`: the callback, where the timer may have several; `often`: how many there are, if not as many as are armed."""
    at, entry = made.record, runs or unit.entries[0]
    often = often or _begun(graph, unit, at)
    callee = graph.qualname(entry) if runs is not None else unit.name
    fires = graph.step(entry, graph.program.node(entry).at, f"when it fires it runs `{callee}`, whatever became of its owner")
    return Leak(
        graph.program.path(at.function.module), at.at, graph.qualname(at.function),
        {"object": name, "callee": callee, "growth": grows(graph, often, "timer", at.function)},
        Confidence.LIKELY, often.growth, (steps[0], fires, *steps[1:]), variant,
    )  # fmt: skip


# --- what its owner forgets


def _forgotten(graph: Graph) -> Iterator[Leak]:
    """The timers that the methods of their owner cancel, but not where it ends, or not before they are armed again."""
    armed, told = Armed(graph), set[tuple[tuple[int, int], int]]()
    for kept in armed.kept():
        unit = min(kept.units, key=lambda unit: _place(graph, unit))
        made = unit.made
        assert made is not None
        key = (made.record.function.source, made.record.site.number)
        is_open = any(graph.program.opened(obj) is not None for obj in kept.handles)
        if key in told or not (kept.cancels or is_open) or not _holds_something(graph, made) or _wakes_somebody(graph, unit):
            continue
        if (teardown := _forgetful_teardown(graph, armed, kept)) is not None:
            told.add(key)
            name = graph.qualname(teardown)
            last = graph.step(teardown, graph.program.node(teardown).at, f"`{name}` ends its owner and does not cancel `{kept.name}`")
            steps = (_kept(graph, made, kept.name), *_cancelled_meanwhile(graph, kept), last)
            yield _unstopped(graph, unit, made, kept.name, steps, "forgotten", often=_per_owner(graph, armed, kept))
        elif kept.cancels and (method := _arms_over(graph, armed, kept)) is not None:
            told.add(key)
            last = graph.step(method, graph.program.node(method).at, "this comes to that line again while the timer is armed")
            yield _unstopped(graph, unit, made, kept.name, (_kept(graph, made, kept.name), last), "overwritten")


def _per_owner(graph: Graph, armed: Armed, kept: Kept) -> Recurrence | None:
    """How often an owner is made: when it ends, it leaves the one timer that its attribute holds. None where its making is not in sight."""
    init = armed.method(kept.place.owner, "__init__")
    return graph.recurrences.of(init) if init is not None else None


def _wakes_somebody(graph: Graph, unit: Unit) -> bool:
    """Whether the callback sets what others wait for: they count on it to fire, whatever becomes of its owner."""
    program = graph.program
    signals = (a for entry in unit.entries for f in program.reached([entry]) for a in program.actions_in(f) if a.does is Does.SIGNAL)
    told = frozenset(o for a in signals for o in a.subjects)
    waits = (a for o in told for a in program.on(o) if a.does in (Does.WAIT, Does.SHIELD) and a.function in program.live)
    return any(a.waits is not None or a.does is Does.SHIELD for a in waits)


def _cancelled_meanwhile(graph: Graph, kept: Kept) -> Iterator[Step]:
    """Where the timer is cancelled while its owner goes on."""
    for action in sorted(kept.cancels, key=lambda action: (graph.program.path(action.function.module), action.at.line))[:1]:
        name = graph.qualname(action.function)
        yield graph.step(action.function, action.at, f"`{name}` cancels it, but only while its owner is in use")


def _place(graph: Graph, unit: Unit) -> tuple[str, int, int]:
    assert unit.made is not None
    at = unit.made.record
    return graph.program.path(at.function.module), at.at.line, at.at.column


def _forgetful_teardown(graph: Graph, armed: Armed, kept: Kept) -> FunctionId | None:
    """The method that ends the owner, where none of those that do cancels the timer, and nobody is offered another way to do so."""
    program = graph.program
    teardowns = armed.teardowns(kept)
    if not teardowns or any(program.reached([t]) & kept.cancelling for t in teardowns):
        return None
    arming, own = armed.ways_to_arm(kept), {entry for unit in kept.units for entry in unit.entries}
    if not all(method in arming or method in own or armed.is_event(kept, method) for method in armed.ways_to_cancel(kept)):
        return None
    if any(rearms(graph, unit) and _is_told_by_flag(graph, armed.methods(kept), unit, teardowns) for unit in kept.units):
        return None
    return teardowns[0]


def _is_told_by_flag(graph: Graph, own: frozenset[FunctionId], unit: Unit, teardowns: list[FunctionId]) -> bool:
    """Whether the callback reads an attribute that a teardown sets: the chain then ends by itself. `own`: the methods of the owner."""
    inside, ending = graph.program.reached(unit.entries) & own, graph.program.reached(teardowns) & own
    state = graph.program.state
    written = {load.name for load in state.loads if load.value is not None and load.function in ending and load.constant is not None}
    return any(load.value is None and load.name in written and load.function in inside for load in state.loads)


def _arms_over(graph: Graph, armed: Armed, kept: Kept) -> FunctionId | None:
    """The method that arms the timer while an earlier one is armed: one that a library calls for each event, or that leads to itself."""
    arming = armed.arming(kept)
    chains = {f for unit in kept.units for f in graph.program.reached(unit.entries)}
    again = Again(graph, kept, arming)
    for method in sorted(armed.ways_to_arm(kept) - chains):
        if armed.is_event(kept, method) and again.from_the_start(method):
            return method
    return next((method for method in sorted(arming - chains) if again.on_its_own(method)), None)


# --- what it watches over


@dataclass(frozen=True, slots=True)
class _Future:
    name: str
    callback: FunctionId
    step: Step


def _outlived(graph: Graph, unit: Unit, made: LibraryCall) -> _Future | None:
    """The future that a timer of some length gives up waiting for, and that others may set long before: from then on the timer only keeps
    alive what its callback refers to."""
    program, at = graph.program, made.record
    delay = _delay(graph, unit, made)
    if delay is None or isinstance(delay, ir.Constant):
        return None
    for entry in unit.entries:
        if at.function in program.reached([entry]):
            continue
        actions = program.actions_in(entry)
        asked = frozenset(o for a in actions if a.does is Does.OBSERVE for o in a.subjects if program.kind(o) is Kind.FUTURE)
        for action in actions:
            if action.does in (Does.SIGNAL, Does.CANCEL) and action.subjects & asked:
                name = _written(graph, action)
                step = graph.step(at.function, at.at, f"nobody keeps this timer, so nobody cancels it once `{name}` is done")
                return _Future(name, entry, step)
    return None


def _delay(graph: Graph, unit: Unit, made: LibraryCall) -> ir.Expr | None:
    """What says when the timer fires: its first parameter."""
    model = graph.program.model(min(unit.handle)) if unit.handle else None
    parameters = made.operation.params or (model.init if model is not None else ())
    return made.given.get(parameters[0]) if parameters else None


def _written(graph: Graph, action: Action) -> str:
    """The object of an operation as the program calls it."""
    match action.call.record.node:
        case ir.Call(function=ir.Attribute(base=ir.Name(id=name))):
            return name
        case _:
            return graph.program.describe(min(action.subjects))


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
    fired = _fired(graph, function, told)

    def truth(test: ir.Expr) -> bool | None:
        """What a test gives while the timer is armed."""
        if test in given:
            return True
        match test:
            case ir.Name(id=name) if name in names:
                return True
            case ir.Name(id=name) if name in fired:
                return not fired[name]
            case ir.Comparison(left=ir.Name(id=name), operators=("is" | "is not" as operator,), rights=(ir.Constant(kind="none"),)):
                return operator == "is not" if name in names else None
            case ir.Call(function=ir.Attribute(base=ir.Name(id=name), name="done" | "is_set"), arguments=()):
                asked = program.local_objects(function, [name])
                return False if asked and asked <= told else None  # it is the timer that sets it
            case ir.Call(function=ir.Attribute(base=ir.Name(id=name), name="is_alive"), arguments=()) if name in names:
                return True
            case ir.Call(function=ir.Attribute(base=ir.Name(id=name), name="cancelled"), arguments=()) if name in names:
                return False
            case _:
                return None

    def stops(node: Node) -> bool:
        if isinstance(node.stmt, ir.Return) and node.stmt.value is not None and holders(graph, function, node.stmt.value, unit.handle):
            return True
        return cancels_at(graph, function, node, unit.handle)

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


def _fired(graph: Graph, function: FunctionId, told: frozenset[int]) -> dict[str, bool]:
    """The flags that say whether the timer has fired, and how: a handler sets them for what the wait raises that the timer ends."""
    program = graph.program
    found: dict[str, bool] = {}
    for stmt in walk(program.node(function).body):
        if isinstance(stmt, ir.Try):
            inside = {id(inner) for inner in walk(stmt.body)}
            sites = (number for node in graph.paths(function).nodes if id(node.stmt) in inside for number in node.sites())
            if any(action.subjects & told for number in sites for action in program.at(function.site(number))):
                for handler in stmt.handlers:
                    found |= _flags_set(handler.body)
    return found


def _flags_set(body: tuple[ir.Stmt, ...]) -> dict[str, bool]:
    """The flags that a handler sets, always or for some of what it catches, without those that it sets this way and that."""
    found: dict[str, set[bool]] = {}
    for stmt in walk(body):
        match stmt:
            case ir.Bind(targets=(ir.Name(id=name),), value=ir.Constant(kind="bool", text=text)):
                found.setdefault(name, set()).add(text == "True")
            case _:
                pass
    return {name: value for name, values in found.items() if len(values) == 1 for value in values}
