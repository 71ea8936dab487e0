"""Where a dotted name leads: modules, imports and re-exports of the project, and the class hierarchy, resolved without flow."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from leaklint import ir
from leaklint.catalog.grammar import Models
from leaklint.link.linearization import linearized
from leaklint.link.syntax import bound_names, scope_names, walk
from leaklint.link.values import ClassId, FunctionId, Library, ModuleValue

Definition: TypeAlias = ClassId | FunctionId | ModuleValue | Library

_DOTTED = re.compile(r"[A-Za-z_][\w.]*")
_BUILTINS = frozenset(dir(builtins))
_MOST_SUBCLASSES = 24
"""Above this many a declared type says too little to stand for all its subclasses."""


@dataclass(slots=True)
class _Globals:
    """What a module's top level says of a name, every definition in source order."""

    defined: dict[str, list[ClassId | FunctionId | ir.Imported | ir.Expr]] = field(default_factory=dict)
    stars: list[ir.Imported] = field(default_factory=list)


class Names:
    """The static symbol table of a project."""

    def __init__(self, modules: Sequence[ir.Module], models: Models) -> None:
        self.modules = modules
        self.models = models
        self.by_name = {module.name: index for index, module in reversed(list(enumerate(modules)))}
        self._globals = [self._collect(index, module) for index, module in enumerate(modules)]
        self._mro: dict[ClassId, tuple[tuple[ClassId, ...], tuple[str, ...]]] = {}
        self._members: dict[ClassId, dict[str, FunctionId | None]] = {}
        self._constants: dict[tuple[int, str], str | None] = {}
        self._subclasses: dict[ClassId, list[ClassId]] | None = None
        known = (*models.types, *models.functions, *models.aliases, *(f"{m}.x" for m in models.inert_modules))
        self._described = frozenset(models.types) | {".".join(name.split(".")[:n]) for name in known for n in range(1, name.count(".") + 1)}

    # --- modules and imports

    def _collect(self, index: int, module: ir.Module) -> _Globals:
        table = _Globals()
        summary = module.summary
        if not summary.functions:
            return table
        for stmt in walk(summary.functions[0].body):
            match stmt:
                case ir.Import(names=names):
                    for imported in names:
                        if imported.local == "*":
                            table.stars.append(imported)
                        else:
                            table.defined.setdefault(imported.local, []).append(imported)
                case ir.DefineFunction(function=number):
                    table.defined.setdefault(summary.functions[number].name, []).append(FunctionId(index, number))
                case ir.DefineClass(cls=number):
                    table.defined.setdefault(summary.classes[number].name, []).append(ClassId(index, number))
                case ir.Bind(targets=targets, value=value):
                    for target in targets:
                        if isinstance(target, ir.Name):
                            table.defined.setdefault(target.id, []).append(value)
                case _:
                    pass
        for name in bound_names(summary.functions[0].body, summary):
            table.defined.setdefault(name, [])
        for function in summary.functions[1:]:
            for name in scope_names(function.body, "global"):
                table.defined.setdefault(name, [])
        return table

    def binds(self, module: int, name: str) -> bool:
        """Whether the module's top level binds the name itself (star imports not counted)."""
        return name in self._globals[module].defined

    def is_defined_once(self, function: FunctionId) -> bool:
        """Whether the module's top level gives the name of a function nothing else."""
        return self._globals[function.module].defined.get(self.function(function).name) == [function]

    def star_modules(self, module: int) -> Iterator[int | str]:
        """The modules whose names a star import brings in: an index for the project's, a dotted name otherwise."""
        for imported in self._globals[module].stars:
            dotted = self.absolute(module, imported)
            yield self.by_name.get(dotted, dotted)

    def absolute(self, module: int, imported: ir.Imported) -> str:
        """The dotted name of the module that an import statement names."""
        if not imported.level:
            return imported.module
        here = self.modules[module]
        package = here.name.split(".") if here.is_package else here.name.split(".")[:-1]
        package = package[: len(package) - (imported.level - 1)]
        return ".".join((*package, imported.module)) if imported.module else ".".join(package)

    def imports(self, module: int) -> Iterator[int]:
        """The project modules that a module imports anywhere in its body or functions."""
        summary = self.modules[module].summary
        for function in summary.functions:
            for stmt in walk(function.body):
                if not isinstance(stmt, ir.Import):
                    continue
                for imported in stmt.names:
                    dotted = self.absolute(module, imported)
                    for name in (dotted, f"{dotted}.{imported.name}"):
                        if name in self.by_name:
                            yield self.by_name[name]

    def imported_names(self, module: int) -> Iterator[tuple[int, str | None]]:
        """The project modules, each with the name (None: the module itself) that the module imports anywhere."""
        summary = self.modules[module].summary
        for function in summary.functions:
            for stmt in walk(function.body):
                for imported in stmt.names if isinstance(stmt, ir.Import) else ():
                    dotted = self.absolute(module, imported)
                    full = f"{dotted}.{imported.name}"
                    if imported.name is not None and full in self.by_name:
                        yield self.by_name[full], None
                    elif dotted in self.by_name:
                        yield self.by_name[dotted], None if imported.name == "*" else imported.name

    def describe(self, dotted: str) -> Library | None:
        """The library name that a model describes under `dotted`, if one does."""
        name = self.models.aliases.get(dotted, dotted)
        if name in self.models.types or name in self.models.functions:
            return Library(name)
        return None

    def is_described(self, dotted: str) -> bool:
        """Whether names below this one can mean something to a model: it is a modelled type, a module of one, or inert."""
        return dotted in self._described

    def imported(self, module: int, imported: ir.Imported, seen: frozenset[tuple[int, str]] = frozenset()) -> Definition | None:
        """What an import statement binds."""
        dotted = self.absolute(module, imported)
        if imported.name is None:
            name = dotted if imported.local != dotted.split(".")[0] else imported.local
            return self.module(name)
        full = f"{dotted}.{imported.name}"
        if (described := self.describe(full)) is not None:
            return described
        if dotted in self.by_name:
            found = self.resolve_name(self.by_name[dotted], imported.name, seen)
            if found is not None:
                return found
            if full in self.by_name:
                return ModuleValue(self.by_name[full])
            return None
        return self.module(full)

    def module(self, dotted: str) -> Definition:
        return ModuleValue(self.by_name[dotted]) if dotted in self.by_name else Library(self.models.aliases.get(dotted, dotted))

    # --- static resolution

    def resolve_name(self, module: int, name: str, seen: frozenset[tuple[int, str]] = frozenset()) -> Definition | None:
        """The class, function, module or library name that a global name stands for; the last definition that says it."""
        if (module, name) in seen:
            return None
        seen |= {(module, name)}
        for definition in reversed(self._globals[module].defined.get(name, ())):
            match definition:
                case ClassId() | FunctionId():
                    return definition
                case ir.Imported():
                    found = self.imported(module, definition, seen)
                case _:
                    found = self.resolve(module, definition, seen)
            if found is not None:
                return found
        for star in self.star_modules(module):
            found = self.resolve_name(star, name, seen) if isinstance(star, int) else self.describe(f"{star}.{name}")
            if found is not None:
                return found
        return None

    def resolve_global(self, module: int, name: str, depth: int = 0) -> tuple[int, str] | None:
        """The project module that defines a global by assignment, and its name there, followed through imports."""
        for definition in reversed(self._globals[module].defined.get(name, ())):
            if not isinstance(definition, ir.Imported):
                return (module, name)
            dotted = self.absolute(module, definition)
            if definition.name is not None and dotted in self.by_name and depth < 8:
                return self.resolve_global(self.by_name[dotted], definition.name, depth + 1)
        return None

    def assigned(self, module: int, name: str) -> tuple[int, ir.Expr] | None:
        """The one value that a global is ever given at the top level of the project module that defines it, and that module."""
        where = self.resolve_global(module, name)
        definitions = self._globals[where[0]].defined.get(where[1], ()) if where is not None else ()
        if where is None or len(definitions) != 1 or isinstance(only := definitions[0], ClassId | FunctionId | ir.Imported):
            return None
        return where[0], only

    def constant(self, module: int, name: str) -> str | None:
        """The text of a global that is a string and nothing else."""
        key = (module, name)
        if key not in self._constants:
            found = self.assigned(module, name)
            only = found[1] if found is not None else None
            self._constants[key] = only.text if isinstance(only, ir.Constant) and only.kind == "str" else None
        return self._constants[key]

    def resolve(self, module: int, expression: ir.Expr, seen: frozenset[tuple[int, str]] = frozenset()) -> Definition | None:
        """What a chain of names leads to, seen from the top level of the module; subscripts (`Generic[T]`) are looked through."""
        match expression:
            case ir.Name(id=name):
                return self.resolve_name(module, name, seen)
            case ir.Subscript(base=base):
                return self.resolve(module, base, seen)
            case ir.Attribute(base=base, name=name):
                return self.member(self.resolve(module, base, seen), name, seen)
            case _:
                return None

    def member(self, base: Definition | None, name: str, seen: frozenset[tuple[int, str]] = frozenset()) -> Definition | None:
        match base:
            case ModuleValue(module=index):
                if (described := self.describe(f"{self.modules[index].name}.{name}")) is not None:
                    return described
                found = self.resolve_name(index, name, seen)
                if found is None:
                    full = f"{self.modules[index].name}.{name}"
                    found = ModuleValue(self.by_name[full]) if full in self.by_name else None
                return found
            case Library(name=dotted):
                full = f"{dotted}.{name}"
                return self.module(full)
            case ClassId():
                return self.nested_class(base, name)
            case _:
                return None

    def nested_class(self, cls: ClassId, name: str) -> ClassId | None:
        summary = self.modules[cls.module].summary
        for stmt in summary.classes[cls.index].body:
            if isinstance(stmt, ir.DefineClass) and summary.classes[stmt.cls].name == name:
                return ClassId(cls.module, stmt.cls)
        return None

    # --- classes

    def cls(self, cls: ClassId) -> ir.Class:
        return self.modules[cls.module].summary.classes[cls.index]

    def function(self, function: FunctionId) -> ir.Function:
        return self.modules[function.module].summary.functions[function.index]

    def bases(self, cls: ClassId) -> tuple[Definition | None, ...]:
        node = self.cls(cls)
        found: list[Definition | None] = []
        for base in node.bases:
            resolved = self.resolve(cls.module, base)
            if resolved is None and isinstance(base, ir.Name) and node.parent:
                resolved = self._local_class(cls.module, node.parent, base.id)
            if resolved is None and isinstance(base, ir.Name) and base.id in _BUILTINS and not self.binds(cls.module, base.id):
                resolved = Library(base.id)
            found.append(resolved)
        return tuple(found)

    def _local_class(self, module: int, function: int, name: str) -> ClassId | None:
        summary = self.modules[module].summary
        for index, candidate in enumerate(summary.classes):
            if candidate.name == name and candidate.parent == function and candidate.owner is None:
                return ClassId(module, index)
        return None

    def lineage(self, cls: ClassId) -> tuple[tuple[ClassId, ...], tuple[str, ...]]:
        """The class and its project bases in the order in which Python looks at them, and the dotted names of its bases outside the
        project; a base that cannot be resolved is "?"."""
        if cls not in self._mro:
            self._mro[cls] = ((cls,), ())  # a cycle of bases ends here
            lines: list[tuple[ClassId, ...]] = []
            outside: list[str] = []
            for base in self.bases(cls):
                match base:
                    case ClassId():
                        inner, more = self.lineage(base)
                        lines.append(inner)
                        outside += [name for name in more if name not in outside]
                    case Library(name=name):
                        outside.append(name)
                    case _:
                        outside.append("?")
            self._mro[cls] = ((cls, *linearized([*lines, tuple(line[0] for line in lines)], cls)), tuple(outside))
        return self._mro[cls]

    def members(self, cls: ClassId) -> dict[str, FunctionId | None]:
        """What the body of the class itself binds: a method, or None for any other value."""
        if cls not in self._members:
            summary = self.modules[cls.module].summary
            body = summary.classes[cls.index].body
            table: dict[str, FunctionId | None] = dict.fromkeys(bound_names(body, summary))
            for stmt in walk(body):
                if isinstance(stmt, ir.DefineFunction):
                    name = summary.functions[stmt.function].name
                    known = table.get(name)
                    if known is None or not _is_accessor(summary.functions[stmt.function]):
                        table[name] = FunctionId(cls.module, stmt.function)
            self._members[cls] = table
        return self._members[cls]

    def method(self, cls: ClassId, name: str) -> FunctionId | None:
        """The method that instances of the class have under this name."""
        for one in self.lineage(cls)[0]:
            members = self.members(one)
            if name in members:
                return members[name]
        return None

    def subclasses(self, cls: ClassId) -> tuple[ClassId, ...]:
        """The project classes below `cls`; none when there are too many to mean anything."""
        found = self.below(cls)
        return found if len(found) <= _MOST_SUBCLASSES else ()

    def setter(self, cls: ClassId, name: str) -> FunctionId | None:
        """The `@name.setter` that an assignment to the attribute runs."""
        return next((found for one in self.lineage(cls)[0] if (found := self._setters.get((one, name))) is not None), None)

    def has_setter(self, name: str) -> bool:
        """Whether an assignment to an attribute of this name may run a method."""
        return name in self._set_names

    @cached_property
    def _set_names(self) -> frozenset[str]:
        return frozenset(name for _, name in self._setters)

    @cached_property
    def _setters(self) -> dict[tuple[ClassId, str], FunctionId]:
        found: dict[tuple[ClassId, str], FunctionId] = {}
        for module, node in enumerate(self.modules):
            for index, function in enumerate(node.summary.functions):
                if function.owner is not None and any(isinstance(d, ir.Attribute) and d.name == "setter" for d in function.decorators):
                    found[ClassId(module, function.owner), function.name] = FunctionId(module, index)
        return found

    def below(self, cls: ClassId) -> tuple[ClassId, ...]:
        """All project classes below `cls`, itself not included."""
        if self._subclasses is None:
            self._subclasses = {}
            for module, node in enumerate(self.modules):
                for index in range(len(node.summary.classes)):
                    for base in self.lineage(ClassId(module, index))[0][1:]:
                        self._subclasses.setdefault(base, []).append(ClassId(module, index))
        return tuple(self._subclasses.get(cls, ()))

    def declared(self, module: int, annotation: ir.Expr | None) -> tuple[ClassId, ...]:
        """The project classes that an annotation names: through `X | None`, `Optional[X]`, strings; containers are not entered."""
        return tuple(found for found in self._annotated(module, annotation) if isinstance(found, ClassId))

    def declared_types(self, module: int, annotation: ir.Expr | None) -> tuple[str, ...]:
        """The dotted names of the library types that an annotation names, in the same way."""
        return tuple(found.name for found in self._annotated(module, annotation) if isinstance(found, Library))

    def _annotated(self, module: int, annotation: ir.Expr | None) -> list[Definition | None]:
        match annotation:
            case ir.Constant(kind="str", text=text):
                names = _DOTTED.findall(text)
                if "[" in text and not text.startswith(("Optional[", "typing.Optional[", "Union[")):
                    names = names[:1]
                return [self._dotted(module, name) for name in names]
            case ir.Operation(operator="|", operands=operands):
                return [found for operand in operands for found in self._annotated(module, operand)]
            case ir.Subscript(base=base, index=index):
                head = base.name if isinstance(base, ir.Attribute) else base.id if isinstance(base, ir.Name) else ""
                if head in ("Optional", "Union", "Annotated", "Final", "ClassVar", "Self"):
                    inner = index.items if isinstance(index, ir.Display) else (index,)
                    return [found for one in inner for found in self._annotated(module, one)]
                return [self.resolve(module, base)]
            case ir.Name() | ir.Attribute():
                return [self.resolve(module, annotation)]
            case _:
                return []

    def _dotted(self, module: int, dotted: str) -> Definition | None:
        first, *rest = dotted.split(".")
        found = self.resolve_name(module, first)
        for name in rest:
            found = self.member(found, name)
        return found


def _is_accessor(function: ir.Function) -> bool:
    """A `@x.setter` or `@x.deleter`: the getter of the same name says what a load gives."""
    return any(isinstance(d, ir.Attribute) and d.name in ("setter", "deleter") for d in function.decorators)
