"""Containers that objects and modules keep for long, and every place of the program that puts something in or takes something out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Makes, Operation
from leaklint.link.program import Program
from leaklint.link.syntax import walk
from leaklint.link.values import ClassId, ClassValue, Container, FunctionId, Instance, Library, ModuleValue

MAKERS = frozenset({"__init__", "__new__", "__post_init__", "__attrs_post_init__", "__init_subclass__", "__setstate__"})
"""Methods in which an object is made: what they bind is there from the start."""


class Act(Enum):
    """What a place does with a table."""

    PUT = auto()
    TAKE = auto()  # one entry that it names
    DRAIN = auto()  # whatever is there: the oldest, or all
    VISIT = auto()  # each entry in turn, under the name `value`
    LEND = auto()  # it goes where nobody sees what is done with it


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """`entry`: the key, or what is put in or taken out, by which the two can be told to be about the same; `value`: what is put in; of a
    visit, the name that each entry gets; `is_deep`: it is done to a container inside the table; `is_handed`: the method is given away, to
    be called later; `is_sure`: the table is known, and not just one of that name."""

    act: Act
    function: FunctionId
    stmt: ir.Stmt
    entry: ir.Expr | None = None
    value: ir.Expr | None = None
    at: ir.Span | None = None
    is_deep: bool = False
    is_handed: bool = False
    is_sure: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A container in an attribute (`home`: the topmost class that makes it) or in a variable of a module (`home`: its number), or what
    a library keeps (None). `is_own`:
    nothing else was ever bound to that name."""

    home: ClassId | int | None
    name: str
    label: str
    is_own: bool
    uses: list[Use] = field(default_factory=list)

    @property
    def home_is_module(self) -> bool:
        return isinstance(self.home, int)

    def of(self, *acts: Act) -> list[Use]:
        """What is done to it, by kind; methods that are given away to be called later count as called."""
        return [use for use in self.uses if use.act in acts]


_ENDS = (
    "close", "stop", "shutdown", "disconnect", "exit", "lost", "terminate", "abort", "cleanup", "clear", "reset", "del", "fail", "dispose",
)  # fmt: skip
"""Words in the names of methods that bring an object to its end, or to its beginning again."""


def is_teardown(function: ir.Function) -> bool:
    """Whether a function, by its name, ends an object rather than serves it."""
    return any(word in function.name.lower() for word in _ENDS)


@dataclass(slots=True)
class _Made:
    """What is bound to one name. `unknown`: something that is no new container."""

    new: bool = False
    unknown: bool = False


class Tables:
    """Answers for one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names = program.state.names
        self.all: tuple[Table, ...] = tuple(self._tables())
        names = frozenset(table.name for table in self.all)
        imported = (
            one
            for module in program.modules
            for stmt in walk(module.summary.functions[0].body)
            if isinstance(stmt, ir.Import)
            for one in stmt.names
        )
        self.words = names | {one.local for one in imported if one.name in names}
        self._by_attribute: dict[str, list[Table]] = {}
        self._by_variable: dict[tuple[int, str], Table] = {}
        for table in self.all:
            if isinstance(table.home, int):
                self._by_variable[table.home, table.name] = table
            else:
                self._by_attribute.setdefault(table.name, []).append(table)

    def functions(self) -> Iterator[FunctionId]:
        """Every function as it is written."""
        for module, found in enumerate(self.program.modules):
            for index in range(len(found.summary.functions)):
                yield FunctionId(module, index)

    # --- which there are

    def _tables(self) -> Iterator[Table]:
        made: dict[tuple[ClassId | int, str], _Made] = {}
        for function in self.functions():
            node = self.names.function(function)
            cls = self.program.class_of(function) if function.index else None
            for stmt in walk(node.body):
                if isinstance(stmt, ir.Bind):
                    for target in stmt.targets:
                        self._binds(made, function, cls, target, stmt.value)
        for module, found in enumerate(self.program.modules):
            for index, one in enumerate(found.summary.classes):
                for stmt in one.body:
                    if isinstance(stmt, ir.Bind):
                        for target in stmt.targets:
                            if isinstance(target, ir.Name):
                                self._note(made, (ClassId(module, index), target.id), FunctionId(module, one.parent), stmt.value)
        by_home: dict[tuple[ClassId | int, str], _Made] = {}
        for (owner, name), one_made in made.items():
            home = self._topmost(owner, name, made) if isinstance(owner, ClassId) else owner
            known = by_home.setdefault((home, name), _Made())
            known.new, known.unknown = known.new or one_made.new, known.unknown or one_made.unknown
        for (home, name), one_made in by_home.items():
            if one_made.new:
                label = name if isinstance(home, int) else f"{self.names.cls(home).name}.{name}"
                yield Table(home, name, label, not one_made.unknown)

    def _topmost(self, cls: ClassId, name: str, made: dict[tuple[ClassId | int, str], _Made]) -> ClassId:
        return next(c for c in reversed(self.names.lineage(cls)[0]) if (c, name) in made or c == cls)

    def _binds(
        self, made: dict[tuple[ClassId | int, str], _Made], function: FunctionId, cls: ClassId | None, target: ir.Expr, value: ir.Expr
    ) -> None:
        match target:
            case ir.Attribute(base=ir.Name(id="self" | "cls"), name=name) if cls is not None:
                self._note(made, (cls, name), function, value)
            case ir.Name(id=name) if function.index == 0:
                self._note(made, (function.module, name), function, value)
            case _:
                pass

    def _note(
        self, made: dict[tuple[ClassId | int, str], _Made], key: tuple[ClassId | int, str], function: FunctionId, value: ir.Expr
    ) -> None:
        found = made.setdefault(key, _Made())
        if self._is_new(function, value):
            found.new = True
        elif not (isinstance(value, ir.Constant) and value.kind == "none"):
            found.unknown = True

    def _is_new(self, function: FunctionId, value: ir.Expr) -> bool:
        """Whether an expression gives a new container without a bound, that keeps what it holds."""
        match value:
            case ir.Display(kind="list" | "set", items=()) | ir.Mapping(items=()) | ir.Comprehension(kind="list" | "set" | "dict"):
                return True
            case ir.Call(function=maker, arguments=arguments):
                for argument in arguments:
                    if argument.keyword == "default_factory" and (operation := self.maker(function, argument.value)) is not None:
                        return not operation.weak
                operation = self.maker(function, maker)
                return operation is not None and not operation.weak and not _is_bounded(operation, value)
            case _:
                return False

    def maker(self, function: FunctionId, maker: ir.Expr) -> Operation | None:
        """The operation that makes a container, by its name."""
        if isinstance(maker, ir.Name) and not self.names.binds(function.module, maker.id):
            dotted = maker.id
        else:
            found = self.names.resolve(function.module, maker)
            dotted = found.name if isinstance(found, Library) else ""
        operation = self.program.models.functions.get(self.program.models.aliases.get(dotted, dotted))
        return operation if operation is not None and operation.makes is Makes.CONTAINER else None

    # --- which an expression means

    def named(self, function: FunctionId, expression: ir.Expr) -> list[tuple[Table, bool]]:
        """The tables that an attribute or a module's variable may be, each with whether that is known."""
        match expression:
            case ir.Attribute(base=ir.Name(id="self" | "cls"), name=name) if (cls := self.program.class_of(function)) is not None:
                return [(t, True) for t in self._by_attribute.get(name, ()) if isinstance(t.home, ClassId) and self._related(cls, t.home)]
            case ir.Attribute(base=base, name=name) if name in self._by_attribute:
                classes = self._classes(function, base)
                tables = self._by_attribute[name]
                if classes:
                    return [(t, True) for t in tables if isinstance(t.home, ClassId) and any(self._related(c, t.home) for c in classes)]
                return [(t, False) for t in tables]
            case ir.Attribute(base=base, name=name):
                found = self.names.resolve(function.module, base)
                where = self.names.resolve_global(found.module, name) if isinstance(found, ModuleValue) else None
                return [(self._by_variable[where], True)] if where in self._by_variable and where is not None else []
            case ir.Name(id=name):
                where = self.names.resolve_global(function.module, name)
                return [(self._by_variable[where], True)] if where is not None and where in self._by_variable else []
            case _:
                return []

    def _classes(self, function: FunctionId, base: ir.Expr) -> set[ClassId]:
        """The project classes whose instances an expression may give; none when it may give anything else."""
        found: set[ClassId] = set()
        for version in self.program.versions(function):
            for obj in self.program.denoted(version, base):
                value = self.program.value(obj)
                if not isinstance(value, Instance | ClassValue):
                    return set()
                found.add(value.cls)
        return found

    def _related(self, one: ClassId, other: ClassId) -> bool:
        return other in self.names.lineage(one)[0] or one in self.names.lineage(other)[0]

    # --- under local names

    def parameters(self, function: FunctionId) -> dict[str, list[Table]]:
        """The parameters of a function that are given tables, as far as the flow knows."""
        return self._lent.get(function.source, {})

    @cached_property
    def _lent(self) -> dict[tuple[int, int], dict[str, list[Table]]]:
        program = self.program
        containers: dict[int, list[Table]] = {}
        keys = [(key, variable) for key, variable in program.state.solver.keyed().items() if isinstance(key, tuple)]
        for key, variable in keys:
            tables: Iterable[Table] = ()
            if key[0] == "attribute" and isinstance(owner := program.value(key[1]), Instance | ClassValue):
                found = self._by_attribute.get(str(key[2]), ())
                tables = [t for t in found if isinstance(t.home, ClassId) and self._related(owner.cls, t.home)]
            elif key[0] == "global" and (key[1], key[2]) in self._by_variable:
                tables = (self._by_variable[key[1], key[2]],)
            for table in tables:
                for obj in program.holds(variable):
                    if isinstance(program.value(obj), Container) and table not in containers.setdefault(obj, []):
                        containers[obj].append(table)
        result: dict[tuple[int, int], dict[str, list[Table]]] = {}
        for key, variable in keys:
            if key[0] == "local":
                for obj in program.holds(variable) & containers.keys():
                    known = result.setdefault((key[1], key[2]), {}).setdefault(str(key[4]), [])
                    known += [t for t in containers[obj] if t not in known]
        return result


def _is_bounded(operation: Operation, call: ir.Call) -> bool:
    """Whether the container is made with a bound (`deque(maxlen=8)`)."""
    arg = operation.capacity.arg if operation.capacity is not None else None
    if arg is None:
        return False
    given = [a.value for a in call.arguments if a.keyword == arg]
    positional = [a.value for a in call.arguments if a.keyword is None]
    position = operation.params.index(arg) if arg in operation.params else len(positional)
    given += positional[position : position + 1]
    return any(not (isinstance(one, ir.Constant) and one.kind == "none") for one in given)
