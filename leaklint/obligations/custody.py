"""Custody: from the step at which a function gets a thing, every way on until it is settled, handed on, or forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, Gives, Kind
from leaklint.graph import Graph
from leaklint.link.flow.state import CallRecord, LibraryCall
from leaklint.link.syntax import expressions, scope_names, subexpressions, target_names, walk
from leaklint.link.values import ClassValue, Container, FunctionId, Instance, Method
from leaklint.obligations.bindings import are_names, is_whole, parameter_of, targets_of
from leaklint.obligations.debts import Debt, Debts, takes_more
from leaklint.obligations.pools import Pools
from leaklint.obligations.risks import Risks
from leaklint.obligations.things import Acquired, Thing
from leaklint.obligations.uses import Fate, Step, Uses, gives_self
from leaklint.paths import EXCEPTIONAL, Choices, Edge, Exit, Facts, Node, Paths

_MOST = 20_000
"""Steps of a search after which a function counts as too tangled to judge."""
_FARTHEST = 6
"""Wrappers around the call that makes a thing, followed at most."""


@dataclass(frozen=True, slots=True)
class End:
    """A way on which a function forgets a thing. `exit_kind`: how the function is left; None where its last name gets another value.
    `edge` and `node`: the last step on the way that raised, or the last one at all."""

    exit_kind: Exit | None
    edge: Edge
    node: Node


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a thing in the function that gets it: the ways on which it is forgotten, and what happens to it on the others."""

    acquired: Acquired
    ends: tuple[End, ...]
    fates: frozenset[Fate]


_Found = tuple[tuple[End, ...], frozenset[Fate]]


class Custody:
    """Answers for one program, each function looked at once."""

    def __init__(self, graph: Graph, debts: Debts) -> None:
        self.graph = graph
        self.program = graph.program
        self.debts = debts
        self.risks = Risks(graph)
        self.pools = Pools(graph.program)
        self._outcomes: dict[FunctionId, tuple[Outcome, ...]] = {}
        self._given: dict[FunctionId, tuple[Thing, ...]] = {}
        self._dropped: dict[tuple[FunctionId, str, int | None, frozenset[FunctionId]], bool] = {}
        self._cleanups: dict[tuple[int, int], frozenset[int]] = {}
        self._shared_names: dict[tuple[int, int], frozenset[str]] = {}
        self._depth = 0
        self._records: dict[FunctionId, list[CallRecord]] = {}
        for record in self.program.state.calls:
            if record.by is None and record.node is not None:
                self._records.setdefault(record.function, []).append(record)

    def outcomes(self, function: FunctionId) -> tuple[Outcome, ...]:
        """What becomes of each thing that the function gets, in the order of place."""
        found = self._outcomes.get(function)
        if found is None:
            followed = [self._follow(one) for one in self._acquired(function)]
            found = self._outcomes[function] = (*followed, *self._passed_at_once(function))
        return found

    def given(self, function: FunctionId) -> tuple[Thing, ...]:
        """The new things that a function returns, and leaves to its caller alone."""
        found = self._given.get(function)
        if found is None:
            if self._depth == _FARTHEST:
                return ()
            self._given[function] = ()  # a recursive call gives nothing new
            self._depth += 1
            found = self._given[function] = tuple(self._gives(function))
            self._depth -= 1
        return found

    def _gives(self, function: FunctionId) -> Iterator[Thing]:
        program = self.program
        result = program.holds(program.state.solver.known(("result", *function.source, function.context)))
        node = program.node(function)
        if node.is_generator:
            return
        if function not in self.pools.around and not any(self.debts.of(o) is not None for o in self._one_deep(result)):
            return
        for outcome in self.outcomes(function):
            if outcome.fates & {Fate.RETURNED} and not outcome.fates & {Fate.MOVED}:
                yield outcome.acquired.thing
        for record in self._records.get(function, ()):
            for one in self.graph.paths(function).of(record.site.number):
                if isinstance(one.stmt, ir.Return) and is_whole(one.stmt.value, record.node, self._is_async(record)):
                    yield from self.things(record)

    def _one_deep(self, objects: frozenset[int]) -> Iterator[int]:
        """Objects, and what is in the tuples among them."""
        yield from objects
        for obj in objects:
            if isinstance(self.program.value(obj), Container):
                yield from self.program.holds(self.program.state.solver.known(("element", obj)))

    # --- what is acquired

    def things(self, record: CallRecord) -> Iterator[Thing]:
        """The new things that a call gives: made by a library or a constructor, or handed on by functions of the program."""
        program = self.program
        called = {type(program.value(o)) for o in program.called(record.site)}
        callees = program.state.callees.get(record.site, set())
        if (inner := self._inner(record)) is not None and callees and all(gives_self(program, f) for f in callees):
            for thing in self.things(inner):
                incurs = thing.debt is not None and bool({f.source for f in thing.debt.incurred} & {f.source for f in callees})
                yield replace(thing, owed=thing.owed or incurs)
            return
        if callees and (takers := self.pools.takers(callees)):
            yield Thing(None, None, takers, True, record)
            return
        if called == {ClassValue}:
            new = {o for o in program.holds(record.result) if isinstance(program.value(o), Instance) or program.model(o) is not None}
        elif callees:
            things = [self.given(callee) for callee in sorted(callees)]
            if all(things):
                yield from {thing.object: thing for one in things for thing in one}.values()
            return
        else:
            own = [a.call for a in program.at(record.site) if a.call.record.by is None]
            if any(call.operation.does is Does.OBSERVE or call.operation.keeps for call in own):
                return
            new = {obj for call in own for obj in call.made if not self._is_made_of_another(call, obj)}
        for obj in sorted(new):
            debt = self.debts.of(obj)
            if debt is not None and debt.kind is not Kind.TIMER and self._is_for_the_maker(debt):
                yield Thing(obj, debt, frozenset(), not debt.incurred, record)

    def _is_made_of_another(self, call: LibraryCall, obj: int) -> bool:
        """Whether a resource is given what it owns, so that whoever has that can end both: `StreamWriter(transport, …)`."""
        model = self.program.model(obj)
        return model is not None and not model.attributes.keys().isdisjoint(call.given)

    def _is_for_the_maker(self, debt: Debt) -> bool:
        """Whether whoever makes the thing is to release it: not where its teardown ends one of many things in it, by name, or is given to
        somebody who will call it."""
        if any(takes_more(self.program.node(teardown)) for teardown in debt.teardowns):
            return False
        return not any(teardown.source in self._handed_out for teardown in debt.teardowns)

    @cached_property
    def _handed_out(self) -> frozenset[tuple[int, int]]:
        """The sources of the methods that an attribute, a global or a container holds, bound to their objects."""
        values = (self.program.value(o) for o in self.program.held_for_long)
        return frozenset(value.function.source for value in values if isinstance(value, Method))

    def _inner(self, record: CallRecord) -> CallRecord | None:
        """The call on whose result a method is called: `Cursor(rows)` of `Cursor(rows).open()`."""
        match record.node:
            case ir.Call(function=ir.Attribute(base=ir.Call(site=number))):
                return next((one for one in self._records.get(record.function, ()) if one.site.number == number), None)
            case _:
                return None

    def _acquired(self, function: FunctionId) -> Iterator[Acquired]:
        node = self.program.node(function)
        if node.kind != "def" or self.program.modules[function.module].summary.is_outline:
            return
        for record in self._records.get(function, ()):
            place = self.program.place(function, record.site.number)
            assert record.node is not None
            bound, given = targets_of(place.stmt, record.node, self._is_async(record)) if place is not None else ((), None)
            if not bound or not are_names(bound):
                continue
            for thing in self.things(record):
                names = self._holders(function, bound, thing)
                if names and not names & self._shared(function):
                    for one in self.graph.paths(function).of(record.site.number):
                        yield Acquired(function, thing, record, one, names, given)

    def _is_async(self, record: CallRecord) -> bool:
        """Whether what the call gives has to be awaited."""
        program = self.program
        if any(program.node(callee).is_async for callee in program.state.callees.get(record.site, ())):
            return True
        return any(a.call.operation.is_async for a in program.at(record.site) if a.call.record.by is None)

    def _holders(self, function: FunctionId, bound: tuple[ir.Expr, ...], thing: Thing) -> frozenset[str]:
        """The locals among what is bound that hold the thing."""
        found: set[str] = set()
        for target in bound:
            names = set(target_names(target))
            if isinstance(target, ir.Display) and not self._comes_with_its_protocol(thing):
                names = {n for n in names if thing.object is not None and thing.object in self.program.local_objects(function, (n,))}
            found |= names
        return frozenset(found)

    def _comes_with_its_protocol(self, thing: Thing) -> bool:
        """Whether it is made together with something of the program that has it as well: the protocol of a transport."""
        made = (call.operation.returns for call in self.program.state.at(thing.made.site))
        return any(isinstance(returns, tuple) and Gives.RESULT in returns for returns in made)

    def _shared(self, function: FunctionId) -> frozenset[str]:
        """The names of a function that others use too: what they hold may live on in a function inside."""
        found = self._shared_names.get(function.source)
        if found is None:
            functions = self.program.modules[function.module].summary.functions
            names = set(scope_names(functions[function.index].body, "global", "nonlocal"))
            for index, one in enumerate(functions):
                if index != function.index and _stands_in(functions, index, function.index):
                    parts = (part for stmt in walk(one.body) for e in expressions(stmt) for part in subexpressions(e))
                    names |= {part.id for part in parts if isinstance(part, ir.Name)}
            found = self._shared_names[function.source] = frozenset(names)
        return found

    def _passed_at_once(self, function: FunctionId) -> Iterator[Outcome]:
        """The things that calls give right into constructors which may raise before they keep them: `Producer(pool.acquire())`."""
        if self.program.modules[function.module].summary.is_outline:
            return
        for outer in self._records.get(function, ()):
            inits = [f for f in self.program.state.callees.get(outer.site, ()) if self.program.node(f).name == "__init__"]
            nodes = self.graph.paths(function).of(outer.site.number) if inits else []
            if outer.node is None or not nodes:
                continue
            for argument in outer.node.arguments:
                inner = self._record_of(function, argument.value)
                named = [(init, parameter_of(self.program.node(init), outer.node, argument)) for init in inits]
                for thing in self.things(inner) if inner is not None else ():
                    if inner is not None and any(name is not None and self.may_drop(init, name, thing) for init, name in named):
                        acquired = Acquired(function, thing, inner, nodes[0], frozenset(), None)
                        yield Outcome(acquired, (End(Exit.RAISE, Edge.RAISE, nodes[0]),), frozenset({Fate.MOVED}))

    def _record_of(self, function: FunctionId, value: ir.Expr) -> CallRecord | None:
        """The call whose result an expression is, awaited where it has to be."""
        call = value.value if isinstance(value, ir.Await) else value
        found = next((one for one in self._records.get(function, ()) if one.node is call), None)
        return found if found is not None and self._is_async(found) is isinstance(value, ir.Await) else None

    # --- the ways on

    def may_drop(self, function: FunctionId, parameter: str, thing: Thing) -> bool:
        """Whether a function may raise, by a `raise` of its own or below it, before anything keeps what the parameter gets."""
        key = (function, parameter, thing.object, thing.takers)
        if key not in self._dropped:
            self._dropped[key] = False
            paths = self.graph.paths(function)
            ends, _ = self._search(function, replace(thing, owed=True), None, frozenset({parameter}))
            self._dropped[key] = any(end.exit_kind is Exit.RAISE for end in ends) and bool(paths.nodes)
        return self._dropped[key]

    def _follow(self, acquired: Acquired) -> Outcome:
        ends, fates = self._search(acquired.function, acquired.thing, acquired, acquired.names)
        return Outcome(acquired, ends, fates)

    def _search(self, function: FunctionId, thing: Thing, acquired: Acquired | None, names: frozenset[str]) -> _Found:
        """The ways from the node that takes (from the start, without one) on which the thing is forgotten, and its fates on the others.
        What earlier tests and assignments say about later tests is heeded."""
        paths = self.graph.paths(function)
        choices = Choices(self.program.node(function), paths, lambda call: False)
        uses = Uses(self.graph, function, thing, self.may_drop)
        steps: dict[tuple[int, frozenset[str]], Step] = {}
        take = acquired.node if acquired is not None else None
        start = None if take is not None else _Trail(names, thing.owed, paths.entry, (Edge.NEXT, paths.entry))
        todo: list[tuple[Node, Facts, _Trail | None]] = [(paths.entry, frozenset(), start)]
        seen: set[tuple[int, Facts, frozenset[str] | None, bool]] = set()
        ends: dict[tuple[Exit | None, int], End] = {}
        fates: set[Fate] = set()
        while todo:
            node, facts, trail = todo.pop()
            key = (id(node), facts, trail.names if trail is not None else None, trail is not None and trail.owed)
            if key in seen and (node.exit_kind is None or trail is None):  # the ends of all ways are wanted
                continue
            seen.add(key)
            if len(seen) > _MOST:
                return (), frozenset(Fate)
            if trail is None:
                for way, target, known in choices.onward(node, facts):
                    if node is take and way not in EXCEPTIONAL:
                        todo.append((target, _assume(choices, known, names, acquired), _Trail(names, thing.owed, node, (Edge.NEXT, node))))
                    todo.append((target, known, None))
                continue
            if node.exit_kind is not None:
                if trail.owed:
                    edge, origin = (Edge.NEXT, trail.last) if node.exit_kind is Exit.RETURN else trail.raised
                    ends.setdefault((node.exit_kind, id(origin)), End(node.exit_kind, edge, origin))
                continue
            step = steps.get((id(node), trail.names))
            if step is None:
                step = steps[id(node), trail.names] = uses.step(node, trail.names)
            last = node if node.stmt is not None and node.kind not in ("exit", "except") else trail.last
            unexpected = _beyond_handlers(node) if node.kind == "except" and not isinstance(trail.raised[1].stmt, ir.Raise) else frozenset()
            for way, target, known in choices.onward(node, facts):
                if way in EXCEPTIONAL:
                    if node.kind == "except":
                        if id(target) not in unexpected:
                            todo.append((target, known, _Trail(trail.names, trail.owed, last, trail.raised)))
                    elif self._goes_out(function, thing, node, way, step, trail.names):
                        todo.append((target, known, _Trail(trail.names, trail.owed, last, (way, node))))
                elif step.fate is not None:
                    fates.add(step.fate)
                elif way is Edge.FALSE and (fate := self._fate_in_turns(paths, uses, node, trail.names)) is not None:
                    fates.add(fate)
                elif not step.names:
                    if trail.owed:
                        ends.setdefault((None, id(node)), End(None, Edge.NEXT, node))
                else:
                    held = _assume_held(choices, known, node, step.names)
                    todo.append((target, held, _Trail(step.names, trail.owed or step.incurs, last, trail.raised)))
        return tuple(ends.values()), frozenset(fates)

    def _fate_in_turns(self, paths: Paths, uses: Uses, step: Node, names: frozenset[str]) -> Fate | None:
        """What the turns of a `for` loop make of the thing: there is at least one of them, as far as anybody can tell."""
        if not isinstance(step.stmt, ir.For):
            return None
        inside = {id(stmt) for stmt in walk(step.stmt.body)}
        fates = (uses.step(node, names).fate for node in paths.nodes if id(node.stmt) in inside and node.kind not in ("exit", "except"))
        return min((fate for fate in fates if fate is not None), default=None)

    def _cleanup(self, function: FunctionId) -> frozenset[int]:
        """The statements of `finally` blocks and handlers: what goes wrong in cleaning up, goes wrong."""
        found = self._cleanups.get(function.source)
        if found is None:
            tries = [stmt for stmt in walk(self.program.node(function).body) if isinstance(stmt, ir.Try)]
            bodies = [body for one in tries for body in (one.final, *(handler.body for handler in one.handlers))]
            found = self._cleanups[function.source] = frozenset(id(stmt) for body in bodies for stmt in walk(body))
        return found

    def _goes_out(self, function: FunctionId, thing: Thing, node: Node, way: Edge, step: Step, names: frozenset[str]) -> bool:
        """Whether an exception, a cancellation or a closing at a node is worth following, and leaves the thing with the function."""
        match way:
            case _ if id(node.stmt) in self._cleanup(function) and not isinstance(node.stmt, ir.Raise):
                return False
            case Edge.RAISE if step.fate is None:
                return self.risks.tells(function, node, names if thing.kind else frozenset(), works=step.works, own_only=thing.is_collected)
            case Edge.RAISE:
                return step.unless_raised
            case _:
                return not thing.is_collected and (step.fate is None or (way is Edge.CANCEL and step.unless_cancelled))


@dataclass(frozen=True, slots=True)
class _Trail:
    """Of a way on which the thing is in hand: the names that hold it, whether it owes its release by now, its last statement, and the last
    of its steps that raised."""

    names: frozenset[str]
    owed: bool
    last: Node
    raised: tuple[Edge, Node]


def _assume(choices: Choices, facts: Facts, names: frozenset[str], acquired: Acquired | None) -> Facts:
    """What holds where a thing has been got: its names are not None, and there was none before."""
    if acquired is not None and acquired.given is not None:
        facts = choices.assume(facts, *acquired.given)
    stmt = acquired.node.stmt if acquired is not None else None
    together = {name for target in stmt.targets for name in target_names(target)} if isinstance(stmt, ir.Bind) else set[str]()
    for name in sorted(names | together):
        facts = choices.assume(facts, ir.Name(name), holds=True)
    return facts


def _assume_held(choices: Choices, facts: Facts, node: Node, names: frozenset[str]) -> Facts:
    """What holds where the thing has got another name, or the same one again by a call that hands it on: that is not None."""
    bound = node.stmt.targets if isinstance(node.stmt, ir.Bind) and node.kind == "stmt" else ()
    for name in sorted({name for target in bound for name in target_names(target)} & names):
        facts = choices.assume(facts, ir.Name(name), holds=True)
    return facts


def _beyond_handlers(node: Node) -> frozenset[int]:
    """Where an exception goes on to that none of the handlers of a `try` catches, if some handler may catch it: the handlers say what the
    code expects, and what else may come is a guess."""
    assert isinstance(node.stmt, ir.Try)
    bodies = {id(_first(handler.body[0])) for handler in node.stmt.handlers if handler.body}
    caught = [target for _, target in node.successors if id(target.stmt) in bodies]
    return frozenset(id(target) for _, target in node.successors if id(target.stmt) not in bodies) if caught else frozenset()


def _first(stmt: ir.Stmt) -> ir.Stmt:
    while isinstance(stmt, ir.Try) and stmt.body:
        stmt = stmt.body[0]
    return stmt


def _stands_in(functions: Sequence[ir.Function], index: int, outer: int) -> bool:
    while parent := functions[index].parent:
        if parent == outer:
            return True
        index = parent
    return False
