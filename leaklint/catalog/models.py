"""Model tables, as TOML gives them, become checked `Models`."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from leaklint.catalog.complaint import Place, closest, expected
from leaklint.catalog.grammar import RESERVED, Callbacks, Capacity, Does, Gives, Kind, Models, Operation, TypeModel, UnitKind
from leaklint.errors import LeaklintError

Table = Mapping[str, object]
Value = TypeVar("Value")

_OPERATION_KEYS = frozenset(field.encode_name for field in msgspec.structs.fields(Operation))
_CAPACITY_KEYS = frozenset(field.encode_name for field in msgspec.structs.fields(Capacity))
_CALLBACK_KEYS = frozenset(field.encode_name for field in msgspec.structs.fields(Callbacks))
_GIVES = frozenset(Gives)
_PLAIN_KINDS = frozenset({Kind.VALUE, Kind.STACK})
_STARTS = frozenset({Does.SPAWN, Does.SUBMIT, Does.ARM, Does.REGISTER, Does.RUN})
_INERT_KEYS = frozenset({"functions", "modules"})
_COMMAND_KEYS = frozenset({"modules"})


@dataclass(frozen=True, slots=True)
class ModelTables:
    """Raw tables by name, each with the file it stands in."""

    types: dict[str, tuple[str, Table]] = field(default_factory=dict)
    functions: dict[str, tuple[str, Table]] = field(default_factory=dict)
    aliases: dict[str, tuple[str, str]] = field(default_factory=dict)
    inert: frozenset[str] = frozenset()
    inert_modules: frozenset[str] = frozenset()
    callbacks: dict[str, Callbacks] = field(default_factory=dict)
    asks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    mains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    commands: frozenset[str] = frozenset()

    @staticmethod
    def of(document: Mapping[str, object], file: str) -> ModelTables:
        """Sort the top-level tables of one document into types, functions, aliases and inert names."""
        types: dict[str, tuple[str, Table]] = {}
        functions: dict[str, tuple[str, Table]] = {}
        aliases: dict[str, tuple[str, str]] = {}
        inert: dict[str, frozenset[str]] = {}
        callbacks: dict[str, Callbacks] = {}
        asks: dict[str, tuple[str, ...]] = {}
        mains: dict[str, tuple[str, ...]] = {}
        commands: frozenset[str] = frozenset()
        for name, table in document.items():
            place = Place(file, name)
            if not isinstance(table, Mapping):
                raise place.error('a table, such as { does = "spawn", … }, must stand here')
            if name == "aliases":
                aliases.update((alias, (file, _string(place.at(alias), target))) for alias, target in table.items())
            elif name == "inert":
                place.known_keys(table, _INERT_KEYS)
                inert = {key: frozenset(_strings(place.at(key), names)) for key, names in table.items()}
            elif name == "callbacks":
                callbacks.update((cls, _callbacks(place.at(cls), methods)) for cls, methods in table.items())
            elif name == "asks":
                asks.update((one, _strings(place.at(one), methods)) for one, methods in table.items())
            elif name == "mains":
                mains.update((cls, _strings(place.at(cls), patterns)) for cls, patterns in table.items())
            elif name == "commands":
                place.known_keys(table, _COMMAND_KEYS)
                commands = frozenset(_strings(place.at("modules"), table.get("modules", ())))
            elif "does" in table:
                functions[name] = (file, table)
            elif "is" in table or "like" in table:
                types[name] = (file, table)
            else:
                raise place.error("a type needs `is` or `like`, a function needs `does`; this table has none of them")
        inert_functions, inert_modules = (inert.get(key, frozenset()) for key in ("functions", "modules"))
        return ModelTables(types, functions, aliases, inert_functions, inert_modules, callbacks, asks, mains, commands)

    def extended(self, later: ModelTables) -> ModelTables:
        """Both, where a name described twice is described by the later one."""
        replaced = later.types.keys() | later.functions.keys() | later.aliases.keys()
        return ModelTables(
            types=_without(self.types, replaced) | later.types,
            functions=_without(self.functions, replaced) | later.functions,
            aliases=_without(self.aliases, replaced) | later.aliases,
            inert=(self.inert - replaced) | later.inert,
            inert_modules=self.inert_modules | later.inert_modules,
            callbacks=self.callbacks | later.callbacks,
            asks=self.asks | later.asks,
            mains=self.mains | later.mains,
            commands=self.commands | later.commands,
        )


def read_tables(content: bytes, file: str) -> ModelTables:
    """The tables of one TOML file. Raises LeaklintError if it is no TOML or a table is neither type nor function."""
    try:
        document = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LeaklintError(f"{file}: not valid TOML: {error}") from error
    return ModelTables.of(document, file)


def build_models(tables: ModelTables) -> Models:
    """Convert and check every table; resolve `like`. Raises LeaklintError for the first that breaks the grammar."""
    types: dict[str, TypeModel] = {}
    for name in tables.types:
        _build_type(name, tables, types, ())
    functions = {name: _operation(Place(file, name), table, frozenset()) for name, (file, table) in tables.functions.items()}
    _check_references(tables, types, functions)
    aliases = {alias: target for alias, (_, target) in tables.aliases.items()}
    concurrent = {name for name, model in types.items() if model.kind not in _PLAIN_KINDS}
    concurrent |= {name for name, operation in functions.items() if operation.does in _STARTS}
    concurrent |= {alias for alias, target in aliases.items() if target in concurrent}
    return Models(
        types=types,
        functions=functions,
        aliases=aliases,
        modules=frozenset(name.partition(".")[0] for name in concurrent if "." in name),
        inert=tables.inert,
        inert_modules=tables.inert_modules,
        callbacks=tables.callbacks,
        asks=tables.asks,
        mains=tables.mains,
        commands=tables.commands,
    )


# --- types -------------------------------------------------------------------------------------------------------------


class _Instance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """The reserved keys of a type table, `is` and `like` apart."""

    init: tuple[str, ...] = ()
    keyword_only: tuple[str, ...] = ()
    capacity: Capacity | None = None
    reentrant: bool = False
    runs: str | None = None
    passes: tuple[str, ...] = ()
    entry: str | None = None
    daemon: str | bool | None = None
    unit: UnitKind | None = None
    starts: bool = False
    timeout: str | None = None
    suppresses: str | None = None
    owes: tuple[str, ...] = ()
    collected: bool = False
    wraps: str | None = None
    attributes: dict[str, str] = {}
    views: dict[str, str] = {}
    since: str | None = None


def _build_type(name: str, tables: ModelTables, types: dict[str, TypeModel], below: tuple[str, ...]) -> TypeModel:
    """The type, also put into `types`; `below` are the types that are, through each other, like this one."""
    if name in types:
        return types[name]
    file, table = tables.types[name]
    place = Place(file, name)
    own = {key: value for key, value in table.items() if key in RESERVED and key not in ("is", "like")}
    methods: dict[str, Operation] = {}
    if "like" in table:
        ancestor = _ancestor(place.at("like"), table["like"], tables, types, (*below, name))
        own = {key: getattr(ancestor, key.replace("-", "_")) for key in _INSTANCE_KEYS} | own
        methods = dict(ancestor.methods)
        kind = ancestor.kind
    if "is" in table:
        kind = place.at("is").convert(table["is"], Kind)
    _check_capacity_keys(place, table)
    instance = place.convert(own, _Instance)
    _check_instance(place, instance)
    constructor = frozenset(_plain(instance.init)) | frozenset(instance.keyword_only)
    for key, value in table.items():
        if key not in RESERVED:
            methods[key] = _method(place, key, value, constructor)
    for owed in instance.owes:
        if owed not in methods:
            raise place.at("owes").error(expected(f"there is no method {owed!r}", owed, methods))
    built = TypeModel(name=name, kind=kind, methods=methods, **msgspec.structs.asdict(instance))
    types[name] = built
    return built


_INSTANCE_KEYS = tuple(field.encode_name for field in msgspec.structs.fields(_Instance))


def _ancestor(place: Place, like: object, tables: ModelTables, types: dict[str, TypeModel], below: tuple[str, ...]) -> TypeModel:
    name = _string(place, like)
    if name not in tables.types:
        raise place.error(expected(f"no model describes the type {name!r}", name, tables.types))
    if name in below:
        raise place.error(f"a cycle: {' is like '.join((*below[below.index(name) :], name))}")
    return _build_type(name, tables, types, below)


def _method(place: Place, key: str, value: object, constructor: frozenset[str]) -> Operation:
    if isinstance(value, Mapping) and "does" in value:
        return _operation(place.at(key), value, constructor)
    guess = closest(key, RESERVED)
    hint = f"; did you mean {guess!r}?" if guess else ""
    raise place.at(key).error(f"neither a key of a type nor a method, which is a table with `does`{hint}")


def _check_instance(place: Place, instance: _Instance) -> None:
    parameters = (*_plain(instance.init), *instance.keyword_only)
    named = [("runs", instance.runs), ("timeout", instance.timeout), ("suppresses", instance.suppresses), ("wraps", instance.wraps)]
    named += [("passes", name) for name in instance.passes]
    if isinstance(instance.daemon, str):
        named.append(("daemon", instance.daemon))
    if instance.capacity is not None:
        named.append(("capacity", instance.capacity.arg))
    for key, name in named:
        if name is not None and name not in parameters:
            raise place.at(key).error(expected(f"`init` and `keyword-only` list no parameter {name!r}", name, parameters))


# --- operations --------------------------------------------------------------------------------------------------------


def _operation(place: Place, table: Table, constructor: frozenset[str]) -> Operation:
    """`constructor` are the parameters of the type whose method this is: `subject` may name one of these too."""
    place.known_keys(table, _OPERATION_KEYS)
    _check_capacity_keys(place, table)
    operation = place.convert(table, Operation)
    parameters = (*_plain(operation.params), *operation.keyword_only)
    for key, name in _parameters_named(operation):
        if name not in parameters and not (key == "subject" and name in constructor):
            raise place.at(key).error(expected(f"`params` and `keyword-only` list no parameter {name!r}", name, parameters))
    if operation.instead is not None and not operation.only_if:
        raise place.at("instead").error("says nothing without `only-if`")
    return operation


def _parameters_named(operation: Operation) -> Iterable[tuple[str, str]]:
    """Every (key, parameter) in which the operation speaks of a parameter."""
    single = {"subject": operation.subject, "timeout": operation.timeout, "runs": operation.runs, "value": operation.value}
    single["fails-early"] = operation.fails_early
    yield from ((key, name) for key, name in single.items() if name is not None)
    yield from (("passes", name) for name in operation.passes if name != Gives.SELF)
    yield from (("unless", name) for name in operation.unless)
    yield from (("only-if", name) for name in operation.only_if)
    if operation.capacity is not None and operation.capacity.arg is not None:
        yield "capacity", operation.capacity.arg


# --- names that refer to other tables ----------------------------------------------------------------------------------


def _check_references(tables: ModelTables, types: Mapping[str, TypeModel], functions: Mapping[str, Operation]) -> None:
    for name, (file, _) in tables.types.items():
        model = types[name]
        place = Place(file, name)
        for key, operation in model.methods.items():
            _check_returns(place.at(key), operation, types)
            _check_undone(place.at(key), operation, model.methods)
        for attribute, target in (*model.attributes.items(), *model.views.items()):
            _check_type(place.at(attribute), target, types)
    for name, (file, _) in tables.functions.items():
        _check_returns(Place(file, name), functions[name], types)
        module = name.rpartition(".")[0]
        _check_undone(Place(file, name), functions[name], {n.rpartition(".")[2] for n in functions if n.rpartition(".")[0] == module})
    for alias, (file, target) in tables.aliases.items():
        if target not in types and target not in functions:
            place = Place(file, "aliases").at(alias)
            raise place.error(expected(f"no model describes {target!r}", target, (*types, *functions)))


def _check_undone(place: Place, operation: Operation, siblings: Iterable[str]) -> None:
    if operation.undone is not None and operation.undone not in siblings:
        raise place.at("undone").error(expected(f"nothing beside it is called {operation.undone!r}", operation.undone, siblings))


def _check_returns(place: Place, operation: Operation, types: Mapping[str, TypeModel]) -> None:
    returns = (operation.returns,) if isinstance(operation.returns, str) else operation.returns or ()
    for name in returns:
        if name not in _GIVES:
            _check_type(place.at("returns"), name, types)


def _check_type(place: Place, name: str, types: Mapping[str, TypeModel]) -> None:
    if name not in types:
        raise place.error(expected(f"no model describes the type {name!r}", name, (*types, *_GIVES)))


def _check_capacity_keys(place: Place, table: Table) -> None:
    if isinstance(capacity := table.get("capacity"), Mapping):
        place.at("capacity").known_keys(capacity, _CAPACITY_KEYS)


def _plain(parameters: Iterable[str]) -> tuple[str, ...]:
    return tuple(name.lstrip("*") for name in parameters)


def _callbacks(place: Place, methods: object) -> Callbacks:
    if isinstance(methods, Mapping):
        place.known_keys(methods, _CALLBACK_KEYS)
    return place.convert(methods, Callbacks)


def _string(place: Place, value: object) -> str:
    return place.convert(value, str)


def _strings(place: Place, value: object) -> tuple[str, ...]:
    return place.convert(value, tuple[str, ...])


def _without(tables: Mapping[str, Value], names: Collection[str]) -> dict[str, Value]:
    return {name: table for name, table in tables.items() if name not in names}
