"""From the bodies of a summary to constraints on the object flow."""

from __future__ import annotations

from collections.abc import Iterable

from leaklint import ir
from leaklint.catalog.grammar import Kind
from leaklint.link import calls, fields
from leaklint.link.binding import variadic
from leaklint.link.decorators import Binding, binding, is_transparent, last_word
from leaklint.link.scopes import blocks, bound_names, expressions, scope_names
from leaklint.link.solver import Watcher
from leaklint.link.state import NOTHING, Actual, CallRecord, Load, State
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
    Super,
)


class Reader:
    """Turns the functions that the program wants into constraints."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._bodies: dict[int, _Bodies] = {}
        self._inner: dict[int, dict[int, list[int]]] = {}

    def start(self) -> None:
        """Everything is part of the program, whoever runs it, but methods of objects that are all told apart and factories whose calls are."""
        for module, node in enumerate(self.state.names.modules):
            for index, function in enumerate(node.summary.functions):
                if not function.parent and not self._is_whole(module, index, function):
                    self.state.want(FunctionId(module, index))

    def _is_whole(self, module: int, index: int, function: ir.Function) -> bool:
        contexts = self.state.contexts
        if function.owner is None:
            return contexts.are_calls_told_apart((module, index)) and (function.name.startswith("_") or module in contexts.closed)
        if binding(function) in (Binding.STATIC, Binding.CLASS):
            return False
        cls = ClassId(module, function.owner)
        return contexts.is_whole(cls) and not self.state.names.below(cls)

    def read(self) -> None:
        """Constrain what is wanted and not read yet."""
        while self.state.unread:
            outer = self.state.unread.pop()
            bodies = self._bodies.get(outer.module)
            if bodies is None:
                bodies = self._bodies[outer.module] = _Bodies(self.state, outer.module)
                self._inner[outer.module] = _nests(bodies.summary.functions)
            for index in self._inner[outer.module][outer.index]:
                function = outer.inner(index)
                self.state.functions[function] = None
                bodies.function(function)


def _nests(functions: tuple[ir.Function, ...]) -> dict[int, list[int]]:
    """Function of the module or of a class → itself and the functions inside it."""
    found: dict[int, list[int]] = {}
    for index in range(len(functions)):
        outer = index
        while parent := functions[outer].parent:
            outer = parent
        found.setdefault(outer, []).append(index)
    return found


class _Bodies:
    """Walks functions of one module; `here` is the function whose body is being walked, `cls` the class whose body is."""

    def __init__(self, state: State, module: int) -> None:
        self.state = state
        self.module = module
        self.summary = state.names.modules[module].summary
        self.here = FunctionId(module, 0)
        self.cls: ClassId | None = None
        self._bound: dict[int, frozenset[str]] = {}
        self._reads: dict[tuple[int, str], int] = {}
        self._attributes: dict[tuple[int, str], int] = {}
        self._displays = 0
        self._decorating = NO_CONTEXT
        self._spelled: dict[str, tuple[str, ...]] = {}
        """Loop variable → the strings that it goes through, where they stand in the loop."""
        self._versions: dict[str, int] = {}
        self._assigned: set[str] = set()
        self._rebound = frozenset(n for f in self.summary.functions for n in scope_names(f.body, "global", "nonlocal"))

    # --- scopes

    def _locals(self, index: int) -> frozenset[str]:
        found = self._bound.get(index)
        if found is None:
            function = self.summary.functions[index]
            outer = set(scope_names(function.body, "global", "nonlocal"))
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
                return state.local(self.here.inner(index), name)
            index = self.summary.functions[index].parent
        key = (self.module, name)
        found = self._reads.get(key)
        if found is None:
            found = self._reads[key] = self._global(name)
        return found

    def _read(self, name: str) -> int:
        """What the name holds at this place: what it was given last, where that is plain, else all that it is ever given."""
        version = self._versions.get(name)
        return version if version is not None else self._variable(name)

    def _bind(self, name: str, held: int) -> None:
        """The name holds something else from here on; nested functions and loops see all that it ever holds."""
        variable = self._variable(name)
        self.state.solver.copy(held, variable)
        if self.cls is None and name not in self._rebound and (self.here.index == 0 or name in self._locals(self.here.index)):
            self._versions[name] = held
            self._assigned.add(name)

    def _global(self, name: str) -> int:
        state = self.state
        if state.names.binds(self.module, name):
            return state.global_(self.module, name)
        found = state.solver.variable(("read", self.module, name))
        if not fields.copy_global(state, self.module, name, found):
            state.solver.allocate(found, Library(name))
        return found

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

    def _drop(self, names: Iterable[str]) -> None:
        for name in names:
            self._versions.pop(name, None)

    def _forget(self, body: tuple[ir.Stmt, ...]) -> None:
        """A loop: what its body gives to names may be there at the next turn."""
        self._drop(bound_names(body, self.summary))

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
                fields.iterated(state, record, element, is_async)
                self._forget(stmt.body)
                self._assign(target, element)
                self._spell(target, iterable)
            case ir.While(test=test, body=body):
                self._forget(body)
                self._value(test)
            case ir.With(items=items, is_async=is_async):
                for item in items:
                    entered = state.solver.fresh()
                    record = CallRecord(self.here, self.here.site(item.site), item.at, self._value(item.context), (), entered)
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

    # --- expressions

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
                fields.awaited(state, record, result)
                return result
            case ir.Walrus(target=target, value=value):
                held = self._value(value)
                self._assign(target, held)
                self._versions.pop(target.id, None)  # perhaps not evaluated
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
                    fields.iterated(state, record, state.yields(self.here), is_async=False)
                    fields.awaited(state, record, result)
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
            case ir.Name(id=name) if self.cls is not None or not self._is_local(name):
                return self.state.names.constant(self.module, name)
            case ir.Attribute(base=ir.Name(id=base), name=name) if not self._is_local(base):
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

    def _is_local(self, name: str) -> bool:
        index: int | None = self.here.index
        while index:
            if name in self._locals(index):
                return True
            index = self.summary.functions[index].parent
        return False

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
            fields.iterated(state, record, element, clause.is_async)
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
