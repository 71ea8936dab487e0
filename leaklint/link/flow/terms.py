"""From the expressions of a body to constraints on the object flow."""

from __future__ import annotations

from leaklint import ir
from leaklint.link import implicit
from leaklint.link.flow import calls, fields, protocols
from leaklint.link.flow.scope import Scope
from leaklint.link.flow.state import NOTHING, Actual, CallRecord, Load
from leaklint.link.values import (
    ClassId,
    Container,
    FunctionValue,
    ModuleValue,
    Super,
)


class Terms(Scope):
    """What expressions give, and what their targets take."""

    def _value(self, expression: ir.Expr) -> int:
        """The variable that holds what the expression gives."""
        state = self.state
        match expression:
            case ir.Name(id=name):
                return self._read(name)
            case ir.Constant():
                return NOTHING
            case ir.Attribute(base=base, name=name):
                return self._attribute(self._value(base), name)
            case ir.Call():
                return self._call(expression)
            case ir.Await(value=value, at=at, site=site):
                result = state.solver.fresh()
                record = CallRecord(self.here, self.here.site(site), at, self._value(value), (), result)
                protocols.awaited(state, record, result)
                return result
            case ir.Walrus(target=target, value=value):
                held = self._value(value)
                self._assign(target, held)
                self._versions.pop(target.id, None)  # perhaps not evaluated
                return held
            case ir.Choice(test=test, then=then, otherwise=otherwise):
                self._asking(expression, {id(test): self._value(test)})
                return self._join(self._value(then), self._value(otherwise))
            case ir.Operation(operands=operands):
                variables = [self._value(operand) for operand in operands]
                self._asking(expression, {id(one): variable for one, variable in zip(operands, variables, strict=True)})
                return self._join(*variables)
            case ir.Comparison(left=left, rights=rights):
                self._asking(expression, {id(part): self._value(part) for part in (left, *rights)})
                return NOTHING
            case ir.Display(kind=kind, items=items):
                return self._display(kind, items)
            case ir.Mapping(items=pairs):
                return self._mapping(pairs)
            case ir.Comprehension():
                return self._comprehension(expression)
            case ir.Subscript(base=base, index=index):
                held = self._value(base)
                if isinstance(index, ir.Slice):
                    self._value(index)
                    return held
                result = state.solver.fresh()
                self._asking(expression, {id(base): held})
                fields.element(state, held, result, self._key(index))
                self._value(index)
                return result
            case ir.Lambda(function=index):
                result = state.solver.fresh()
                state.solver.allocate(result, FunctionValue(self.here.inner(index)))
                return result
            case ir.Yield(value=value, delegates=delegates, at=at):
                held = self._value(value) if value is not None else NOTHING
                result = state.solver.fresh()
                if delegates:
                    record = CallRecord(self.here, self.here.site(-1), at, held, (), result)
                    protocols.iterated(state, record, state.yields(self.here), is_async=False)
                    protocols.awaited(state, record, result)
                else:
                    state.solver.copy(held, state.yields(self.here))
                    state.solver.copy(state.sent(self.here), result)
                return result
            case ir.Starred(value=value):
                return self._value(value)
            case ir.Slice(lower=lower, upper=upper, step=step):
                for part in (lower, upper, step):
                    if part is not None:
                        self._value(part)
                return NOTHING
            case ir.Template(parts=parts):
                self._asking(expression, {id(part): self._value(part) for part in parts})
                return NOTHING

    def _asking(self, expression: ir.Expr, held: dict[int, int]) -> None:
        """The methods that an expression runs without calling them. `held`: id of an operand → the variable that holds it."""
        for operand, names in implicit.asked(expression):
            variable = held.get(id(operand))
            if variable is None and isinstance(operand, ir.Name | ir.Attribute):
                variable = self._value(operand)
            fields.special(self.state, self.here, NOTHING if variable is None else variable, *names)

    def _join(self, *variables: int) -> int:
        some = [v for v in variables if v != NOTHING]
        if len(some) < 2:
            return some[0] if some else NOTHING
        joined = self.state.solver.fresh()
        for variable in some:
            self.state.solver.copy(variable, joined)
        return joined

    def _attribute(self, base: int, name: str) -> int:
        if base == NOTHING:
            self.state.loads.append(Load(self.here, NOTHING, name))
            return NOTHING
        key = (base, name)
        found = self._attributes.get(key)
        if found is None:
            found = self._attributes[key] = self.state.solver.fresh()
            fields.load(self.state, self.here, base, name, found)
        return found

    def _call(self, call: ir.Call) -> int:
        state = self.state
        result = state.solver.fresh()
        match call:
            case ir.Call(function=ir.Name(id="super"), arguments=()):
                self._super(result)
                return result
            case ir.Call(function=ir.Name(id="super"), arguments=(ir.Argument(value=above), ir.Argument(value=receiver))):
                cls = state.names.resolve(self.module, above)
                if isinstance(cls, ClassId):
                    self._super_of(cls, self._value(receiver), result)
                return result
            case ir.Call(function=ir.Name(id="type"), arguments=[ir.Argument(value=base, keyword=None, star=0)]):
                return self._attribute(self._value(base), "__class__")
            case ir.Call(function=ir.Name(id="getattr"), arguments=[ir.Argument(value=base), ir.Argument(value=name), *default]) if (
                names := self._spellings(name)
            ):
                held = self._value(base)
                return self._join(*(self._attribute(held, name) for name in names), *(self._value(a.value) for a in default))
            case ir.Call(
                function=ir.Name(id="setattr"), arguments=[ir.Argument(value=base), ir.Argument(value=name), ir.Argument(value=value)]
            ) if names := self._spellings(name):
                held, given = self._value(base), self._value(value)
                for one in names:
                    fields.store(state, self.here, held, one, given, value)
                return NOTHING
            case _:
                pass
        callee = self._value(call.function)
        actuals = tuple(Actual(self._value(a.value), a.keyword, a.star, a.value, self._key(a.value)) for a in call.arguments)
        site = self.here.site(call.site)
        calls.call(state, CallRecord(self.here, site, call.at, callee, actuals, result, call, context=self._decorating))
        return result

    def _super(self, result: int) -> None:
        """`super()` looks above the class whose body holds the method, for whatever `self` is."""
        index: int | None = self.here.index
        while index and self.summary.functions[index].owner is None:
            index = self.summary.functions[index].parent
        if not index:
            return
        function = self.summary.functions[index]
        if function.owner is None or not function.parameters:
            return
        cls = ClassId(self.module, function.owner)
        first = self.state.local(self.here.inner(index), function.parameters[0].name)
        self._super_of(cls, first, result)

    def _super_of(self, cls: ClassId, receiver: int, result: int) -> None:
        self.state.solver.watch(receiver, lambda obj: self.state.solver.add(result, self.state.solver.identify(Super(cls, obj))))

    def _key(self, index: ir.Expr) -> int | str | None:
        """A key or index that is a string or a small number, or the name of a global one."""
        match index:
            case ir.Constant(kind="str", text=text):
                return text
            case ir.Constant(kind="int", text=text) if text.isdecimal() and len(text) < 4:
                return int(text)
            case ir.Name(id=name) if self.cls is not None or self._holder(name) is None:
                return self.state.names.constant(self.module, name)
            case ir.Attribute(base=ir.Name(id=base), name=name) if self._holder(base) is None:
                module = self.state.names.resolve_name(self.module, base)
                return self.state.names.constant(module.module, name) if isinstance(module, ModuleValue) else None
            case _:
                return None

    def _spell(self, target: ir.Expr, iterable: ir.Expr) -> None:
        if isinstance(target, ir.Name):
            items = iterable.items if isinstance(iterable, ir.Display) else ()
            texts = tuple(item.text for item in items if isinstance(item, ir.Constant) and item.kind == "str")
            self._spelled[target.id] = texts if len(texts) == len(items) else ()

    def _spellings(self, expression: ir.Expr) -> tuple[str, ...]:
        """The names of attributes that an argument of `getattr` or `setattr` spells; none when it cannot be seen."""
        if isinstance(expression, ir.Name) and (spelled := self._spelled.get(expression.id)):
            return spelled
        key = self._key(expression)
        return (key,) if isinstance(key, str) else ()

    def _assign(self, target: ir.Expr, held: int, expression: ir.Expr | None = None) -> None:
        state = self.state
        match target:
            case ir.Name(id=name):
                self._bind(name, held)
            case ir.Attribute(base=base, name=name):
                fields.store(state, self.here, self._value(base), name, held, expression)
            case ir.Subscript(base=base, index=ir.Slice() as index):
                self._value(index)
                fields.pour(state, self._value(base), held)
            case ir.Subscript(base=base, index=index):
                container = self._value(base)
                fields.special(state, self.here, container, "__setitem__")
                fields.put(state, container, held, self._key(index))
                fields.put(state, container, self._value(index), None)
            case ir.Starred(value=value):
                self._assign(value, held)
            case ir.Display(items=items):
                first = next((n for n, item in enumerate(items) if isinstance(item, ir.Starred)), len(items))
                for position, item in enumerate(items):
                    start, stop = (position, position + 1) if position < first else (position - len(items), position - len(items) + 1)
                    part = state.solver.fresh()
                    if position == first:
                        rest = self._container()
                        state.solver.add(part, rest)
                        fields.destructure(state, held, slice(position, stop or None), state.element(rest))
                    else:
                        fields.destructure(state, held, slice(start, stop or None), part)
                    self._assign(item, part)
            case _:
                pass

    def _container(self, is_record: bool = False) -> int:
        self._displays += 1
        return self.state.solver.identify(Container(self.here.site(self.here.index), f"display {self._displays}", is_record))

    def _display(self, kind: str, items: tuple[ir.Expr, ...]) -> int:
        state = self.state
        held = [(item, self._value(item)) for item in items]
        container = self._container()
        result = state.solver.fresh()
        state.solver.add(result, container)
        exact = kind == "tuple" and not any(isinstance(item, ir.Starred) for item in items)
        for index, (item, variable) in enumerate(held):
            if isinstance(item, ir.Starred):
                fields.element(state, variable, state.element(container))
                continue
            state.solver.copy(variable, state.element(container))
            if exact:
                state.solver.copy(variable, state.indexed(container, index))
        return result

    def _mapping(self, pairs: tuple[tuple[ir.Expr | None, ir.Expr], ...]) -> int:
        state = self.state
        container = self._container(is_record=bool(pairs) and all(key is not None and self._key(key) is not None for key, _ in pairs))
        result = state.solver.fresh()
        state.solver.add(result, container)
        for key, value in pairs:
            held = self._value(value)
            if key is None:
                fields.element(state, held, state.anywhere(container))
            elif (constant := self._key(key)) is not None:
                state.put_at(container, constant, held)
            else:
                state.solver.copy(self._value(key), state.anywhere(container))
                state.solver.copy(held, state.anywhere(container))
        return result

    def _comprehension(self, node: ir.Comprehension) -> int:
        state, outer = self.state, dict(self._versions)
        for clause in node.clauses:
            element = state.solver.fresh()
            record = CallRecord(self.here, self.here.site(clause.site), node.at, self._value(clause.iterable), (), element)
            protocols.iterated(state, record, element, clause.is_async)
            self._assign(clause.target, element)
            self._spell(clause.target, clause.iterable)
            for condition in clause.conditions:
                self._value(condition)
        container = self._container()
        if node.key is not None:
            state.solver.copy(self._value(node.key), state.element(container))
        state.solver.copy(self._value(node.element), state.element(container))
        self._versions = outer
        result = state.solver.fresh()
        state.solver.add(result, container)
        return result
