"""From the bodies of a summary to constraints on the object flow."""

from __future__ import annotations

from dataclasses import dataclass, field

from leaklint import ir
from leaklint.catalog.grammar import Kind
from leaklint.link import calls, fields
from leaklint.link.binding import variadic
from leaklint.link.decorators import Binding, binding, is_transparent
from leaklint.link.scopes import blocks, bound_names, expressions, scope_names
from leaklint.link.solver import Watcher
from leaklint.link.state import NOTHING, Actual, CallRecord, Load, State
from leaklint.link.values import ClassId, ClassValue, Container, FunctionId, FunctionValue, Library, ModuleValue, Resource, Site, Super


def constrain(state: State, module: int) -> None:
    """All constraints of one module."""
    _Bodies(state, module).run()


@dataclass(slots=True)
class _Bodies:
    """Walks the functions of one module; `here` is the function whose body is being walked, `cls` the class whose body is."""

    state: State
    module: int
    summary: ir.Summary = field(init=False)
    here: FunctionId = field(init=False)
    cls: ClassId | None = None
    _bound: dict[int, frozenset[str]] = field(default_factory=dict)
    _reads: dict[tuple[int, str], int] = field(default_factory=dict)
    _attributes: dict[tuple[int, int, str], int] = field(default_factory=dict)
    _displays: int = 0

    def run(self) -> None:
        self.summary = self.state.names.modules[self.module].summary
        for index in range(len(self.summary.functions)):
            self._function(index)

    # --- scopes

    def _locals(self, index: int) -> frozenset[str]:
        found = self._bound.get(index)
        if found is None:
            function = self.summary.functions[index]
            outer = {*scope_names(function.body, "global"), *scope_names(function.body, "nonlocal")}
            names = {p.name for p in function.parameters} | set(bound_names(function.body, self.summary))
            found = self._bound[index] = frozenset(names - outer)
        return found

    def _variable(self, name: str) -> int:
        """The variable that a name means here."""
        state = self.state
        if self.cls is not None and name in state.names.members(self.cls):
            return state.attribute(state.class_value(self.cls), name)
        index: int | None = self.here.index
        while index:
            if name in self._locals(index):
                return state.local(FunctionId(self.module, index), name)
            index = self.summary.functions[index].parent
        key = (self.module, name)
        found = self._reads.get(key)
        if found is None:
            found = self._reads[key] = self._global(name)
        return found

    def _global(self, name: str) -> int:
        state = self.state
        if state.names.binds(self.module, name):
            return state.global_(self.module, name)
        found = state.solver.variable(("read", self.module, name))
        if not fields.copy_global(state, self.module, name, found):
            state.solver.allocate(found, Library(name))
        return found

    # --- functions

    def _function(self, index: int) -> None:
        state, function = self.state, self.summary.functions[index]
        self.here = FunctionId(self.module, index)
        self.cls = None
        for number, parameter in enumerate(function.parameters):
            variable = state.local(self.here, parameter.name)
            if parameter.kind in ("vararg", "kwarg"):
                state.solver.allocate(variable, variadic(self.here, parameter))
            else:
                self._declared(parameter.annotation, variable)
                self._declared_loop(parameter, number, variable)
        if not function.is_generator:
            self._declared(function.returns, state.result(self.here))
        if function.owner is not None and function.parameters:
            self._receiver(function, ClassId(self.module, function.owner))
        self._block(function.body)

    def _declared(self, annotation: ir.Expr | None, variable: int) -> None:
        """An annotation is evidence: an instance of that class, or of one below it."""
        for declared in self.state.names.declared(self.module, annotation):
            for one in (declared, *self.state.names.subclasses(declared)):
                self.state.solver.add(variable, self.state.instance(one))

    def _declared_loop(self, parameter: ir.Parameter, number: int, variable: int) -> None:
        """`loop: asyncio.AbstractEventLoop`: any event loop will do, so that what it spawns is seen."""
        if parameter.annotation is None:
            return
        found = self.state.names.resolve(self.module, parameter.annotation)
        if isinstance(found, Library) and found.name in self.state.models.types and self.state.models.types[found.name].kind is Kind.LOOP:
            self.state.solver.allocate(variable, Resource(found.name, Site(self.module, -1 - self.here.index * 256 - number), "declared"))

    def _receiver(self, function: ir.Function, cls: ClassId) -> None:
        """Anyone may call a method: `self` is an instance of the class, whoever else it is."""
        first = self.state.local(self.here, function.parameters[0].name)
        match binding(function):
            case Binding.CLASS:
                self.state.solver.add(first, self.state.class_value(cls))
            case Binding.STATIC:
                pass
            case _:
                self.state.solver.add(first, self.state.instance(cls))
                for below in self.state.names.subclasses(cls):
                    self.state.solver.add(first, self.state.instance(below))

    # --- statements

    def _block(self, body: tuple[ir.Stmt, ...]) -> None:
        for stmt in body:
            self._statement(stmt)

    def _statement(self, stmt: ir.Stmt) -> None:
        state = self.state
        match stmt:
            case ir.Bind(targets=targets, value=value, annotation=annotation):
                held = self._value(value)
                for target in targets:
                    self._assign(target, held, value)
                    if annotation is not None:
                        self._declare(target, annotation)
            case ir.Declare(target=target, annotation=annotation):
                self._declare(target, annotation)
            case ir.Augment(target=target, value=value):
                self._value(target)
                self._assign(target, self._value(value), value)
            case ir.Return(value=value):
                if value is not None:
                    state.solver.copy(self._value(value), state.result(self.here))
            case ir.For(target=target, iterable=iterable, is_async=is_async, at=at, site=site):
                element = state.solver.fresh()
                record = CallRecord(self.here, Site(self.module, site), at, self._value(iterable), (), element)
                fields.iterated(state, record, element, is_async)
                self._assign(target, element)
            case ir.With(items=items, is_async=is_async):
                for item in items:
                    entered = state.solver.fresh()
                    record = CallRecord(self.here, Site(self.module, item.site), item.at, self._value(item.context), (), entered)
                    fields.entered(state, record, entered, is_async)
                    if item.target is not None:
                        self._assign(item.target, entered)
            case ir.Match(subject=subject, cases=cases):
                held = self._value(subject)
                for case in cases:
                    for test in case.tests:
                        self._value(test)
                    for name in case.binds:
                        state.solver.copy(held, self._variable(name))
                        fields.element(state, held, self._variable(name))
                    if case.guard is not None:
                        self._value(case.guard)
            case ir.Import(names=names):
                for imported in names:
                    self._import(imported)
            case ir.DefineFunction(function=index):
                self._define(index)
            case ir.DefineClass(cls=index):
                self._define_class(index)
            case _:
                for expression in expressions(stmt):
                    self._value(expression)
        for block in blocks(stmt):
            self._block(block)

    def _declare(self, target: ir.Expr, annotation: ir.Expr) -> None:
        declared = self.state.names.declared(self.module, annotation)
        if declared:
            held = self.state.solver.fresh()
            for one in declared:
                for below in (one, *self.state.names.subclasses(one)):
                    self.state.solver.add(held, self.state.instance(below))
            self._assign(target, held)

    def _assign(self, target: ir.Expr, held: int, expression: ir.Expr | None = None) -> None:
        state = self.state
        match target:
            case ir.Name(id=name):
                state.solver.copy(held, self._variable(name))
            case ir.Attribute(base=base, name=name):
                fields.store(state, self.here, self._value(base), name, held, expression)
            case ir.Subscript(base=base, index=index):
                self._value(index)
                container = self._value(base)
                fields.put(state, container, held)
                fields.put(state, container, self._value(index))
            case ir.Starred(value=value):
                self._assign(value, held)
            case ir.Display(items=items):
                starred = any(isinstance(item, ir.Starred) for item in items)
                for position, item in enumerate(items):
                    part = state.solver.fresh()
                    if starred:
                        fields.element(state, held, part)
                        state.solver.copy(held, part)
                    else:
                        fields.destructure(state, held, position, part)
                    self._assign(item, part)
            case _:
                pass

    def _import(self, imported: ir.Imported) -> None:
        state, names = self.state, self.state.names
        if imported.local == "*":
            return
        variable = self._variable(imported.local)
        dotted = names.absolute(self.module, imported)
        in_project = imported.name is not None and names.describe(f"{dotted}.{imported.name}") is None and dotted in names.by_name
        if in_project and fields.copy_global(state, names.by_name[dotted], imported.name or "", variable):
            return
        found = names.imported(self.module, imported)
        match found:
            case ModuleValue() | Library():
                state.solver.allocate(variable, found)
            case ClassId():
                state.solver.allocate(variable, ClassValue(found))
            case FunctionId():
                state.solver.allocate(variable, FunctionValue(found))
            case None:
                pass

    def _define(self, index: int) -> None:
        state, function = self.state, self.summary.functions[index]
        defined = state.solver.identify(FunctionValue(FunctionId(self.module, index)))
        for parameter in function.parameters:
            if parameter.default is not None:
                held = self._value(parameter.default)
                state.solver.copy(held, state.local(FunctionId(self.module, index), parameter.name))
        variable = self._variable(function.name)
        if not function.decorators or binding(function) is not Binding.PLAIN:
            state.solver.add(variable, defined)
            return
        held = state.solver.fresh()
        state.solver.add(held, defined)
        for number, decorator in enumerate(reversed(function.decorators)):
            site = Site(self.module, -1 - index * 64 - number)
            result, given = state.solver.fresh(), state.solver.fresh()
            calls.call(state, CallRecord(self.here, site, function.at, self._value(decorator), (Actual(held),), result))
            state.solver.watch(result, self._decorated(site, held, given))
            state.decorated.append((held, result, given))
            held = given
        state.solver.copy(held, variable)

    def _decorated(self, site: Site, held: int, given: int) -> Watcher:
        """What a decorator gives takes the place of the function. But a wrapper that only calls it stands for it, and so does what a
        decorator gives back as it came: or all the functions that one decorator sees would look alike."""
        state = self.state

        def give(obj: int) -> None:
            match state.solver.objects[obj]:
                case FunctionValue(function=function):
                    summary = state.names.modules[function.module].summary
                    outer = summary.functions[function.index].parent
                    made_here = FunctionId(function.module, outer or 0) in state.callees.get(site, ())
                    if made_here and not is_transparent(summary, function.index):
                        state.solver.add(given, obj)
                    else:
                        state.solver.copy(held, given)
                case _:
                    state.solver.add(given, obj)

        return give

    def _define_class(self, index: int) -> None:
        state, node = self.state, self.summary.classes[index]
        cls = ClassId(self.module, index)
        value = state.solver.identify(ClassValue(cls))
        state.solver.add(self._variable(node.name), value)
        for decorator in node.decorators:
            self._value(decorator)
        outer, self.cls = self.cls, cls
        self._block(node.body)
        self._fields(node, value)
        self.cls = outer

    def _fields(self, node: ir.Class, value: int) -> None:
        """`x: Queue = field(default_factory=Queue)`: every instance gets what the factory makes."""
        for stmt in node.body:
            match stmt:
                case ir.Bind(targets=(ir.Name(id=name),), value=ir.Call(arguments=arguments, at=at, site=site)):
                    for argument in arguments:
                        if argument.keyword in ("default_factory", "factory"):
                            made = self.state.attribute(value, name)
                            factory = self._value(argument.value)
                            calls.call(self.state, CallRecord(self.here, Site(self.module, site), at, factory, (), made, None))
                case _:
                    pass

    # --- expressions

    def _value(self, expression: ir.Expr) -> int:
        """The variable that holds what the expression gives."""
        state = self.state
        match expression:
            case ir.Name(id=name):
                return self._variable(name)
            case ir.Constant():
                return NOTHING
            case ir.Attribute(base=base, name=name):
                return self._attribute(self._value(base), name)
            case ir.Call():
                return self._call(expression)
            case ir.Await(value=value, at=at, site=site):
                result = state.solver.fresh()
                record = CallRecord(self.here, Site(self.module, site), at, self._value(value), (), result)
                fields.awaited(state, record, result)
                return result
            case ir.Walrus(target=target, value=value):
                held = self._value(value)
                self._assign(target, held)
                return held
            case ir.Choice(test=test, then=then, otherwise=otherwise):
                self._value(test)
                return self._join(self._value(then), self._value(otherwise))
            case ir.Operation(operands=operands):
                return self._join(*(self._value(operand) for operand in operands))
            case ir.Comparison(left=left, rights=rights):
                for one in (left, *rights):
                    self._value(one)
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
                fields.element(state, held, result)
                self._value(index)
                return result
            case ir.Lambda(function=index):
                result = state.solver.fresh()
                state.solver.allocate(result, FunctionValue(FunctionId(self.module, index)))
                return result
            case ir.Yield(value=value, delegates=delegates, at=at):
                held = self._value(value) if value is not None else NOTHING
                result = state.solver.fresh()
                if delegates:
                    record = CallRecord(self.here, Site(self.module, -1), at, held, (), result)
                    fields.iterated(state, record, state.yields(self.here), is_async=False)
                    fields.awaited(state, record, result)
                else:
                    state.solver.copy(held, state.yields(self.here))
                return result
            case ir.Starred(value=value):
                return self._value(value)
            case ir.Slice(lower=lower, upper=upper, step=step):
                for part in (lower, upper, step):
                    if part is not None:
                        self._value(part)
                return NOTHING
            case ir.Template(parts=parts):
                for part in parts:
                    self._value(part)
                return NOTHING

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
        key = (self.here.index, base, name)
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
            case ir.Call(
                function=ir.Name(id="getattr"),
                arguments=[ir.Argument(value=base), ir.Argument(value=ir.Constant(kind="str", text=name)), *_],
            ):
                return self._attribute(self._value(base), name)
            case ir.Call(
                function=ir.Name(id="setattr"),
                arguments=[ir.Argument(value=base), ir.Argument(value=ir.Constant(kind="str", text=name)), ir.Argument(value=value)],
            ):
                fields.store(state, self.here, self._value(base), name, self._value(value), value)
                return NOTHING
            case _:
                pass
        callee = self._value(call.function)
        actuals = tuple(Actual(self._value(a.value), a.keyword, a.star) for a in call.arguments)
        calls.call(state, CallRecord(self.here, Site(self.module, call.site), call.at, callee, actuals, result, call))
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
        first = self.state.local(FunctionId(self.module, index), function.parameters[0].name)
        self.state.solver.watch(first, lambda obj: self.state.solver.add(result, self.state.solver.identify(Super(cls, obj))))

    def _container(self) -> int:
        self._displays += 1
        return self.state.solver.identify(Container(self.module, self._displays, "display"))

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
                state.solver.copy(variable, state.solver.variable(("indexed", container, index)))
        return result

    def _mapping(self, pairs: tuple[tuple[ir.Expr | None, ir.Expr], ...]) -> int:
        state = self.state
        container = self._container()
        result = state.solver.fresh()
        state.solver.add(result, container)
        for key, value in pairs:
            held = self._value(value)
            if key is None:
                fields.element(state, held, state.element(container))
                continue
            state.solver.copy(self._value(key), state.element(container))
            state.solver.copy(held, state.element(container))
            if isinstance(key, ir.Constant) and key.kind == "str":
                state.solver.copy(held, state.solver.variable(("indexed", container, key.text)))
        return result

    def _comprehension(self, node: ir.Comprehension) -> int:
        state = self.state
        for clause in node.clauses:
            element = state.solver.fresh()
            record = CallRecord(self.here, Site(self.module, clause.site), node.at, self._value(clause.iterable), (), element)
            fields.iterated(state, record, element, clause.is_async)
            self._assign(clause.target, element)
            for condition in clause.conditions:
                self._value(condition)
        container = self._container()
        if node.key is not None:
            state.solver.copy(self._value(node.key), state.element(container))
        state.solver.copy(self._value(node.element), state.element(container))
        result = state.solver.fresh()
        state.solver.add(result, container)
        return result
