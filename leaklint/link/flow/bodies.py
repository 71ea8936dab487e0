"""From the bodies of a summary to constraints on the object flow: statements and definitions."""

from __future__ import annotations

from leaklint import ir
from leaklint.catalog.grammar import Kind
from leaklint.link import implicit
from leaklint.link.decorators import Binding, binding, is_transparent, last_word
from leaklint.link.flow import calls, fields, protocols
from leaklint.link.flow.binding import variadic
from leaklint.link.flow.solver import Watcher
from leaklint.link.flow.state import NOTHING, Actual, CallRecord
from leaklint.link.flow.terms import Terms
from leaklint.link.syntax import blocks, expressions
from leaklint.link.values import (
    NO_CONTEXT,
    ClassId,
    ClassValue,
    Container,
    FunctionId,
    FunctionValue,
    Instance,
    Library,
    ModuleValue,
    Resource,
    Site,
)


class Bodies(Terms):
    """Reads the functions of one module."""

    # --- functions

    def function(self, here: FunctionId) -> None:
        state, function = self.state, self.summary.functions[here.index]
        self.here = here
        self.cls = None
        self._displays = 0
        self._attributes.clear()
        self._spelled.clear()
        self._versions = {}
        self._assigned = set()
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
        """An annotation is evidence, where the flow has none."""
        if declared := self.state.names.declared(self.module, annotation):
            self.state.declared.append((variable, None, declared))

    def _declared_loop(self, parameter: ir.Parameter, number: int, variable: int) -> None:
        """`loop: asyncio.AbstractEventLoop`: any event loop will do, so that what it spawns is seen."""
        if parameter.annotation is None:
            return
        found = self.state.names.resolve(self.module, parameter.annotation)
        if isinstance(found, Library) and found.name in self.state.models.types and self.state.models.types[found.name].kind is Kind.LOOP:
            self.state.solver.allocate(variable, Resource(found.name, self.here.site(-1 - self.here.index * 256 - number), "declared"))

    def _receiver(self, function: ir.Function, cls: ClassId) -> None:
        """Anyone may call a method: `self` is an instance of the class, whoever else it is."""
        first = self.state.local(self.here, function.parameters[0].name)
        match binding(function):
            case Binding.CLASS:
                self.state.solver.add(first, self.state.class_value(cls))
            case Binding.STATIC:
                pass
            case _:
                if self.here.context != NO_CONTEXT:
                    self.state.solver.add(first, self.here.context)
                    return
                for one in (cls, *self.state.names.subclasses(cls)):
                    if not self.state.contexts.is_whole(one):
                        self.state.solver.add(first, self.state.instance(one))

    # --- statements

    def _block(self, body: tuple[ir.Stmt, ...]) -> None:
        for stmt in body:
            self._statement(stmt)

    def _nested(self, stmt: ir.Stmt) -> None:
        """The blocks of a statement. What a name holds after them is what any of them may have given it."""
        inside = [block for block in blocks(stmt) if block]
        if not inside:
            return
        if isinstance(stmt, ir.With):
            self._block(stmt.body)
            return
        before, outer, changed = self._versions, self._assigned, set[str]()
        for block in inside:
            self._versions = dict(before)
            if isinstance(stmt, ir.Try):
                self._drop(changed)
            self._assigned = set()
            self._block(block)
            changed |= self._assigned
        self._versions = before
        self._drop(changed)
        self._assigned = outer | changed

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
                self._assign(target, self._added(self._value(target), self._value(value)), value)
            case ir.Return(value=value):
                if value is not None:
                    state.solver.copy(self._value(value), state.result(self.here))
            case ir.For(target=target, iterable=iterable, is_async=is_async, at=at, site=site):
                element = state.solver.fresh()
                record = CallRecord(self.here, self.here.site(site), at, self._value(iterable), (), element)
                protocols.iterated(state, record, element, is_async)
                self._forget(stmt.body)
                self._assign(target, element)
                self._spell(target, iterable)
            case ir.While(test=test, body=body):
                self._forget(body)
                fields.special(state, self.here, self._value(test), *implicit.TRUTH)
            case ir.Branch(test=test) | ir.Assert(test=test, message=None):
                fields.special(state, self.here, self._value(test), *implicit.TRUTH)
            case ir.With(items=items, is_async=is_async):
                for item in items:
                    entered = state.solver.fresh()
                    record = CallRecord(self.here, self.here.site(item.site), item.at, self._value(item.context), (), entered)
                    protocols.entered(state, record, entered, is_async)
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
            case ir.Delete(targets=targets):
                for target in targets:
                    self._value(target)
                    if isinstance(target, ir.Subscript):
                        fields.special(state, self.here, self._value(target.base), "__delitem__")
            case _:
                for expression in expressions(stmt):
                    self._value(expression)
        self._nested(stmt)

    def _added(self, held: int, more: int) -> int:
        """`held += more`: a new container with the elements of the second beside the first, or the two would be one from here on."""
        if more == NOTHING:
            return held
        state, result, both = self.state, self.state.solver.fresh(), self._container()
        state.solver.copy(held, result)

        def add(obj: int) -> None:
            if isinstance(state.solver.objects[obj], Container):
                state.solver.copy(state.element(obj), state.element(both))
                state.solver.add(result, both)
            else:
                state.solver.add(result, obj)

        state.solver.watch(more, add)
        return result

    def _declare(self, target: ir.Expr, annotation: ir.Expr) -> None:
        declared = self.state.names.declared(self.module, annotation)
        match target:
            case ir.Name(id=name) if declared:
                version = self.state.solver.fresh()
                self.state.solver.copy(self._read(name), version)
                self._bind(name, version)
                self.state.declared.append((version, None, declared))
            case ir.Attribute(base=base, name=name) if declared:
                self.state.declared.append((self._value(base), name, declared))
            case _:
                pass

    # --- definitions

    def _import(self, imported: ir.Imported) -> None:
        state, names = self.state, self.state.names
        if imported.local == "*":
            return
        variable = self._variable(imported.local)
        dotted = names.absolute(self.module, imported)
        in_project = imported.name is not None and names.describe(f"{dotted}.{imported.name}") is None and dotted in names.by_name
        # `from . import part` in the package itself: it binds the name by this very import
        in_project = in_project and names.by_name[dotted] != self.module
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
        defined = state.solver.identify(FunctionValue(self.here.inner(index)))
        for parameter in function.parameters:
            if parameter.default is not None:
                held = self._value(parameter.default)
                state.solver.copy(held, state.local(self.here.inner(index), parameter.name))
        variable = self._variable(function.name)
        if not function.decorators or binding(function) is not Binding.PLAIN:
            state.solver.add(variable, defined)
            return
        held = state.solver.fresh()
        state.solver.add(held, defined)
        for number, decorator in enumerate(reversed(function.decorators)):
            site = self.here.site(-1 - index * 64 - number)
            result, given = state.solver.fresh(), state.solver.fresh()
            self._decorating = defined
            callee = self._value(decorator)
            self._decorating = NO_CONTEXT
            calls.call(state, CallRecord(self.here, site, function.at, callee, (Actual(held),), result, context=defined))
            state.solver.watch(result, self._decorated(site, held, given))
            state.decorated.append((held, result, given))
            held = given
        state.solver.copy(held, variable)

    def _decorated(self, site: Site, held: int, given: int) -> Watcher:
        """What a decorator gives takes the place of the function. But a wrapper that only calls it stands for it, and so does what a
        decorator gives back as it came: or all the functions that one decorator sees would look alike."""
        state, cls = self.state, self.cls

        def give(obj: int) -> None:
            match state.solver.objects[obj]:
                case FunctionValue(function=function):
                    summary = state.names.modules[function.module].summary
                    outer = summary.functions[function.index].parent
                    made_here = function.inner(outer or 0) in state.callees.get(site, ())
                    if made_here and not is_transparent(summary, function.index):
                        state.solver.add(given, obj)
                        if cls is not None:  # anyone may call the method, on any instance
                            state.for_each(cls, lambda one: calls.bind_self(state, function, one))
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
        self._fields(node, cls)
        self.cls = outer

    def _fields(self, node: ir.Class, cls: ClassId) -> None:
        """`x: Queue = field(default_factory=Queue)`: every instance gets what the factory makes."""
        for stmt in node.body:
            match stmt:
                case ir.Bind(targets=(ir.Name(id=name),), value=ir.Call(arguments=arguments) as made):
                    for argument in arguments:
                        if argument.keyword in ("default_factory", "factory"):
                            self._made_for_each(cls, name, made, self._value(argument.value))
                        elif argument.keyword == "default" and isinstance(argument.value, ir.Call):  # attr.Factory(list)
                            for given in argument.value.arguments[:1]:
                                self._made_for_each(cls, name, made, self._value(given.value))
                    if last_word(made) == "Factory":
                        for given in arguments[:1]:
                            self._made_for_each(cls, name, made, self._value(given.value))
                case _:
                    pass

    def _made_for_each(self, cls: ClassId, name: str, node: ir.Call, factory: int) -> None:
        state, here = self.state, self.here

        def make(obj: int) -> None:
            value = state.solver.objects[obj]
            context = obj if isinstance(value, Instance) and value.site is not None else NO_CONTEXT
            site, maker = Site(here.module, node.site, context), state.solver.fresh()
            calls.call(state, CallRecord(here, site, node.at, maker, (), state.attribute(obj, name)))
            state.solver.watch(factory, lambda one: state.solver.add(maker, self._for(one, context)))

        state.for_each(cls, make)

    def _for(self, factory: int, context: int) -> int:
        """A factory as it makes something for one object."""
        state = self.state
        match state.solver.objects[factory]:
            case FunctionValue(function=function) if function.context == NO_CONTEXT and not state.names.function(function).parent:
                return state.solver.identify(FunctionValue(state.want(FunctionId(*function.source, context))))
            case _:
                return factory
