"""What a call does to the flow, for each kind of callee: project functions and classes, modelled operations, containers."""

from __future__ import annotations

from dataclasses import replace

from leaklint import ir
from leaklint.catalog.grammar import Does, Gives, Kind, Makes, Operation, TypeModel
from leaklint.link.decorators import Binding, binding
from leaklint.link.flow import containers, fields, generators, protocols, results
from leaklint.link.flow.binding import bind, bind_formals
from leaklint.link.flow.state import NOTHING, Actual, CallRecord, LibraryCall, State
from leaklint.link.values import (
    NO_CONTEXT,
    ClassId,
    ClassValue,
    Container,
    ContainerMethod,
    Coroutine,
    FunctionId,
    FunctionValue,
    Generator,
    GeneratorMethod,
    Instance,
    Library,
    LibraryMethod,
    Method,
    Partial,
    Pending,
    Resource,
)

_NOTHING = TypeModel("", Kind.VALUE)


def call(state: State, record: CallRecord) -> None:
    """Whatever reaches the record's callee is called with its actuals."""
    state.calls.append(record)
    state.solver.watch(record.callee, dispatch, state, record)


def dispatch(state: State, record: CallRecord, obj: int) -> None:
    solver = state.solver
    value = solver.objects[obj]
    if record.by is not None:
        record.by.entries.add(obj)
    match value:
        case FunctionValue(function=function):
            _through_class(state, record, function)
        case Method(function=function, receiver=receiver):
            invoke(state, record, function, receiver)
        case ClassValue(cls=cls):
            construct(state, record, cls)
        case Instance(cls=cls):
            method = state.method(cls, "__call__", obj)
            if method is not None:
                invoke(state, record, method, obj)
        case Library(name=name):
            _library(state, record, name)
        case LibraryMethod(subject=subject, type=type_name, name=name):
            model = state.models.types[type_name]
            if name == "__init__":
                _constructed(state, record, model, subject, record.actuals)
            else:
                operate(state, record, f"{type_name}.{name}", model.methods[name], subject)
        case GeneratorMethod(generator=generator, name=name):
            generators.call(state, record, generator, name)
        case ContainerMethod(container=container, name=name):
            containers.call(state, record, container, name)
        case Container():  # a class that `namedtuple` made
            containers.record_of(state, record, state.tuples.get(obj, ()))
        case Partial():
            inner = state.partials[obj]
            if (record.site, obj) in state.unfolded:
                return  # a partial that reaches itself
            state.unfolded.add((record.site, obj))
            actuals = (*(Actual(v) for v in inner.formals.get("args", ())), *record.actuals)
            actuals += tuple(a for a in inner.record.actuals if a.keyword is not None)
            for variable in inner.formals.get(inner.operation.runs or "", ()):
                call(state, CallRecord(record.function, record.site, record.at, variable, actuals, record.result, record.node, record.by))
        case Coroutine(function=function) if record.by is not None:
            state.awaits.setdefault(obj, set())
            solver.copy(state.result(function), record.result)
        case Pending() if record.by is not None:
            solver.copy(state.outcome(obj), record.result)
        case Resource(type=type_name) if record.by is None and "__call__" in state.models.types.get(type_name, _NOTHING).methods:
            operate(state, record, f"{type_name}.__call__", state.models.types[type_name].methods["__call__"], obj)
        case Resource() if record.by is not None:  # ensure_future(future)
            solver.add(record.by.record.result, obj)
            solver.copy(state.outcome(obj), record.result)
        case _:
            pass


def invoke(state: State, record: CallRecord, function: FunctionId, receiver: int | None) -> None:
    """Bind receiver and actuals to the function's parameters, and its result to the call's."""
    solver = state.solver
    node = state.names.function(function)
    function = state.called(function, record)
    if receiver is not None:
        bind_self(state, function, receiver)
    bind(state, record.actuals, function, 0 if receiver is None else 1)
    if record.by is None:
        state.callees.setdefault(record.site, set()).add(function)
    if node.is_generator:
        solver.allocate(record.result, Generator(function, record.site))
    elif node.is_async and record.by is None:
        solver.allocate(record.result, Coroutine(function, record.site))
    else:
        solver.copy(state.result(function), record.result)


def _through_class(state: State, record: CallRecord, function: FunctionId) -> None:
    """A plain function; or a method that is given its object, `Base.run(self)`."""
    node = state.names.function(function)
    is_method = node.owner is not None and not node.parent and function.context == NO_CONTEXT and binding(node) is Binding.PLAIN
    if not is_method or not record.actuals or record.actuals[0].star or record.actuals[0].keyword is not None:
        invoke(state, record, state.want(function), None)
        return
    state.unbound.append((record, function))
    first, *rest = record.actuals
    bound = replace(record, actuals=tuple(rest))
    cls = ClassId(function.module, node.owner or 0)

    def of(obj: int) -> None:
        value = state.solver.objects[obj]
        if not isinstance(value, Instance) or cls in state.names.lineage(value.cls)[0]:
            invoke(state, bound, state.within(function, obj), obj)

    state.solver.watch(first.variable, of)


def bind_self(state: State, function: FunctionId, receiver: int) -> None:
    parameters = state.names.function(function).parameters
    if parameters and parameters[0].kind in ("positional", "any"):
        state.solver.add(state.local(function, parameters[0].name), receiver)


def bind_value(state: State, function: FunctionId, position: int, value: int) -> None:
    parameters = state.names.function(function).parameters
    if position < len(parameters):
        state.solver.copy(value, state.local(function, parameters[position].name))


def construct(state: State, record: CallRecord, cls: ClassId) -> None:
    """Calling a project class: its `__init__`, its fields if it has none, the constructor of the library class it derives from."""
    if _TYPED_DICTS.intersection(state.names.lineage(cls)[1]):
        containers.record_of(state, record)
        return
    instance = state.make(cls, record)
    state.solver.add(record.result, instance)
    new = state.names.method(cls, "__new__")
    if new is not None:
        bind_self(state, state.want(new), state.class_value(cls))
        bind(state, record.actuals, new, 1)
        state.callees.setdefault(record.site, set()).add(new)
    init = state.method(cls, "__init__", instance)
    if init is not None:
        bind_self(state, init, instance)
        bind(state, record.actuals, init, 1)
        state.callees.setdefault(record.site, set()).add(init)
        return
    model = state.model_of(Instance(cls))
    if model is not None:
        _constructed(state, record, model, instance, record.actuals)
    elif fields.CONTAINERS.intersection(state.names.lineage(cls)[1]):
        containers.call(state, record, instance, "update")
    else:
        names = field_names(state, cls)
        for position, actual in enumerate(record.actuals):
            if actual.star:
                continue
            name = actual.keyword if actual.keyword is not None else names[position] if position < len(names) else None
            if name is not None:
                state.solver.copy(actual.variable, state.attribute(instance, name))
    post = state.method(cls, "__post_init__", instance)
    if post is not None:
        bind_self(state, post, instance)
        state.callees.setdefault(record.site, set()).add(post)


_TYPED_DICTS = frozenset({"typing.TypedDict", "typing_extensions.TypedDict"})


def field_names(state: State, cls: ClassId) -> list[str]:
    """The annotated fields of a class without a constructor of its own, in the order of its parameters."""
    names: list[str] = []
    for one in reversed(state.names.lineage(cls)[0]):
        for stmt in state.names.cls(one).body:
            match stmt:
                case (
                    ir.Declare(target=ir.Name(id=name))
                    | ir.Bind(targets=(ir.Name(id=name),), annotation=ir.Name() | ir.Subscript() | ir.Attribute())
                ):
                    if name not in names:
                        names.append(name)
                case _:
                    pass
    return names


def _library(state: State, record: CallRecord, name: str) -> None:
    operation = state.models.functions.get(name)
    if operation is not None and operation.makes is Makes.CONTAINER:
        containers.construct(state, record, name, operation)
        if operation.does is Does.MAKE:
            return
    if operation is not None:
        operate(state, record, name, operation, None)
        return
    model = state.models.types.get(name)
    if model is not None:
        make(state, record, model, "", record.result, record.actuals)
        return
    head, _, tail = name.rpartition(".")
    if name == "object.__new__" and record.actuals:
        solver = state.solver
        solver.watch(
            record.actuals[0].variable, lambda obj: dispatch(state, record, obj) if isinstance(solver.objects[obj], ClassValue) else None
        )
    elif tail == "__init__" and head in state.models.types and record.actuals:
        subject, *rest = record.actuals
        model = state.models.types[head]
        state.solver.watch(subject.variable, lambda obj: _constructed(state, record, model, obj, tuple(rest)))
    elif head in state.models.types and tail in state.models.types[head].methods and record.actuals:
        subject, *rest = record.actuals  # Queue.put(self, item)
        method = state.models.types[head].methods[tail]
        inner = CallRecord(record.function, record.site, record.at, record.callee, tuple(rest), record.result, None, record.by)
        state.solver.watch(subject.variable, lambda obj: operate(state, inner, name, method, obj))
    else:
        state.unknown_calls.setdefault(record.site, set()).add(name)
        for actual in record.actuals if name in state.models.asks else ():
            fields.special(state, record.function, actual.variable, *state.models.asks[name])
        if "." in name and is_inert(state, name):
            # What an inert module makes stays inert: `logging.getLogger().debug(…)` keeps nothing.
            state.solver.allocate(record.result, Library(name if name.endswith("()") else f"{name}()"))


def is_inert(state: State, name: str) -> bool:
    """Whether a library callable keeps nothing of what it is given and ends soon."""
    plain = name.replace("()", "")
    return plain in state.models.inert or any(
        plain.startswith(f"{module}.") for module in _prefixes(plain) if module in state.models.inert_modules
    )


def _prefixes(dotted: str) -> list[str]:
    words = dotted.split(".")
    return [".".join(words[:n]) for n in range(1, len(words))]


def make(state: State, record: CallRecord, model: TypeModel, part: str, target: int, actuals: tuple[Actual, ...]) -> int:
    """A new resource of a modelled type."""
    obj = state.solver.allocate(target, Resource(model.name, record.site, part))
    _constructed(state, record, model, obj, actuals)
    return obj


def _constructed(state: State, record: CallRecord, model: TypeModel, obj: int, actuals: tuple[Actual, ...]) -> None:
    """The constructor of a modelled type runs for `obj`: remember its arguments, let what it runs be called."""
    operation = Operation(
        Does.MAKE, params=model.init, keyword_only=model.keyword_only, runs=model.runs, passes=model.passes, kind=model.unit
    )
    formals, given = bind_formals(operation, actuals)
    done = LibraryCall(record, model.name, operation, obj, formals, given)
    if not state.remember(done, obj):
        return
    state.constructed.setdefault(obj, []).append(done)
    done.made.add(obj)
    if model.wraps is not None:
        for variable in formals.get(model.wraps, ()):
            state.solver.copy(variable, state.attribute(obj, "()wraps"))
            if model.kind is Kind.VALUE:
                state.solver.copy(variable, state.element(obj))
    if model.runs is not None:
        _run(state, done, state.outcome(obj))
    if model.entry is not None and isinstance(value := state.solver.objects[obj], Instance):
        method = state.method(value.cls, model.entry, obj)
        if method is not None:
            bind_self(state, method, obj)
            done.entries.add(state.solver.identify(Method(method, obj)))


def channel(state: State, obj: int) -> int:
    """The object that holds what is sent: the ends of a pair share one."""
    value = state.solver.objects[obj]
    if isinstance(value, Resource) and value.part:
        model = state.models.types.get(value.type)
        if model is not None and model.kind in (Kind.SENDER, Kind.RECEIVER, Kind.ENDPOINT):
            return state.solver.identify(Resource("", value.site, "channel"))
    return obj


def operate(state: State, record: CallRecord, name: str, operation: Operation, subject: int | None) -> None:
    """A modelled operation happens: remember it, and let values flow as its model says."""
    solver = state.solver
    formals, given = bind_formals(operation, record.actuals)
    done = LibraryCall(record, name, operation, subject, formals, given)
    if not state.remember(done, subject):
        return
    target = record.result
    if operation.is_async and record.by is None and not name.rpartition(".")[2].startswith("__"):
        target = state.outcome(solver.allocate(target, Pending(record.site)))
    subjects = solver.fresh()
    if operation.subject is not None:
        for variable in formals.get(operation.subject, ()):
            if operation.does is Does.STORE:  # into the container, not into what it holds
                solver.copy(variable, subjects)
            else:
                _spread(state, record, variable, subjects)
    elif subject is not None:
        solver.add(subjects, subject)
    formals["()subjects"] = [subjects]
    if operation.value is not None and operation.does in (Does.SEND, Does.STORE, Does.SIGNAL):
        for variable in formals.get(operation.value, ()):
            solver.watch(subjects, lambda obj, v=variable: solver.copy(v, state.element(channel(state, obj))))  # type: ignore[misc]
    if operation.does is Does.BIND:
        partial = solver.allocate(target, Partial(record.site))
        state.partials[partial] = done
        _bind_partial(state, done)
        return
    if operation.does is Does.DECORATE:
        if record.node is not None:  # `@lru_cache(maxsize=8)`, `@wraps(function)`: the call gives the decorator
            solver.allocate(target, Library(name))
            return
        for actual in record.actuals:
            solver.copy(actual.variable, target)
        return
    if operation.does is Does.ENTER:
        inner = CallRecord(record.function, record.site, record.at, subjects, (), target)
        protocols.entered(state, inner, target, operation.is_async)
        return
    if operation.runs is not None:
        _run(state, done, target if operation.returns == Gives.RESULT else NOTHING)
    elif operation.does in (Does.JOIN, Does.WAIT, Does.BOUND, Does.SHIELD):
        solver.watch(subjects, lambda obj: _waited(state, done, obj))
    results.give(state, done, subjects, target)


def _bind_partial(state: State, done: LibraryCall) -> None:
    """Whoever calls the partial, the function gets what is bound already."""
    given = (*done.formals.get("args", ()),)
    keywords = tuple(a for a in done.record.actuals if a.keyword is not None)

    def of(obj: int) -> None:
        match state.solver.objects[obj]:
            case FunctionValue(function=function):
                bind(state, (*(Actual(v) for v in given), *keywords), state.want(function), 0)
            case Method(function=function):
                bind(state, (*(Actual(v) for v in given), *keywords), function, 1)
            case _:
                pass

    for variable in done.formals.get(done.operation.runs or "", ()):
        state.solver.watch(variable, of)


def _spread(state: State, record: CallRecord, variable: int, target: int) -> None:
    """target ⊇ the objects of a variable, and the elements of those that are containers."""

    def of(obj: int) -> None:
        match state.solver.objects[obj]:
            case Container():
                state.solver.copy(state.element(obj), target)
            case Generator(function=function):
                state.awaits.setdefault(obj, set()).add(record.function)
                state.solver.copy(state.yields(function), target)
            case Instance(cls=cls) if fields.CONTAINERS.intersection(state.names.lineage(cls)[1]):
                state.solver.copy(state.element(obj), target)
            case _:
                state.solver.add(target, obj)

    state.solver.watch(variable, of)


def _waited(state: State, done: LibraryCall, obj: int) -> None:
    """A coroutine given to gather, wait_for or shield runs there."""
    if isinstance(state.solver.objects[obj], Coroutine | Pending):
        done.entries.add(obj)
        state.awaits.setdefault(obj, set())


def _run(state: State, done: LibraryCall, target: int) -> None:
    """The library calls what it was given to run."""
    operation, record = done.operation, done.record
    result = target
    if result == NOTHING:
        result = state.solver.fresh()
    actuals: list[Actual] = []
    rest = {p.lstrip("*"): p.count("*", 0, 2) for p in operation.params if p.startswith("*")}
    for name in operation.passes:
        if name == "self" and done.subject is not None:
            own = state.solver.fresh()
            state.solver.add(own, done.subject)
            actuals.append(Actual(own))
        elif rest.get(name) == 1:
            actuals += [Actual(variable) for variable in done.formals.get(name, ())]
        elif rest.get(name) == 2:
            named = {*operation.params, *operation.keyword_only}
            actuals += [a for a in record.actuals if a.keyword is not None and a.keyword not in named]
        else:
            star = 2 if name.startswith("kw") else 1
            actuals += [Actual(variable, star=star) for variable in done.formals.get(name, ())]
    done.formals["()result"] = [result]
    for variable in done.formals.get(operation.runs or "", ()):
        call(state, CallRecord(record.function, record.site, record.at, variable, tuple(actuals), result, None, done))
