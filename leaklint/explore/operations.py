"""What a node of a function does to the resources and units of a scope, as acts of an automaton."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, Waits
from leaklint.explore.counterparts import ACTS, TRIES
from leaklint.explore.points import Unsupported
from leaklint.explore.reading import LOWEST
from leaklint.explore.system import ALL, UNKNOWN, Act, Op, Outcome
from leaklint.explore.variables import LENGTHS, OBJECT, assigned, is_list, is_object
from leaklint.link.actions import Action
from leaklint.link.sizes import length
from leaklint.link.syntax import in_order, parts, target_names
from leaklint.link.values import FunctionId, Resource, Site
from leaklint.paths import Node

if TYPE_CHECKING:
    from leaklint.explore.frame import Frame, Here, Ways

Make: TypeAlias = "Callable[[Ways, int], int]"
"""Makes the point of an act before the point that it is given."""


@dataclass(eq=False)
class Operations:
    """Of one run of a function."""

    frame: Frame
    _joined_with: dict[Site, bool] = field(default_factory=dict)
    """Wait → whether it is also for units out of the scope, the failure of which ends it."""

    def __post_init__(self) -> None:
        setting = self.frame.setting
        self.program, self.scope, self.resources = setting.graph.program, setting.scope, setting.resources
        self.turns, self.copies = setting.turns, setting.copies
        self.function, self.points, self.reading = self.frame.function, self.frame.points, self.frame.reading

    def of(self, node: Node) -> Iterator[Make]:
        """What a node does, in order: each makes the point before the one that it is given."""
        for part in node.parts:
            perhaps = {id(inner) for one in _perhaps(part) for inner in in_order(one)}
            for expression in in_order(part):
                match expression:
                    case ir.Call():
                        acts = self._call(expression)
                    case ir.Await():
                        acts = list(self._await(expression))
                    case _:
                        continue
                acts *= self.turns.times_in_comprehension(self.function, expression.site)
                yield from (partial(self._unless_skipped, act) for act in acts) if id(expression) in perhaps else acts
        yield from self._assignments(node)
        if isinstance(node.stmt, ir.With) and node.kind in ("enter", "exit"):
            items = node.stmt.items if node.kind == "enter" else node.stmt.items[::-1]
            for item in items:
                yield from self._item(item, node.kind)
        if node.thrown and self._is_risky(node):
            yield lambda way, then: self._risk(way, then)

    def _unless_skipped(self, act: Make, way: Ways, then: int) -> int:
        """What an expression does that is not always evaluated."""
        return self.points.add(Op(Act.GUESS), {Outcome.DONE: (act(way, then), then)})

    def _assignments(self, node: Node) -> Iterator[Make]:
        """What a statement does to flags."""
        match node.stmt:
            case ir.Bind(targets=targets, value=value) if node.kind == "stmt":
                yield from self._bound(assigned(targets, value))
            case ir.For(target=target) if node.kind == "step":
                yield from self._bound([(one, None) for one in _targets(target)])
            case ir.With(items=items) if node.kind == "enter":
                yield from self._bound((item.target, None) for item in items if item.target is not None)
            case ir.Augment(target=target, operator=operator, value=value) if node.kind == "stmt":
                if (changed := self.resources.changed(self.function, target)) is not None:
                    yield partial(self._add, *changed, operator, value)
            case _:
                pass

    def _bound(self, pairs: Iterable[tuple[ir.Expr, ir.Expr | None]]) -> Iterator[Make]:
        for target, given in pairs:
            if (changed := self.resources.changed(self.function, target)) is not None:
                yield partial(self._assign, *changed, given)

    def _on_list(self, call: ir.Call) -> Iterator[Make]:
        """What a method of a list does to its length."""
        match call.function:
            case ir.Attribute(base=base, name=method) if (changed := self.resources.changed(self.function, base)) is not None:
                flag, is_sure = changed
                if not self.resources.is_length(flag):
                    return
                more = LENGTHS.get(method)
                if more is None or not is_sure:
                    yield partial(self._assign, flag, False, None)
                elif more:
                    op = Op(Act.ADD, flag, 1) if more > 0 else Op(Act.TAKE, flag)
                    yield lambda way, then: self.points.add(op, {Outcome.DONE: (then,), Outcome.REFUSED: way.raised("IndexError")})
                else:
                    yield lambda way, then: self.points.add(Op(Act.ASSIGN, flag), {Outcome.DONE: (then,)})
            case _:
                pass

    def _assign(self, flag: int, is_sure: bool, given: ir.Expr | None, way: Ways, then: int) -> int:
        known = (self.frame.value(given, way.here) if is_list(given) is None else is_list(given)) if given is not None else None
        value = known if known is not None else OBJECT if is_object(given) else UNKNOWN
        return self.points.add(Op(Act.ASSIGN, flag, value if is_sure else UNKNOWN), {Outcome.DONE: (then,)})

    def _add(self, flag: int, is_sure: bool, operator: str, value: ir.Expr, way: Ways, then: int) -> int:
        more = self.frame.value(value, way.here)
        self.turns.must_be_exact()
        if more is None or more < LOWEST or operator not in ("+", "-") or not is_sure:
            return self.points.add(Op(Act.ASSIGN, flag, UNKNOWN), {Outcome.DONE: (then,)})
        return self.points.add(Op(Act.ADD, flag, more if operator == "+" else -more), {Outcome.DONE: (then,)})

    def _is_risky(self, node: Node) -> bool:
        """Whether something may raise here other than the operations of the scope, and what is inlined, do by themselves."""
        calls = [e for part in node.parts for e in in_order(part) if isinstance(e, ir.Call)]
        if not calls:
            return True
        touching, callees = self.scope.touching, self.program.state.callees
        others = [c for c in calls if not self._is_told(c) and not callees.get(self.function.site(c.site), set()) & touching]
        return any(self.program.raising.of_call(self.function, call) for call in others)

    def _risk(self, way: Ways, then: int) -> int:
        raised = tuple(dict.fromkeys(t for name in way.node.thrown for t in way.raised(name)))
        return self.points.add(Op(Act.GUESS, value=1), {Outcome.DONE: (then,), Outcome.REFUSED: raised})

    def _is_told(self, call: ir.Call) -> bool:
        """Whether the call is known, with all that it may raise."""
        return any(self._is_known(action) for action in self.reading.actions(call.site))

    def _call(self, call: ir.Call) -> list[Make]:
        if len({number for a in self.reading.actions(call.site) if (number := self.resources.number(a)) is not None}) > 1:
            raise Unsupported("an operation on one of several things")
        acts = [act for action in self.reading.actions(call.site) for act in self._action(action)]
        acts += self._on_list(call)
        callees = sorted(self.program.state.callees.get(self.function.site(call.site), ()))
        here = [c for c in callees if c in self.scope.touching and not self.program.node(c).is_async]
        if here:
            acts.append(lambda way, then: self._one_of(callees, here, call, way, then))
        for action in self.program.at(self.function.site(call.site)):
            if action.does in (Does.RUN, Does.OBSERVE, Does.COPY) and action.call.record.by is None:
                run = [f for f in self.program.entries(action.call) if f in self.scope.touching]
                acts += [partial(self._any_times, run, call)] if run else []
        return acts

    def _any_times(self, run: list[FunctionId], call: ir.Call, way: Ways, then: int) -> int:
        """What a library runs while it is called: each function as often as it likes."""
        again = self.points.new()
        starts = [self.frame.inlined(one, None, way, again, self.frame.limit(call.site, way)) for one in run]
        return self.points.set(again, Op(Act.GUESS), {Outcome.DONE: (then, *starts)})

    def _one_of(self, callees: list[FunctionId], here: list[FunctionId], call: ir.Call, way: Ways, then: int) -> int:
        """A call, by which one of several functions runs: those that matter are inlined, and which it is must be guessed."""
        limit = self.frame.limit(call.site, way)
        starts = [self.frame.inlined(one, call, way, then, limit) for one in here]
        starts += [then] if len(callees) > len(here) else []
        return starts[0] if len(starts) == 1 else self.points.add(Op(Act.GUESS), {Outcome.DONE: tuple(starts)})

    def _await(self, awaited: ir.Await) -> Iterator[Make]:
        match awaited.value:
            case ir.Call(site=number) as call:
                callees = sorted(self.program.state.callees.get(self.function.site(number), ()))
                here = [c for c in callees if c in self.scope.touching and self.program.node(c).is_async]
                if here:
                    yield lambda way, then: self._one_of(callees, here, call, way, then)
                    return
                if any(self._is_known(a) for a in self.reading.actions(number)):
                    return
        acts = [act for action in self.reading.actions(awaited.site) for act in self._action(action)]
        yield from acts
        if not acts and self.program.suspending.at(self.function, awaited):
            yield lambda way, then: self.points.add(Op(Act.PAUSE), {Outcome.DONE: (then,), Outcome.CANCELLED: way.cancelled()})

    def _is_known(self, action: Action) -> bool:
        return any(True for _ in self._action(action))

    def _item(self, item: ir.WithItem, kind: str) -> Iterator[Make]:
        site = self.function.site(item.site)
        if self.program.state.callees.get(site, set()) & self.scope.touching:
            raise Unsupported("a context manager of the program")
        wanted = ("__exit__", "__aexit__") if kind == "exit" else ("__enter__", "__aenter__")
        for action in self.reading.actions(item.site):
            if action.method in wanted:
                yield from self._action(action)
        if kind == "exit":
            on = {a: o for a in self.reading.actions(item.site) for o in a.subjects if self.program.kind(o) in (Kind.GROUP, Kind.EXECUTOR)}
            started = [u for u in self.scope.units if any(s.subject in on.values() for s in u.spawns)]
            if started:
                numbers = self.copies.of_all(started)
                is_group = any(self.program.kind(o) is Kind.GROUP for o in on.values())
                leaving = next((a for a in on if a.method in wanted), min(on, key=lambda a: a.method))
                yield lambda way, then: self._leave_group(numbers, is_group, leaving, way, then)

    def _leave_group(self, units: tuple[int, ...], is_group: bool, leaving: Action, way: Ways, then: int) -> int:
        """A block that waits for what was started in it. A task group cancels that first on another way out than its end, and when the wait
        is cancelled; then it waits on, whatever comes."""
        told = self.frame.setting.told(self.function, leaving)
        ways = {Outcome.DONE: (then,), Outcome.FAILED: way.raised("?"), Outcome.CANCELLED: way.cancelled()}
        if not is_group:
            return self.points.add(Op(Act.ALL, units=units), ways, told)
        again = self.points.new()
        end = (then,) if way.node.unwinds else way.cancelled()
        self.points.set(again, Op(Act.GROUP, units=units), ways | {Outcome.DONE: end, Outcome.CANCELLED: (again,)}, told)
        aborting = self.points.add(Op(Act.CANCEL, units=units), {Outcome.DONE: (again,)})
        if way.node.unwinds:
            return aborting
        return self.points.add(Op(Act.GROUP, units=units), ways | {Outcome.CANCELLED: (aborting,)}, told)

    def _action(self, action: Action) -> Iterator[Make]:
        number = self.resources.number(action)
        if number is not None:
            act = ACTS.get((action.does, self.program.kind(min(action.subjects))))
            if act is None:
                if action.does in (Does.OBSERVE, Does.MAKE, Does.BOUND, Does.COPY, Does.REGISTER):
                    return
                raise Unsupported(f"`{action.method}`")
            if action.waits is None and act in TRIES:
                act = TRIES[act]
            if action.does is Does.WAIT and action.waits is Waits.UNTIL_DRAINED:
                act = Act.DRAINED
            if act is Act.LISTEN and "predicate" in action.call.given:
                predicate = action.call.given["predicate"]
                yield lambda way, then: self._until(action, predicate, way, then)
                return
            yield lambda way, then: self.wait(action, act, way, then, {})
            return
        yield from self._on_units(action)

    def _on_units(self, action: Action) -> Iterator[Make]:
        spawned = [u for u in self.scope.units if any(s.record.site == action.site and s.name == action.name for s in u.spawns)]
        for unit in spawned:
            often = 1 if action.does in (Does.SPAWN, Does.SUBMIT) else self._elements_of(action)
            yield from [partial(self._label, Op(Act.SPAWN, units=self.copies.of[unit]), action)] * often
        if action.does is Does.BOUND:
            here = [f for f in self.program.entries(action.call) if f in self.scope.touching]
            if len(here) == 1:
                bounded = not self.program.blocks(action)
                yield lambda way, then: self.frame.inlined(
                    here[0], None, way, then, (lambda: way.gives_up(action, then)[0]) if bounded else None
                )
            elif here:
                raise Unsupported("an await of one of several functions")
            return
        if spawned and action.does not in (Does.JOIN, Does.WAIT):
            return
        if action.does is Does.CANCEL:
            sites = {getattr(self.program.value(o), "site", None) for o in action.subjects} - {None}
            group = [u for u in self.scope.units if any(self._site_of(s.subject) in sites for s in u.spawns)]
            if group:
                all_of = self.copies.of_all(group)
                yield partial(self._label, Op(Act.CANCEL, units=all_of), action)
                return
        handled = [u for u in self.scope.units if u.handle & action.subjects] + (spawned if action.does in (Does.JOIN, Does.WAIT) else [])
        if not handled:
            return
        numbers = self.copies.of_all(handled)
        others = self.program.handles & action.subjects - frozenset(o for u in handled for o in u.handle)
        others_here = [u for u in self.program.units if u not in self.scope.units and any(s.record.site == action.site for s in u.spawns)]
        self._joined_with[action.site] = bool(others or others_here)
        match action.does:
            case Does.CANCEL:
                yield partial(self._label, Op(Act.CANCEL, units=numbers), action)
            case Does.JOIN | Does.WAIT if action.waits is Waits.UNTIL_FIRST:
                yield lambda way, then: self._wait_for(Act.ANY, numbers, action, way, then)
            case Does.JOIN | Does.WAIT if action.waits is not None:
                act = Act.JOIN if len(numbers) == 1 else Act.GATHER if self._fails_early(action) else Act.ALL
                yield lambda way, then: self._wait_for(act, numbers, action, way, then)
            case _:
                pass

    def _site_of(self, obj: int | None) -> Site | None:
        value = self.program.value(obj) if obj is not None else None
        return value.site if isinstance(value, Resource) else None

    def _elements_of(self, action: Action) -> int:
        """How many units a wait starts of each sort: `gather(*[work(x) for x in names])`."""
        node = action.call.record.node
        comprehensions = [
            p for a in (node.arguments if node is not None else ()) for p in in_order(a.value) if isinstance(p, ir.Comprehension)
        ]
        times = 1
        for clause in (c for one in comprehensions for c in one.clauses):
            times *= self.turns.known(length(self.program, self.function, clause.iterable))
        return times

    def _is_one_of_many(self, action: Action) -> bool:
        """Whether the operation is on the variable of a loop: then each turn has another thing."""
        place = self.program.place(action.function, action.site.number)
        node = action.call.record.node
        if place is None or node is None or not isinstance(node.function, ir.Attribute):
            return False
        names = {part.id for part in in_order(node.function.base) if isinstance(part, ir.Name)}
        return any(names & set(target_names(loop.target)) for loop in place.loops if isinstance(loop, ir.For))

    def _asks_first(self, action: Action) -> bool:
        """Whether the function looks whether the units are done: then it does not wait for each of them."""
        here = self.program.actions_in(self.function)
        return any(a.does is Does.OBSERVE and a.method in ("done", "is_alive") and a.subjects & action.subjects for a in here)

    def _label(self, op: Op, action: Action, way: Ways, then: int) -> int:
        return self.points.add(op, {Outcome.DONE: (then,)}, self.frame.setting.told(self.function, action))

    def _wait_for(self, act: Act, numbers: tuple[int, ...], action: Action, way: Ways, then: int) -> int:
        timed = not self.program.blocks(action) or self._asks_first(action) or self._joined_with.get(action.site, False)
        ways = {
            Outcome.DONE: (then,), Outcome.FAILED: way.raised("?"), Outcome.CANCELLED: way.cancelled(),
            Outcome.TIMED_OUT: way.gives_up(action, then),
        }  # fmt: skip
        return self.points.add(Op(act, units=numbers, timed=timed), ways, self.frame.setting.told(self.function, action))

    def wait(self, action: Action, act: Act, way: Ways, then: int, ways: dict[Outcome, tuple[int, ...]]) -> int:
        number = self.resources.number(action)
        assert number is not None
        if self._is_one_of_many(action):
            raise Unsupported("an operation on one of several things")
        timed = action.waits is not None and (not self.program.blocks(action) or self.frame.gives_up is not None)
        if act in (Act.SEND, Act.TRY_SEND) and (self.frame.in_data or self.turns.is_in_data_loop(self.function, action.site.number)):
            self.resources.filled_by_data.add(number)
        if act in (Act.ACQUIRE, Act.TRY_ACQUIRE, Act.RELEASE):
            number = self.resources.lock_of(number)
        op = Op(act, number, self._value(action, act, way.here), timed=timed)
        found = {
            Outcome.DONE: (then,), Outcome.REFUSED: way.refused(action, then), Outcome.CANCELLED: way.cancelled(),
            Outcome.TIMED_OUT: (self.frame.gives_up(),) if self.frame.gives_up is not None else way.gives_up(action, then), **ways,
        }  # fmt: skip
        told = self.frame.setting.told(self.function, action)
        return (
            self.points.listen(op, self.resources.lock_of(number), found, told) if act is Act.LISTEN else self.points.add(op, found, told)
        )

    def _until(self, action: Action, predicate: ir.Expr, way: Ways, then: int) -> int:
        """`wait_for(predicate)`: it listens for as long as the predicate does not hold."""
        head = self.points.new()
        listen = self.wait(action, Act.LISTEN, way, head, {})
        test = self.frame.predicates.test(predicate, (then,), (listen,), way.here)
        return self.points.set(head, Op(Act.CHOOSE), {Outcome.DONE: (test,)})

    def _value(self, action: Action, act: Act, here: Here) -> int:
        if act is Act.NOTIFY:
            if action.method != "notify":
                return ALL
            given = action.call.given.get("n")
            number = 1 if given is None else self.frame.value(given, here)
            if number is None:
                raise Unsupported("an unknown number of notifications")
            return number
        if act not in (Act.SEND, Act.TRY_SEND):
            return 0
        given = action.call.given.get(action.call.operation.value or "")
        if given is None:
            raise Unsupported("a value out of sight")
        return self.frame.code(given, here)

    def _fails_early(self, action: Action) -> bool:
        """Whether the first failure ends the wait."""
        unless = action.call.operation.fails_early
        given = action.call.given.get(unless) if unless is not None else None
        return unless is not None and not (isinstance(given, ir.Constant) and given.text == "True")


def _perhaps(expression: ir.Expr) -> Iterator[ir.Expr]:
    """The parts of an expression that are evaluated or not, as others decide."""
    match expression:
        case ir.Operation(operator="and" | "or", operands=(first, *rest)):
            yield from rest
            yield from _perhaps(first)
        case ir.Choice(test=test, then=then, otherwise=otherwise):
            yield from (then, otherwise)
            yield from _perhaps(test)
        case ir.Comprehension(clauses=clauses) if any(clause.conditions for clause in clauses):
            yield expression.element
        case _:
            for part in parts(expression):
                yield from _perhaps(part)


def _targets(target: ir.Expr) -> list[ir.Expr]:
    return [part for item in target.items for part in _targets(item)] if isinstance(target, ir.Display) else [target]
