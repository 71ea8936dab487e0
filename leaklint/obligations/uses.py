"""What a step of a function does to a thing that its locals hold: settles it, hands it on, gives it another name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from leaklint import ir
from leaklint.catalog.grammar import Does, Gives, Kind
from leaklint.graph import Graph
from leaklint.link.effects import Effect
from leaklint.link.effects.kinds import CANCELS, CLOSES, RELEASES
from leaklint.link.program import Program
from leaklint.link.raising import ANY
from leaklint.link.syntax import bound_by, parts, root_of, subexpressions, target_names
from leaklint.link.values import ClassValue, Container, FunctionId, Instance, Resource
from leaklint.obligations.bindings import parameter_of
from leaklint.obligations.pools import is_abstract
from leaklint.obligations.things import Thing
from leaklint.paths import Node


class Fate(IntEnum):
    """What becomes of a thing, the surest first."""

    SETTLED = 0
    MOVED = 1  # an attribute, a container, a callee or a closure has it now
    RETURNED = 2


class Has(IntEnum):
    """What the value of an expression has to do with the thing."""

    NOT = 0
    INSIDE = 1  # it holds it: a tuple, a list, an object made of it
    SAME = 2


@dataclass(frozen=True, slots=True)
class Step:
    """A node, for one thing. `fate`: what becomes of it; None while the function still has it, under `names`. `incurs`: from here on it
    owes its release. `unless_cancelled`, `unless_raised`: the fate does not hold when a cancellation or an exception leaves the node.
    `works`: the thing itself is at work here, so that its errors come out."""

    names: frozenset[str]
    fate: Fate | None = None
    incurs: bool = False
    unless_cancelled: bool = False
    unless_raised: bool = False
    works: bool = False


_ENDS_UNIT = frozenset({Effect.CANCELS, Effect.AWAITS, Effect.JOINS, Effect.CLOSES})
_ENDS_OTHER = frozenset({Effect.CANCELS, Effect.JOINS, Effect.CLOSES, Effect.RELEASES})
_GONE = frozenset({Effect.KEEPS, Effect.ESCAPES})
_HOLDING = frozenset({Does.MAKE, Does.BIND, Does.SPAWN, Does.SUBMIT, Does.REGISTER, Does.ARM, Does.STORE, Does.SEND, Does.ENTER})
"""Operations after which somebody has what they were given."""
UNITS = frozenset({Kind.TASK, Kind.FUTURE, Kind.THREAD, Kind.PROCESS, Kind.TIMER})


class Uses:
    """Answers for one thing in one function. `may_drop(function, parameter, thing)`: whether a function may raise before anything keeps
    the thing that this parameter gets."""

    def __init__(self, graph: Graph, function: FunctionId, thing: Thing, may_drop: Callable[[FunctionId, str, Thing], bool]) -> None:
        self.graph = graph
        self.program = graph.program
        self.function = function
        self.thing = thing
        self.may_drop = may_drop
        self.is_block = graph.program.node(function).is_generator and function.source in graph.program.blocks_written_as_generators

    def step(self, node: Node, names: frozenset[str]) -> Step:
        """What a node does to the thing that these names hold."""
        if node.stmt is None or node.kind in ("exit", "except", "join", "end"):
            return Step(names)
        return _Reading(self, names).of(node)


class _Reading:
    """One node, read once."""

    def __init__(self, uses: Uses, names: frozenset[str]) -> None:
        self.uses = uses
        self.program = uses.program
        self.thing = uses.thing
        self.names = names
        self.after = set(names)
        self.fates: set[Fate] = set()
        self.incurs = False
        self.unless_cancelled = False
        self.unless_raised = False
        self.works = False

    def of(self, node: Node) -> Step:
        self._statement(node)
        fate = min(self.fates) if self.fates else None
        return Step(frozenset(self.after), fate, self.incurs, self.unless_cancelled, self.unless_raised, self.works)

    # --- statements

    def _statement(self, node: Node) -> None:
        match node.stmt:
            case ir.Bind(targets=targets, value=value):
                self._bind(targets, value)
            case ir.Augment(value=value):
                self._moves(self._value(value))
            case ir.Return(value=value):
                if value is not None and self._value(value) is not Has.NOT:
                    self.fates.add(Fate.RETURNED)
            case ir.Raise(exception=exception, cause=cause):
                for one in (exception, cause):
                    if one is not None:
                        self._moves(self._value(one))
            case ir.With(items=items):
                for item in items:
                    if self._enters(item.context):
                        self.fates.add(Fate.SETTLED)
                    self._forget(item.target)
            case ir.For(target=target) if node.kind == "step":
                self._forget(target)
            case ir.For(iterable=iterable):
                if self._value(iterable) is Has.INSIDE:
                    self.fates.add(Fate.MOVED)
            case ir.Delete(targets=targets):
                for target in targets:
                    self._forget(target)
            case ir.Match(subject=subject):
                self._moves(self._value(subject))
            case stmt:
                for part in node.parts:
                    self._value(part)
                if stmt is not None:
                    self.after -= set(bound_by(stmt, self.program.modules[self.uses.function.module].summary))

    def _bind(self, targets: tuple[ir.Expr, ...], value: ir.Expr) -> None:
        match targets, value:
            case (ir.Display(items=names),), ir.Display(items=items) if len(names) == len(items) and not _has_star((*names, *items)):
                for name, has in [(name, self._value(item)) for name, item in zip(names, items, strict=True)]:
                    self._assign(name, has)
            case _:
                has = self._value(value)
                is_new = any(isinstance(part, ir.Call) for part in subexpressions(value))
                for target in targets:
                    self._assign(target, Has.SAME if has is Has.NOT and not is_new and self._has_the_same(target) else has)

    def _assign(self, target: ir.Expr, has: Has) -> None:
        match target:
            case ir.Name(id=name) if has is Has.SAME:
                self.after.add(name)
            case ir.Name(id=name):
                self.after.discard(name)
                self._moves(has)
            case _:
                for part in parts(target):
                    if isinstance(target, ir.Subscript) and part is target.index:
                        self._moves(self._value(part))  # a key of somebody's dict
                self._moves(has)
                self.after -= set(target_names(target))

    def _has_the_same(self, target: ir.Expr) -> bool:
        """Whether a name gets, from wherever, what came together with a resource and has it as well: its protocol."""
        own = self.thing.object
        if not isinstance(target, ir.Name) or own is None or not isinstance(self.program.value(own), Resource):
            return False
        together = self.program.local_objects(self.uses.function, self.names) & self.program.local_objects(self.uses.function, (target.id,))
        return any(isinstance(self.program.value(obj), Instance) for obj in together)

    def _forget(self, target: ir.Expr | None) -> None:
        if target is not None:
            self.after -= set(target_names(target))

    def _moves(self, has: Has) -> None:
        if has is not Has.NOT:
            self.fates.add(Fate.MOVED)

    def _enters(self, context: ir.Expr) -> bool:
        """Whether leaving the block of a `with` item releases the thing: it is the item, or is given to what makes the item."""
        return self._value(context) is not Has.NOT

    # --- expressions

    def _value(self, expression: ir.Expr) -> Has:
        match expression:
            case ir.Name(id=name):
                return Has.SAME if name in self.names else Has.NOT
            case ir.Constant() | ir.Lambda():
                return Has.NOT
            case ir.Attribute():
                return self._attribute(expression)
            case ir.Call():
                return self._call(expression)
            case ir.Await(value=ir.Call() as call):
                return self._call(call, awaited=True)
            case ir.Await(value=value):
                if self._value(value) is Has.SAME and self.thing.kind in UNITS:
                    self.fates.add(Fate.SETTLED)
                return Has.NOT
            case ir.Yield(value=value):
                has = self._value(value) if value is not None else Has.NOT
                if not self.uses.is_block:
                    self._moves(has)
                return Has.NOT
            case ir.Walrus(target=target, value=value):
                has = self._value(value)
                self._assign(target, has)
                return has
            case ir.Choice(test=test, then=then, otherwise=otherwise):
                self._value(test)
                return max(self._value(then), self._value(otherwise))
            case ir.Operation(operator="and" | "or", operands=operands):
                return max(self._value(one) for one in operands)
            case ir.Operation(operands=operands) | ir.Template(parts=operands):
                for one in operands:
                    self._value(one)
                return Has.NOT
            case ir.Comparison(left=left, rights=rights):
                for one in (left, *rights):
                    self._value(one)
                return Has.NOT
            case ir.Subscript(base=base, index=index):
                self._value(index)
                return Has.NOT if self._value(base) is Has.NOT else Has.INSIDE
            case ir.Comprehension(key=key, element=element, clauses=clauses):
                for clause in clauses:
                    self._moves(Has.INSIDE if self._value(clause.iterable) is Has.INSIDE else Has.NOT)
                    for condition in clause.conditions:
                        self._value(condition)
                made = [self._value(one) for one in (key, element) if one is not None]
                return Has.INSIDE if any(made) else Has.NOT
            case _:
                inside = [self._value(one) for one in parts(expression)]
                return Has.INSIDE if any(inside) else Has.NOT

    def _attribute(self, attribute: ir.Attribute) -> Has:
        """An attribute that is read and not called: a method that releases may be given to somebody who will call it, and what the thing
        owns may be what is stored of it."""
        if self._value(attribute.base) is Has.SAME:
            effects = self.program.effects.methods.handed_out(attribute.name)
            if attribute.name in self._releasing or effects & (CLOSES | CANCELS | RELEASES):
                self.fates.add(Fate.MOVED)
            if self.thing.kind is Kind.SUBPROCESS and attribute.name == "pid":
                self.fates.add(Fate.MOVED)  # whoever has the number can end the process
            return Has.INSIDE if self._is_owned(attribute.name) else Has.NOT
        return Has.NOT

    def _is_owned(self, name: str) -> bool:
        model = self.program.model(self.thing.object) if self.thing.object is not None else None
        return model is not None and (name in model.attributes or name in model.views)

    @property
    def _releasing(self) -> frozenset[str]:
        debt = self.thing.debt
        if debt is not None:
            return debt.methods
        return frozenset(self.program.node(taker).name for taker in self.thing.takers)

    def _call(self, call: ir.Call, *, awaited: bool = False) -> Has:
        match call.function:
            case ir.Attribute(base=base, name=name):
                has = self._value(base)
                if has is Has.SAME:
                    result = self._method(call, name, awaited)
                else:
                    result = Has.NOT
                    if has is Has.INSIDE or root_of(base) in self.names:
                        self._through(call, name)
            case function:
                self._value(function)
                result = Has.NOT
        for argument in call.arguments:
            has = self._value(argument.value)
            if has is not Has.NOT:
                result = max(result, self._given(call, argument, has, awaited))
        return result

    def _through(self, call: ir.Call, name: str) -> None:
        """A method of something that the thing owns: `writer.transport.abort()`."""
        found = self.program.effects.methods.called(name, call.arguments, awaited=False)
        if name in self._releasing or (found is not None and found[0] & (CLOSES | CANCELS)):
            self.fates.add(Fate.SETTLED)

    def _method(self, call: ir.Call, name: str, awaited: bool) -> Has:
        """A method of the thing itself."""
        site = self.uses.function.site(call.site)
        callees = self.program.state.callees.get(site, set())
        debt = self.thing.debt
        if self._settles(callees, name, call):
            self.fates.add(Fate.SETTLED)
            return Has.NOT
        if any(self._keeps_self(f) for f in callees):
            self.fates.add(Fate.MOVED)
            return Has.SAME
        if debt is not None and {f.source for f in debt.incurred} & {f.source for f in callees}:
            self.incurs = True
        actions = [a for a in self.program.at(site) if a.call.record.by is None]
        self.works = self.works or any(a.waits is not None for a in actions) or self._is_troubled(callees)
        if any(a.call.operation.returns == Gives.SELF for a in actions) or any(gives_self(self.program, f) for f in callees):
            return Has.SAME
        waits = any(a.call.operation.is_async for a in actions) or any(self.program.node(f).is_async for f in callees)
        return Has.INSIDE if waits and not awaited else Has.NOT  # a coroutine has its object

    def _is_troubled(self, callees: set[FunctionId]) -> bool:
        """Whether functions of the program let errors out that they, or those they call, have a name for."""
        return any(self.program.raising.of(callee) - {ANY} for callee in callees)

    def _keeps_self(self, method: FunctionId) -> bool:
        """Whether a method, or one of its class and those above that runs as part of it, gives its object to somebody who keeps it: a
        registry, the owner it was made for."""
        cls = self.program.class_of(method)
        line = self.program.state.names.lineage(cls)[0] if cls is not None else ()
        own = [method, *(f for f in self.program.reached([method]) - {method} if self.program.class_of(f) in line)]
        first = ((f, parameters[0].name) for f in own if (parameters := self.program.node(f).parameters))
        return any(Effect.KEEPS in self.program.effects.on(f, name) for f, name in first)

    def _settles(self, callees: set[FunctionId], name: str, call: ir.Call) -> bool:
        debt = self.thing.debt
        if name in self._releasing:
            return True
        if debt is None:
            found = self.program.effects.methods.called(name, call.arguments, awaited=False)
            return found is not None and bool(found[0] & (CLOSES | CANCELS | RELEASES))
        if self.thing.kind in UNITS and not callees:
            site = self.uses.function.site(call.site)
            return any(a.does in (Does.CANCEL, Does.JOIN, Does.CLOSE) for a in self.program.at(site))
        teardowns = debt.teardowns
        return bool(teardowns) and bool(self.program.reached(callees) & teardowns)

    def _given(self, call: ir.Call, argument: ir.Argument, has: Has, awaited: bool) -> Has:
        """The thing, or what holds it, is an argument."""
        effects = self.program.effects
        site = self.uses.function.site(call.site)
        found: set[Effect] = set()
        records = effects.records(site)
        for record in records:
            found |= effects.of_argument(record, argument.value)
        actions = [a for a in self.program.at(site) if a.call.record.by is None]
        if not records or (awaited and not actions and not self.program.state.callees.get(site)):
            found.add(Effect.ESCAPES)  # what is awaited is more than it seems
        if any(a.does in (Does.SHIELD, Does.WAIT) for a in actions) and self.thing.kind in UNITS:
            self.unless_cancelled = True
        makes = any(isinstance(self.program.value(o), ClassValue | Container) for o in self.program.called(site))
        if self._may_be_dropped(call, argument, awaited):
            self.unless_raised = True
        callees = self.program.state.callees.get(site, set())
        if callees and self._releases_below(callees):
            self.fates.add(Fate.SETTLED)
            return Has.NOT
        if callees and self.thing.kind is Kind.SUBPROCESS:
            found.add(Effect.KEEPS)  # who looks after a process has many ways to do so
        if makes or any(a.does in _HOLDING or a.call.operation.keeps for a in actions):
            found.add(Effect.KEEPS)
        if found & (_ENDS_UNIT if self.thing.kind in UNITS else _ENDS_OTHER):
            self.fates.add(Fate.SETTLED)
        elif found & _GONE:
            self.fates.add(Fate.MOVED)
        elif Effect.RETURNS in found:
            return has
        else:
            self.works = self.works or self._is_troubled(callees)
        return Has.NOT

    def _releases_below(self, callees: set[FunctionId]) -> bool:
        """Whether functions that are given the thing call one of the methods that release it."""
        obj, debt = self.thing.object, self.thing.debt
        if obj is None:
            return False
        reached = self.program.reached(callees)
        if debt is not None and reached & debt.teardowns:
            return True
        return any(action.method in self._releasing and action.function in reached for action in self.program.on(obj))

    def _may_be_dropped(self, call: ir.Call, argument: ir.Argument, awaited: bool) -> bool:
        """Whether the call is that of a function which may raise before anything keeps the argument."""
        callees = self.program.state.callees.get(self.uses.function.site(call.site), set())
        callees = {f for f in callees if not is_abstract(self.program.node(f))}
        return bool(callees) and all(self._may_drop(callee, call, argument, awaited) for callee in callees)

    def _may_drop(self, callee: FunctionId, call: ir.Call, argument: ir.Argument, awaited: bool) -> bool:
        node = self.program.node(callee)
        parameter = parameter_of(node, call, argument)
        runs = node.is_async is awaited and not node.is_generator
        return runs and parameter is not None and self.uses.may_drop(callee, parameter, self.thing)


def gives_self(program: Program, method: FunctionId) -> bool:
    """Whether a method returns the object that it is called on."""
    parameters = program.node(method).parameters
    return bool(parameters) and Effect.RETURNS in program.effects.on(method, parameters[0].name)


def _has_star(items: tuple[ir.Expr, ...]) -> bool:
    return any(isinstance(item, ir.Starred) for item in items)
