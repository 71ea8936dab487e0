"""LK501: a path on which an acquired lock is not released."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.sizes import whole_number
from leaklint.link.syntax import subexpressions
from leaklint.link.values import FunctionId
from leaklint.paths import EXCEPTIONAL, Exit, Node
from leaklint.queries.handed import kept_by_job
from leaklint.queries.held import WAITS_FOR_EVER, Way, held_ways, is_permit, left, span_of, take_span
from leaklint.queries.holding import Event, Holdable, Holding, holdables
from leaklint.queries.query import NoOptions
from leaklint.queries.unchecked import unchecked
from leaklint.queries.wording import grows
from leaklint.recurrence import ONCE


def unreleased(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A lock, permit or count that is taken, by a call or through one, and on some way out of the function is still held, although nobody
    is left who could give it back."""
    for what in holdables(graph):
        holding = Holding(graph, what)
        if not holding.is_known or holding.is_signal or _dies_with_its_function(graph, holding):
            continue
        if _starts_empty(graph, what) or _is_only_tried(graph, what) or _is_only_asked(graph, what):
            continue
        functions = set(what.functions)
        for acquirer in holding.acquirers:
            functions |= graph.program.callers.get(acquirer, frozenset())
        for function in sorted(functions & graph.program.live):
            if _is_of_its_call(graph, holding, function):
                continue
            yield from _judge(graph, holding, function)
        yield from kept_by_job(graph, holding)
    yield from unchecked(graph)


def _dies_with_its_function(graph: Graph, holding: Holding) -> bool:
    """Whether only the function that makes the lock knows it: then nobody is left to wait for it."""
    program, objects = graph.program, holding.what.objects
    if not objects or len(holding.what.functions) != 1 or objects & program.held_for_long:
        return False
    makers = {made[0] for o in objects if (made := program.made_at(o)) is not None}
    return makers == holding.what.functions and all(function.index for function in makers)


def _is_of_its_call(graph: Graph, holding: Holding, function: FunctionId) -> bool:
    """Whether the function makes the lock, and only it and what runs as part of it ever wait for it: when it is left, nobody is there who
    would miss what is not given back, although jobs may know the lock and give back."""
    program, objects = graph.program, holding.what.objects
    makers = {made[0] if made is not None else None for made in map(program.made_at, objects)}
    if not function.index or makers != {function} or objects & program.held_for_long or any(map(program.opened, objects)):
        return False
    takers = {a.function for o in objects for a in program.on(o) if a.does in (Does.ACQUIRE, Does.WAIT)}
    return takers <= program.reached((function,)) and all(program.roots(taker) <= program.roots(function) for taker in takers)


def _starts_empty(graph: Graph, what: Holdable) -> bool:
    """Whether it is a semaphore made without permits: it counts what others have put or done, and taking one is hearing of it."""
    program = graph.program
    for obj in what.objects:
        model = program.model(obj)
        parameter = model.capacity.arg if model is not None and model.capacity is not None else None
        for call in program.state.constructed.get(obj, ()):
            given = call.given.get(parameter) if parameter is not None else None
            if given is not None and whole_number(program, call.record.function, given) == 0:
                return True
    return False


def _is_only_tried(graph: Graph, what: Holdable) -> bool:
    """Whether nobody in sight ever waits for it: each acquire gives up at once, and none stands in a loop that tries again. It is then a
    latch, or a flag that says "somebody is at it"."""
    program = graph.program
    return bool(what.objects) and all(
        _gives_up(a) and not _tries_again(graph, a)
        for o in what.objects
        for a in program.on(o)
        if a.does in (Does.ACQUIRE, Does.WAIT) and a.call.subject == o
    )


def _is_only_asked(graph: Graph, what: Holdable) -> bool:
    """Whether nobody ever gives it back, and others ask whether it is held: it tells them once that somebody has come so far."""
    done = {a.does for o in what.objects for a in graph.program.on(o)}
    return Does.OBSERVE in done and Does.RELEASE not in done


def _gives_up(acquire: Action) -> bool:
    """Whether it never waits: by its nature, or told so by a constant (`blocking=False`, `timeout=0`)."""
    operation, given = acquire.call.operation, acquire.call.given
    names = (*operation.unless, *((operation.timeout,) if operation.timeout is not None else ()))
    return operation.waits is None or any(isinstance(one := given.get(name), ir.Constant) and one.text in _NO for name in names)


_NO = frozenset({"False", "0", "0.0"})


def _tries_again(graph: Graph, acquire: Action) -> bool:
    place = graph.program.place(acquire.function, acquire.site.number)
    return place is None or any(isinstance(loop, ir.While) for loop in place.loops)


def _judge(graph: Graph, holding: Holding, function: FunctionId) -> Iterator[Leak]:
    told: set[int] = set()
    for node in graph.paths(function).nodes:
        if node.kind == "enter" or id(node.stmt) in told or not holding.takes(function, node) or not _is_plain(node):
            continue
        way = _leaking_way(graph, holding, function, node)
        if way is not None:
            told.add(id(node.stmt))
            leak = _leak(graph, holding, function, node, way)
            if leak is not None:
                yield leak


def _is_plain(node: Node) -> bool:
    """Whether it is known on which ways the result of the take means that it is held."""
    return isinstance(node.stmt, ir.Evaluate | ir.Augment | ir.Bind) or node.kind == "test"


def _leaking_way(graph: Graph, holding: Holding, function: FunctionId, take: Node) -> Way | None:
    ways = held_ways(graph, holding, function, take)
    returns = [way for way in ways if way[0] is Exit.RETURN]
    others = [way for way in ways if way[0] is not Exit.RETURN]
    if not ways:
        return None
    callers = _callers(graph, holding, function)
    if returns and not callers.give_later and not _is_given_back_elsewhere(graph, holding):
        return returns[0] if holding.what.objects else None
    if callers.give_later:
        others = [way for way in others if not _hands_over(way[2])]
    if not others or callers.clean_up or (function in holding.keepers and not callers.pair):
        return None
    if callers.give_later and is_permit(graph, holding):  # it goes with what is handed on, in ways that calls do not show
        return None
    return others[0]


def _hands_over(node: Node) -> bool:
    """Whether a generator gives way to its consumer here: what is held then is in the consumer's hands."""
    return any(isinstance(one, ir.Yield) for part in node.parts for one in subexpressions(part))


def _is_given_back_elsewhere(graph: Graph, holding: Holding) -> bool:
    """Whether somebody may give it back who has not taken it: a callback, a method for code out of sight, whoever has got hold of it."""
    program = graph.program
    free = (r for r in holding.releasers if r in program.openness.callable or r in program.entered_by or not program.callers.get(r))
    return any(free) or any(program.opened(o) is not None for o in holding.what.objects)


@dataclass(frozen=True, slots=True)
class _Callers:
    """What the callers of a function do. `give_later`: some give back after it has returned, or leave that to their callers; `clean_up`:
    some do after it has raised; `pair`: some do the first and not the second."""

    give_later: bool
    clean_up: bool
    pair: bool


def _callers(graph: Graph, holding: Holding, function: FunctionId) -> _Callers:
    later = paired = _is_left_by_a_block(graph, holding, function)
    cleaned = False
    for caller in sorted(graph.program.callers.get(function, frozenset())):
        for number in graph.calls_to(caller, function):
            for node in graph.paths(caller).of(number):
                gives_later = _gives(holding, caller, [target for edge, target in node.successors if edge not in EXCEPTIONAL])
                gives_raised = _gives(holding, caller, [target for edge, target in node.successors if edge in EXCEPTIONAL])
                later = later or gives_later or caller in holding.keepers
                cleaned = cleaned or gives_raised
                paired = paired or (gives_later and not gives_raised)
    return _Callers(later, cleaned, paired)


def _is_left_by_a_block(graph: Graph, holding: Holding, function: FunctionId) -> bool:
    """Whether it is an `__enter__` whose `__exit__` gives back: that runs after the block, and not when entering it fails."""
    node = graph.program.node(function)
    if node.name not in ("__enter__", "__aenter__") or node.owner is None:
        return False
    functions = graph.program.modules[function.module].summary.functions
    exits = (i for i, f in enumerate(functions) if f.owner == node.owner and f.name in ("__exit__", "__aexit__"))
    return any(function.inner(index) in holding.releasers for index in exits)


def _gives(holding: Holding, function: FunctionId, starts: list[Node]) -> bool:
    """Whether a way from here comes to a node that gives back before one that takes."""
    seen: set[int] = set()
    todo = list(starts)
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        event = holding.event(function, node)
        if event is Event.GIVE:
            return True
        if event is None:
            todo += [target for _, target in node.successors]
    return False


def _leak(graph: Graph, holding: Holding, function: FunctionId, take: Node, way: Way) -> Leak | None:
    _, edge, node = way
    at, where = take_span(graph, holding, function, take), span_of(node)
    if at is None:
        return None
    name, qualname = holding.what.name, graph.qualname(function)
    is_one_of_many = is_permit(graph, holding) or not holding.what.objects
    often = graph.recurrences.of(function) if is_one_of_many else ONCE
    trace = (
        graph.step(function, at, f"`{name}` is acquired here"),
        graph.step(function, where or at, f"{left(edge, node)}, and `{name}` is still held"),
        graph.step(function, at, "one permit less is left for all others" if is_permit(graph, holding) else WAITS_FOR_EVER),
    )
    return Leak(
        graph.program.path(function.module), at, qualname,
        {"object": name, "function": qualname or "the module", "growth": grows(graph, often, "lost permit", function)},
        Confidence.LIKELY, often.growth, trace,
    )  # fmt: skip
