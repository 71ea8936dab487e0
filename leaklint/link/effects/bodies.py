"""From the bodies of a function and of those inside it to threads of the web of effects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leaklint import ir
from leaklint.link.effects.calls import Calls, Given
from leaklint.link.effects.containers import Containers
from leaklint.link.effects.kinds import (
    ACQUIRES,
    ALL,
    AWAITS,
    BACK,
    CALLS,
    ESCAPES,
    HELD,
    KEEPS,
    RECEIVES_FROM,
    RELEASES,
    Mask,
    on_subject,
)
from leaklint.link.effects.methods import GIVES, TAKES
from leaklint.link.effects.scopes import Scopes
from leaklint.link.effects.web import NO_VALUE, Value
from leaklint.link.flow.calls import is_inert
from leaklint.link.flow.containers import METHODS
from leaklint.link.syntax import blocks, expressions, target_names
from leaklint.link.values import ContainerMethod, FunctionId, Library, Site

if TYPE_CHECKING:
    from leaklint.link.effects import Effects


@dataclass(slots=True)
class Family:
    """What is known of a function and those inside it once their threads are drawn. `calls`: function → the places of its calls."""

    calls: dict[FunctionId, list[Site]] = field(default_factory=dict)


def family(effects: Effects, root: FunctionId) -> Family:
    """Draw the threads of an outermost function and of all inside it."""
    return _Bodies(effects, root).run()


class _Bodies:
    """Walks one function after another; `here` is the one whose body is being walked."""

    def __init__(self, effects: Effects, root: FunctionId) -> None:
        self.effects = effects
        self.program = effects.program
        self.web = effects.web
        self.summary = effects.program.modules[root.module].summary
        self.here = self.root = root
        self.calls = Calls(effects)
        self.scopes = Scopes(effects.web, self.summary, root, effects.nested(root.module))
        self.result = Family()
        self.containers = Containers(self.program, self.web, self.scopes)

    def run(self) -> Family:
        for one in self.scopes.used():
            self._function(one)
        for one in self.scopes.members[1:]:
            self._capture(one)
        self.containers.settle()
        return self.result

    def _function(self, function: FunctionId) -> None:
        self.here = function
        node = self.summary.functions[function.index]
        self.containers.lasting.update(self.web.variable(function, p.name) for p in node.parameters if p.kind not in ("vararg", "kwarg"))
        self._block(node.body)

    def _capture(self, function: FunctionId) -> None:
        """Whoever holds a nested function, or a class with methods, holds what these use of the names around them."""
        node = self.summary.functions[function.index]
        outer = function.inner(node.parent or 0)
        name = self.summary.classes[node.owner].name if node.owner is not None else node.name
        holder = self.web.closure(function) if node.kind == "lambda" else self.web.variable(outer, name)
        for one in sorted(self.scopes.captured.get(function, ())):
            self.web.draw(one, holder, HELD)
        for decorator in node.decorators:
            self._decorate(holder, decorator.function if isinstance(decorator, ir.Call) else decorator)

    def _decorate(self, holder: int, decorator: ir.Expr) -> None:
        match self.program.state.names.resolve(self.root.module, decorator):
            case FunctionId() as function:
                for parameter in self.program.node(function).parameters[:1]:
                    self.web.draw(holder, self.web.variable(function, parameter.name), HELD)
            case Library(name=name) if name in self.program.models.functions or is_inert(self.program.state, name):
                pass
            case _:
                self.web.mark(holder, ESCAPES)

    # --- statements

    def _block(self, body: tuple[ir.Stmt, ...]) -> None:
        for stmt in body:
            outer = self.scopes.turn
            self._statement(stmt)
            for block in blocks(stmt):
                self._block(block)
            self.scopes.turn = outer

    def _statement(self, stmt: ir.Stmt) -> None:
        match stmt:
            case ir.Bind(targets=targets, value=value):
                self._bind(targets, value)
            case ir.Augment(target=target, value=value):
                self._assign(target, self._value(value), value)
            case ir.Return(value=result):
                if result is not None:
                    self._return(self._value(result))
            case ir.Raise(exception=exception, cause=cause):
                for one in (exception, cause):
                    if one is not None:
                        self.web.use(self._value(one), ESCAPES)
            case ir.For(target=target, iterable=iterable, is_async=is_async, site=site):
                self._loop(target, iterable, is_async, site)
            case ir.With(items=items):
                for item in items:
                    self._enter(item)
            case ir.Match(subject=subject, cases=cases):
                matched = self._value(subject)
                for case in cases:
                    for name in case.binds:
                        self._assign(ir.Name(name), matched, subject)
                    if case.guard is not None:
                        self._value(case.guard)
            case ir.DefineFunction(function=index):
                self._defaults(index)
            case ir.Delete():
                pass
            case _:
                for expression in expressions(stmt):
                    self._value(expression)

    def _bind(self, targets: tuple[ir.Expr, ...], expression: ir.Expr) -> None:
        match targets, expression:
            case (ir.Display(items=names),), ir.Display(items=items) if len(names) == len(items) and not _has_star((*names, *items)):
                for name, item in zip(names, items, strict=True):
                    self._assign(name, self._value(item), item)
                return
            case _:
                pass
        value = self._value(expression)
        for target in targets:
            self._assign(target, value, expression)
        if any(not isinstance(target, ir.Name) for target in targets):
            for target in targets:
                if isinstance(target, ir.Name) and (node := self.scopes.variable(self.here, target.id)) is not None:
                    self.containers.lasting.add(node)

    def _assign(self, target: ir.Expr, value: Value, source: ir.Expr | None) -> None:
        match target:
            case ir.Name(id=name):
                node = self.scopes.variable(self.here, name)
                if node is None:
                    self.web.use(value, KEEPS)
                    return
                if self.web.owner[node] != self.here:
                    self.web.use(value, KEEPS)  # a name of the function around
                self.web.flow(value, node)
                if source is not None:
                    self.containers.name(self.here, node, source)
            case ir.Attribute(base=base):
                self._value(base)
                self.web.use(value, KEEPS)
            case ir.Subscript(base=base, index=index):
                self._value(base)
                self.containers.add(self.here, (*value, *self._value(index)), base)
            case ir.Starred(value=inner):
                self._assign(inner, value, source)
            case ir.Display(items=items):
                for item in items:
                    self._assign(item, value, source)
            case _:
                pass

    def _return(self, value: Value) -> None:
        """The function returns or yields it. What a nested function returns of the names around it comes to whoever calls it."""
        for node, mask in value:
            if self.web.owner[node] in (None, self.here):
                self.web.mark(node, BACK & mask)
            else:
                self.web.draw(node, self.web.returned(self.here), mask)

    def _loop(self, target: ir.Expr, iterable: ir.Expr, is_async: bool, site: int) -> None:
        """The names of the loop, up to its end, have the elements of a plain iterable; `async for` receives from what it runs over."""
        value = self._value(iterable)
        done = self._done_at(site) & (ALL if is_async else RECEIVES_FROM)
        self.web.use(value, done)
        if is_async and not done and not isinstance(iterable, ir.Call):
            self.web.use(value, RECEIVES_FROM)
        self.scopes.begin_turn(self.here, target_names(target), site)
        passes_on = not done & RECEIVES_FROM and (not is_async or isinstance(iterable, ir.Call))
        self._assign(target, value if passes_on else NO_VALUE, iterable)

    def _enter(self, item: ir.WithItem) -> None:
        value = self._value(item.context)
        actions = self.program.at(self.here.site(item.site))
        self.web.use(value, self._done_at(item.site) if actions else ACQUIRES | RELEASES)
        if item.target is not None:
            self._assign(item.target, value, item.context)

    def _done_at(self, site: int) -> Mask:
        """What the operations of a loop or `with` item do to their subject."""
        found = 0
        for action in self.program.at(self.here.site(site)):
            found |= on_subject(action.call.operation)
        return found

    # --- expressions

    def _values(self, expressions: Iterable[ir.Expr | None]) -> Value:
        return tuple(pair for one in expressions if one is not None for pair in self._value(one))

    def _value(self, expression: ir.Expr) -> Value:
        """What an expression gives or holds; the effects of evaluating it are drawn."""
        match expression:
            case ir.Name(id=name):
                node = self.scopes.variable(self.here, name)
                return ((node, ALL),) if node is not None else NO_VALUE
            case ir.Constant():
                return NO_VALUE
            case ir.Attribute(base=base, name=name):
                return self._attribute(base, name)
            case ir.Call():
                return self._call(expression, awaited=False)
            case ir.Await(value=ir.Call() as call):
                return self._call(call, awaited=True)
            case ir.Await(value=value):
                self.web.use(self._value(value), AWAITS)
                return NO_VALUE
            case ir.Yield(value=value, delegates=delegates):
                if value is not None:
                    held = self._value(value)
                    self._return(held)
                    self.web.use(held, AWAITS if delegates else 0)
                return NO_VALUE
            case ir.Lambda(function=index):
                self._defaults(index)
                return ((self.web.closure(self.here.inner(index)), ALL),)
            case ir.Display(items=items):
                return self._values(items)
            case ir.Mapping(items=pairs):
                return self._values(one for pair in pairs for one in pair)
            case ir.Starred(value=value):
                return self._value(value)
            case ir.Comprehension(key=key, element=element, clauses=clauses):
                outer = self.scopes.turn
                for clause in clauses:
                    self.scopes.bind(self.here, target_names(clause.target))
                    self._loop(clause.target, clause.iterable, clause.is_async, clause.site)
                    self._values(clause.conditions)
                made = self._values((key, element))
                self.scopes.turn = outer
                return made
            case ir.Subscript(base=base, index=index):
                self._value(index)
                return self._value(base)
            case ir.Slice(lower=lower, upper=upper, step=step):
                self._values((lower, upper, step))
                return NO_VALUE
            case ir.Operation(operator=operator, operands=operands):
                held = self._values(operands)
                return NO_VALUE if operator == "not" else held
            case ir.Comparison(left=left, rights=rights):
                self._values((left, *rights))
                return NO_VALUE
            case ir.Choice(test=test, then=then, otherwise=otherwise):
                self._value(test)
                return self._values((then, otherwise))
            case ir.Walrus(target=target, value=value):
                held = self._value(value)
                if self.scopes.variable(self.here, target.id) is None:
                    self.scopes.bind(self.here, target_names(target))
                self._assign(target, held, value)
                return held
            case ir.Template(parts=parts):
                self._values(parts)
                return NO_VALUE

    def _attribute(self, base: ir.Expr, name: str) -> Value:
        """A bound method that is given away: whoever has it may do to the object what it does."""
        held = self._value(base)
        effects = self.effects.methods.handed_out(name) if held and not self._is_receiver(base) else 0
        if not effects:
            return NO_VALUE
        self.web.use(held, effects)
        return tuple((node, mask & HELD) for node, mask in held)

    def _is_receiver(self, expression: ir.Expr) -> bool:
        node = self.summary.functions[self.here.index]
        return node.owner is not None and bool(node.parameters) and expression == ir.Name(node.parameters[0].name)

    def _defaults(self, index: int) -> None:
        """The defaults of a nested function are held by it."""
        inner = self.here.inner(index)
        node = self.summary.functions[index]
        holder = self.web.closure(inner) if node.kind == "lambda" else self.scopes.variable(self.here, node.name)
        for parameter in node.parameters:
            if parameter.default is not None:
                value = self._value(parameter.default)
                for one, mask in value:
                    self.web.draw(one, self.web.variable(inner, parameter.name), mask & ~BACK)
                    if holder is not None:
                        self.web.draw(one, holder, mask & HELD)

    def _call(self, call: ir.Call, *, awaited: bool) -> Value:
        site = self.here.site(call.site)
        self.result.calls.setdefault(self.here, []).append(site)
        function = call.function
        receiver: Value = NO_VALUE
        if isinstance(function, ir.Attribute):
            receiver = self._value(function.base)
        else:
            self.web.use(self._value(function), CALLS)
        given = [self._given(argument) for argument in call.arguments]
        match call:
            case ir.Call(function=ir.Name(id="super" | "getattr")) if self.scopes.variable(self.here, call.function.id) is None:  # type: ignore[union-attr]
                return NO_VALUE
            case ir.Call(function=ir.Name(id="setattr"), arguments=(_, _, _)) if not self.program.called(site):
                self.web.use(given[2].value, KEEPS)
                self.web.mark(self.web.argument(site, 2), KEEPS)
                return NO_VALUE
            case ir.Call(function=ir.Attribute(base=base, name=name)) if self._moves_elements(call, name, awaited):
                return self._container(site, base, name, receiver, given)
            case _:
                return self.calls.value(call, site, receiver, given, awaited=awaited, passed_in=self._is_parameter(function))

    def _given(self, argument: ir.Argument) -> Given:
        match argument.value:
            case ir.Display(items=items) if not _has_star(items):
                values = tuple(self._value(item) for item in items)
                return Given(tuple(pair for one in values for pair in one), argument.keyword, argument.star, values)
            case ir.Mapping(items=pairs) if all(isinstance(key, ir.Constant) and key.kind == "str" for key, _ in pairs):
                values = tuple(self._value(item) for _, item in pairs)
                names = tuple(key.text for key, _ in pairs if isinstance(key, ir.Constant))
                return Given(tuple(pair for one in values for pair in one), argument.keyword, argument.star, values, names)
            case expression:
                return Given(self._value(expression), argument.keyword, argument.star, is_parameter=self._is_parameter(expression))

    def _is_parameter(self, expression: ir.Expr) -> bool:
        """Whether it is the name of a parameter, of this function or one around it."""
        node = self.scopes.variable(self.here, expression.id) if isinstance(expression, ir.Name) else None
        return node is not None and node in self.scopes.parameters

    def _moves_elements(self, call: ir.Call, name: str, awaited: bool) -> bool:
        """Whether the call is that of a container's method."""
        if name not in METHODS or awaited:
            return False
        called = self.program.called(self.here.site(call.site))
        if called:
            return all(isinstance(self.program.value(o), ContainerMethod) for o in called)
        return self.effects.methods.called(name, call.arguments, awaited) is None

    def _container(self, site: Site, base: ir.Expr, name: str, receiver: Value, given: list[Given]) -> Value:
        if name in TAKES:
            for position in range(len(given)):
                self.web.mark(self.web.argument(site, position), KEEPS)
            self.containers.add(self.here, tuple(pair for one in given for pair in one.value), base)
        if name not in GIVES:
            return NO_VALUE
        for position in range(1, len(given)):
            self.web.mark(self.web.argument(site, position), BACK)
        return (*receiver, *(pair for one in given[1:] for pair in one.value))


def _has_star(items: Iterable[ir.Expr]) -> bool:
    return any(isinstance(item, ir.Starred) for item in items)
