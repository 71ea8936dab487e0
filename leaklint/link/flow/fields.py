"""What an object gives and takes: its attributes and its elements."""

from __future__ import annotations

from itertools import count, takewhile

from leaklint import ir
from leaklint.link.decorators import Binding, binding
from leaklint.link.flow import calls, containers, generators
from leaklint.link.flow.state import NOTHING, Load, State
from leaklint.link.values import (
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
    ModuleValue,
    Resource,
    Super,
)

CONTAINERS = frozenset(
    {
        "dict", "list", "set", "tuple", "collections.UserDict", "collections.UserList", "collections.OrderedDict",
        "collections.defaultdict", "collections.deque", "weakref.WeakSet", "weakref.WeakValueDictionary", "weakref.WeakKeyDictionary",
    }
)  # fmt: skip
"""Bases that make an instance a container: it holds elements."""


def load(state: State, function: FunctionId, base: int, name: str, target: int) -> None:
    """target ⊇ base.name"""
    state.loads.append(Load(function, base, name, target=target))
    state.solver.watch(base, _load_from, state, function, name, target)


def _load_from(state: State, function: FunctionId, name: str, target: int, obj: int) -> None:
    solver = state.solver
    value = solver.objects[obj]
    if name in _ALIKE and not isinstance(value, Instance | ClassValue | Super):
        name = _ALIKE[name]
    match value:
        case Instance(cls=cls) if name == "__class__":
            solver.add(target, state.class_value(cls))
        case Instance(cls=cls):
            solver.copy(state.attribute(obj, name), target)
            if not _member(state, function, state.names.lineage(cls)[0], obj, name, target):
                _library_member(state, obj, state.names.lineage(cls)[1], name, target)
        case ClassValue(cls=cls):
            _class_member(state, cls, obj, name, target)
        case ModuleValue(module=module):
            if (described := state.names.describe(f"{state.names.modules[module].name}.{name}")) is not None:
                solver.allocate(target, described)
            elif not copy_global(state, module, name, target):
                submodule = f"{state.names.modules[module].name}.{name}"
                if submodule in state.names.by_name:
                    solver.allocate(target, ModuleValue(state.names.by_name[submodule]))
        case Library(name=dotted):
            if not state.names.is_described(dotted):
                solver.add(target, obj)  # whatever it is, it is of that library
                return
            found = state.names.module(f"{dotted}.{name}")
            if isinstance(found, Library | ModuleValue):
                solver.allocate(target, found)
        case Resource(type=type_name, site=site, part=part):
            model = state.models.types.get(type_name)
            if model is not None and name in model.methods:
                solver.allocate(target, LibraryMethod(obj, type_name, name))
            elif model is not None and name in model.attributes:
                solver.allocate(target, Resource(model.attributes[name], site, f"{part}.{name}" if part else name))
            elif model is not None and name in model.views:
                solver.allocate(target, Resource(model.views[name], site, part))
            else:
                solver.copy(state.attribute(obj, name), target)
        case Container() if name in containers.METHODS:
            solver.allocate(target, ContainerMethod(obj, name))
        case Generator() if name in generators.METHODS:
            solver.allocate(target, GeneratorMethod(obj, name))
        case Container(part=part) if part in containers.WITH_ATTRIBUTES:
            _held_at(state, obj, name, target)
        case Super(receiver=receiver) if name == "__new__":
            solver.add(target, receiver)  # calling it makes what calling the class makes
        case Super(cls=cls, receiver=receiver):
            line, outside = _above(state, cls, receiver)
            if not _member(state, function, line, receiver, name, target):
                _library_member(state, receiver, outside, name, target)
        case _:
            pass


_ALIKE = {"__aenter__": "__enter__", "__aexit__": "__exit__", "__aiter__": "__iter__", "__anext__": "__next__"}
"""Models have one name for the plain and the async form."""


def _above(state: State, cls: ClassId, receiver: int) -> tuple[tuple[ClassId, ...], tuple[str, ...]]:
    """The part of the receiver's lineage that `super()` in `cls` looks at."""
    match state.solver.objects[receiver]:
        case Instance(cls=actual) | ClassValue(cls=actual):
            line, outside = state.names.lineage(actual)
        case _:
            line, outside = state.names.lineage(cls)
    return (line[line.index(cls) + 1 :] if cls in line else state.names.lineage(cls)[0][1:]), outside


def _member(state: State, function: FunctionId, line: tuple[ClassId, ...], obj: int, name: str, target: int) -> bool:
    """The nearest class-level binding of the name, bound to the object; whether there is one."""
    solver = state.solver
    for cls in line:
        members = state.names.members(cls)
        if name not in members:
            continue
        method = members[name]
        if method is None or _is_replaced(state.names.function(method)):
            _bound(state, state.attribute(state.class_value(cls), name), obj, target)
            return True
        match binding(state.names.function(method)):
            case Binding.PROPERTY:
                method = state.within(method, obj)
                calls.bind_self(state, method, obj)
                node = state.names.function(method)
                if node.is_async:
                    solver.allocate(target, Coroutine(method, method.site(-1 - method.index)))
                else:
                    solver.copy(state.result(method), target)
                state.accessed.add((function, method))
            case Binding.STATIC:
                solver.allocate(target, FunctionValue(state.want(method)))
            case Binding.CLASS:
                solver.allocate(target, Method(state.want(method), state.class_value(line[0])))
            case Binding.PLAIN:
                solver.allocate(target, Method(state.within(method, obj), obj))
        return True
    return False


def _is_replaced(function: ir.Function) -> bool:
    """Whether a decorator of the program or a library may have put something else in the function's place."""
    return bool(function.decorators) and binding(function) is Binding.PLAIN


def _bound(state: State, source: int, receiver: int, target: int) -> None:
    """target ⊇ source, a class-level value, as an instance sees it: functions become methods."""
    state.solver.watch(source, _as_seen, state, receiver, target)


def _as_seen(state: State, receiver: int, target: int, obj: int) -> None:
    match state.solver.objects[obj]:
        case FunctionValue(function=function):
            state.solver.allocate(target, Method(state.within(function, receiver), receiver))
        case _:
            state.solver.add(target, obj)


def _library_member(state: State, obj: int, outside: tuple[str, ...], name: str, target: int) -> None:
    for dotted in outside:
        model = state.models.types.get(dotted)
        if model is not None and (name in model.methods or name == "__init__"):
            state.solver.allocate(target, LibraryMethod(obj, dotted, name))
            return
        if dotted in CONTAINERS and (name in containers.METHODS or name == "__init__"):
            state.solver.allocate(target, ContainerMethod(obj, "update" if name == "__init__" else name))
            return


def _class_member(state: State, cls: ClassId, obj: int, name: str, target: int) -> None:
    solver = state.solver
    solver.copy(state.attribute(obj, name), target)
    for one in state.names.lineage(cls)[0]:
        members = state.names.members(one)
        if name not in members:
            continue
        method = members[name]
        if method is None:
            solver.copy(state.attribute(state.class_value(one), name), target)
        elif binding(state.names.function(method)) is Binding.CLASS:
            solver.allocate(target, Method(state.want(method), obj))
        else:
            solver.allocate(target, FunctionValue(method))
        return


def copy_global(state: State, module: int, name: str, target: int, seen: frozenset[int] = frozenset()) -> bool:
    """target ⊇ the module's global, found in the module itself or through its star imports; whether anybody binds it."""
    if module in seen:
        return False
    if state.names.binds(module, name):
        state.solver.copy(state.global_(module, name), target)
        return True
    for star in state.names.star_modules(module):
        if isinstance(star, int):
            if copy_global(state, star, name, target, seen | {module}):
                return True
        elif (described := state.names.describe(f"{star}.{name}")) is not None:
            state.solver.allocate(target, described)
            return True
    return False


def store(state: State, function: FunctionId, base: int, name: str, value: int, constant: ir.Expr | None) -> None:
    """base.name ⊇ value"""
    state.loads.append(Load(function, base, name, value, constant))
    if value != NOTHING or state.names.has_setter(name):
        state.solver.watch(base, _store_in, state, function, name, value)


def _store_in(state: State, function: FunctionId, name: str, value: int, obj: int) -> None:
    match state.solver.objects[obj]:
        case Instance(cls=cls) if (setter := state.names.setter(cls, name)) is not None:
            setter = state.within(setter, obj)
            calls.bind_self(state, setter, obj)
            calls.bind_value(state, setter, 1, value)
            state.accessed.add((function, setter))
        case Instance() | Resource():
            state.solver.copy(value, state.attribute(obj, name))
        case ClassValue(cls=cls):
            state.solver.copy(value, state.attribute(obj, name))
            if not any(name in state.names.members(one) for one in state.names.lineage(cls)[0]):  # else it is found as a member
                state.for_each(cls, lambda one: state.solver.copy(value, state.attribute(one, name)))
        case ModuleValue(module=module):
            state.solver.copy(value, state.global_(module, name))
        case Container(part=part) if part in containers.WITH_ATTRIBUTES:
            state.put_at(obj, name, value)
        case Super(receiver=receiver):
            state.solver.copy(value, state.attribute(receiver, name))
        case _:
            pass


def special(state: State, function: FunctionId, base: int, *names: str) -> None:
    """An operator or an f-string runs a method of the program, the first of these that the object has: `key in table`, `table[key]`,
    `del table[key]`, `len(table)`."""
    if base != NOTHING:
        state.solver.watch(base, _special_of, state, function, names)


def _special_of(state: State, function: FunctionId, names: tuple[str, ...], obj: int) -> None:
    value = state.solver.objects[obj]
    if not isinstance(value, Instance):
        return
    method = next((found for name in names if (found := state.method(value.cls, name, obj)) is not None), None)
    if method is not None:
        calls.bind_self(state, method, obj)
        state.accessed.add((function, method))


def element(state: State, base: int, target: int, key: int | str | None = None) -> None:
    """target ⊇ base[…], or base[key]; subscripting a class or a function of the library (`Queue[int]`) gives itself."""
    state.solver.watch(base, _element_of, state, target, key)


def _element_of(state: State, target: int, key: int | str | None, obj: int) -> None:
    match state.solver.objects[obj]:
        case Container(is_record=True) if key is not None:
            _held_at(state, obj, key, target)
        case Container() if isinstance(key, int) and (indexed := state.solver.known(("indexed", obj, key))) != NOTHING:
            state.solver.copy(indexed, target)
        case Container() | Resource():
            state.solver.copy(state.element(obj), target)
        case ClassValue() | Library() | FunctionValue() | Method() | LibraryMethod():
            state.solver.add(target, obj)
        case Instance(cls=cls):
            method = state.method(cls, "__getitem__", obj)
            if method is not None:
                calls.bind_self(state, method, obj)
                state.solver.copy(state.result(method), target)
            elif names := in_order(state, cls):
                for name in names[key : key + 1] if isinstance(key, int) else names:
                    state.solver.copy(state.attribute(obj, name), target)
            elif key is not None:
                _held_at(state, obj, key, target)
            else:
                state.solver.copy(state.element(obj), target)
        case _:
            pass


def _held_at(state: State, obj: int, key: int | str, target: int) -> None:
    """target ⊇ what a record has under the key, or is put in under keys that nobody knows."""
    state.solver.copy(state.indexed(obj, key), target)
    state.solver.copy(state.anywhere(obj), target)


def put(state: State, base: int, value: int, key: int | str | None) -> None:
    """base[…] ⊇ value, or base[key] ⊇ value"""

    def into(obj: int) -> None:
        match state.solver.objects[obj]:
            case Container(is_record=True) if key is not None:
                state.put_at(obj, key, value)
            case Container() | Resource():
                state.solver.copy(value, state.anywhere(obj))
            case Instance(cls=cls):
                method = state.method(cls, "__setitem__", obj)
                if method is not None:
                    calls.bind_self(state, method, obj)
                    calls.bind_value(state, method, 2, value)
                elif key is not None:
                    state.put_at(obj, key, value)
                else:
                    state.solver.copy(value, state.anywhere(obj))
            case _:
                pass

    state.solver.watch(base, into)


def pour(state: State, base: int, values: int) -> None:
    """base[:] = values"""

    def into(obj: int) -> None:
        if isinstance(state.solver.objects[obj], Container):
            element(state, values, state.anywhere(obj))

    state.solver.watch(base, into)


def destructure(state: State, base: int, where: slice, target: int) -> None:
    """target ⊇ the elements of base in this part of it, where it is known."""

    def of(obj: int) -> None:
        match state.solver.objects[obj]:
            case Container():
                places = takewhile(lambda place: place != NOTHING, (state.solver.known(("indexed", obj, index)) for index in count()))
                for place in tuple(places)[where] or (state.element(obj),):
                    state.solver.copy(place, target)
            case Instance(cls=cls):
                for name in in_order(state, cls)[where]:
                    state.solver.copy(state.attribute(obj, name), target)
            case _:
                pass

    state.solver.watch(base, of)


def in_order(state: State, cls: ClassId) -> list[str]:
    """The fields of a named tuple."""
    return calls.field_names(state, cls) if "typing.NamedTuple" in state.names.lineage(cls)[1] else []


__all__ = ["copy_global", "destructure", "element", "load", "pour", "put", "special", "store"]
