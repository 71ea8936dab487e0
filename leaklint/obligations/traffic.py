"""What goes in and out of tables: each place that puts something into one, takes something out, goes through it or lends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.link.program import Program
from leaklint.link.syntax import bound_names, expressions, parts, scope_names, subexpressions, walk
from leaklint.link.values import FunctionId
from leaklint.obligations.tables import MAKERS, Act, Table, Tables, Use

_PUTS = {"append": 0, "appendleft": 0, "add": 0, "insert": 1, "setdefault": 1, "__setitem__": 1}
"""Method → position of what is put in; where that is 1, position 0 is its key or index."""
_POURS = frozenset({"extend", "extendleft", "update"})
_TAKES = frozenset({"remove", "discard", "__delitem__"})
_DRAINS = frozenset({"popleft", "popitem", "clear", "difference_update", "intersection_update", "symmetric_difference_update"})
_LOOKS_IN = frozenset({"get", "setdefault", "values", "items", "keys", "__getitem__", "copy"})

_Maker = Callable[..., Use]
_Names = dict[tuple[int, int], dict[str, list[tuple[Table, bool]]]]
"""Function → the tables behind its local names, each with whether the name is of something inside."""


def tables(program: Program) -> tuple[Table, ...]:
    """The tables of a program with their uses."""
    found = Tables(program)
    names: _Names = {}
    for function in found.functions():  # outer ones first
        for table, use in _Reading(found, function, names).uses():
            table.uses.append(use)
    return found.all


class _Reading:
    """The uses of tables in the body of one function."""

    def __init__(self, tables: Tables, function: FunctionId, local_names: _Names) -> None:
        self.tables = tables
        self.local_names = local_names
        self.program = tables.program
        self.function = function
        self.node = tables.names.function(function)
        self.local: dict[str, list[tuple[Table, bool]]] = {
            name: [(table, False) for table in found] for name, found in tables.parameters(function).items()
        }
        if self.node.parent:
            outer = local_names.get((function.module, self.node.parent), {})
            self.local = {name: found for name, found in outer.items() if name not in self.bound} | self.local if outer else self.local
        for parameter in self.node.parameters:
            if parameter.default is not None and (found := tables.named(function, parameter.default)):
                self.local[parameter.name] = [(table, False) for table, _ in found]

    def uses(self) -> Iterator[tuple[Table, Use]]:
        found: list[tuple[Table, Use]] = []
        for stmt in walk(self.node.body):
            for expression in expressions(stmt):
                for chain in _chains(expression) if self._names_one(expression) else ():
                    for table, sure, deep in self._meant(chain[-1]):
                        found += ((table, use) for use in self._uses(table, sure, deep, stmt, chain))
        self.local_names[self.function.source] = self.local
        yield from found

    @cached_property
    def bound(self) -> set[str]:
        """The names that the function binds itself."""
        found = {p.name for p in self.node.parameters}
        if self.function.index:
            summary = self.program.modules[self.function.module].summary
            found |= set(bound_names(self.node.body, summary)) - set(scope_names(self.node.body, "global", "nonlocal"))
        return found

    def _names_one(self, expression: ir.Expr) -> bool:
        """Whether a word in an expression is the name of some table: most hold none."""
        for part in subexpressions(expression):
            match part:
                case ir.Name(id=word) if word in self.local or word in self.tables.words:
                    return True
                case ir.Attribute(name=word) if word in self.tables.words:
                    return True
                case _:
                    pass
        return False

    def _meant(self, expression: ir.Expr) -> list[tuple[Table, bool, bool]]:
        """The tables that a name or attribute may stand for: whether that is known, whether it stands for something inside the table."""
        match expression:
            case ir.Name(id=name) if name in self.local:
                return [(table, True, deep) for table, deep in self.local[name]]
            case ir.Name(id=name) if name in self.bound:
                return []
            case ir.Name() | ir.Attribute():
                return [(table, sure, False) for table, sure in self.tables.named(self.function, expression)]
            case _:
                return []

    def _uses(self, table: Table, sure: bool, deep: bool, stmt: ir.Stmt, chain: tuple[ir.Expr, ...]) -> Iterator[Use]:
        """What becomes of a table, or of something in it, from the innermost expression (the last of `chain`) outwards."""
        here, key = chain[-1], None
        outer = list(chain[:-1])

        def use(
            act: Act, entry: ir.Expr | None = None, value: ir.Expr | None = None, at: ir.Span | None = None, handed: bool = False
        ) -> Use:
            return Use(act, self.function, stmt, entry, value, at or getattr(stmt, "at", None), deep, handed, sure)

        while outer:
            around = outer.pop()
            match around:
                case ir.Subscript(base=base, index=index) if base is here:
                    if outer or not _is_target(stmt, around):
                        deep, key = True, index
                    else:
                        yield from self._at_target(stmt, around, index, use)
                        return
                case ir.Attribute(base=base, name=name) if base is here:
                    call = outer[-1] if outer else None
                    if not isinstance(call, ir.Call) or call.function is not around:
                        if name in _TAKES | _DRAINS | {"pop"}:
                            yield use(Act.TAKE, key, handed=True)
                        elif name in _PUTS:
                            yield use(Act.PUT, key, handed=True)
                        return
                    outer.pop()
                    yield from self._method(call, name, deep, key, use)
                    if name not in _LOOKS_IN:
                        return
                    deep, around = True, call
                case ir.Call(function=function) if function is not here:
                    yield from self._given(around, here, use)
                    yield from self._visits_view(around, outer, stmt, use)
                    return
                case ir.Choice() | ir.Walrus() | ir.Await() | ir.Starred():
                    if isinstance(around, ir.Walrus):
                        self._alias(around.target, table, deep)
                case ir.Operation(operator="and" | "or"):
                    pass
                case ir.Yield() | ir.Display() | ir.Mapping():
                    if not deep:
                        yield use(Act.LEND)
                    return
                case ir.Comprehension(clauses=clauses):
                    for clause in clauses:
                        if clause.iterable is here:
                            self._alias_each(clause.target, table)
                            yield use(Act.VISIT, value=clause.target)
                    return
                case _:
                    return
            here = around
        yield from self._at_end(table, stmt, here, deep, use)

    def _method(self, call: ir.Call, name: str, deep: bool, key: ir.Expr | None, use: _Maker) -> Iterator[Use]:
        given = [a.value for a in call.arguments if a.keyword is None]
        if name in _PUTS and len(given) > _PUTS[name]:
            value = given[_PUTS[name]]
            yield use(Act.PUT, value if name in ("append", "appendleft", "add", "insert") else given[0], value, call.at)
        elif name in _POURS:
            yield use(Act.PUT, None, None, call.at)
        elif name in _TAKES or (name == "pop" and given and not isinstance(given[0], ir.Constant | ir.Operation)):
            yield use(Act.TAKE, given[0] if given else None, None, call.at)
        elif name in _DRAINS or name == "pop":
            yield use(Act.DRAIN, key, None, call.at)

    def _given(self, call: ir.Call, here: ir.Expr, use: _Maker) -> Iterator[Use]:
        """The table is an argument: of a function of the program, which is read too, of one that keeps nothing, or of another."""
        for version in self.program.versions(self.function) or [self.function]:
            site = version.site(call.site)
            if self.program.state.callees.get(site) or self.program.at(site) or self.program.is_inert(site):
                return
        operation = self.tables.maker(self.function, call.function)
        if operation is None and not self.program.models.inert & {_word(call.function)}:
            values = [a.value for a in call.arguments]
            rest = values[values.index(here) + 1 :] if here in values else []
            yield use(Act.LEND, value=rest[0] if rest else None, at=call.at)

    def _visits_view(self, call: ir.Call, outer: list[ir.Expr], stmt: ir.Stmt, use: _Maker) -> Iterator[Use]:
        """A call that the table is given to may give a copy or a view of it, which is gone through in its place: `list(table)`."""
        if not self._is_view(call):
            return
        match outer[-1] if outer else stmt:
            case ir.Call() as around:
                yield from self._visits_view(around, outer[:-1], stmt, use)
            case ir.Comprehension(clauses=clauses):
                yield from (use(Act.VISIT, value=clause.target) for clause in clauses if clause.iterable is call)
            case ir.For(target=target, iterable=iterable) if iterable is call:
                yield use(Act.VISIT, value=target)
            case _:
                pass

    def _is_view(self, call: ir.Call) -> bool:
        if self.tables.maker(self.function, call.function) is not None:
            return True
        sites = (version.site(call.site) for version in self.program.versions(self.function) or [self.function])
        return any(action.does in (Does.VIEW, Does.COPY) for site in sites for action in self.program.at(site))

    def _at_target(self, stmt: ir.Stmt, target: ir.Subscript, index: ir.Expr, use: _Maker) -> Iterator[Use]:
        match stmt:
            case ir.Delete():
                yield use(Act.DRAIN if isinstance(index, ir.Slice) else Act.TAKE, index)
            case ir.Bind(value=value):
                yield use(Act.DRAIN) if isinstance(index, ir.Slice) else use(Act.PUT, index, value)
            case ir.Augment(value=value):
                pass
            case _:
                yield use(Act.DRAIN)

    def _at_end(self, table: Table, stmt: ir.Stmt, here: ir.Expr, deep: bool, use: _Maker) -> Iterator[Use]:
        match stmt:
            case ir.Bind(targets=targets) if not any(here is t or _inside(t, here) for t in targets):
                for target in targets:
                    match target:
                        case ir.Name():
                            self._alias(target, table, deep)
                        case ir.Attribute(name=name) if not deep and name != table.name:
                            yield use(Act.LEND)
                        case _:
                            pass
            case ir.Bind() if not deep and (isinstance(here, ir.Attribute) or (isinstance(here, ir.Name) and here.id not in self.bound)):
                if self.node.name not in MAKERS and self.function.index != 0:
                    yield use(Act.DRAIN)
            case ir.Augment(target=target, operator=operator, value=value) if target is here:
                yield use(Act.PUT, None, value) if operator in ("+", "|") else use(Act.DRAIN)
            case ir.Delete() if not deep:
                yield use(Act.DRAIN)
            case ir.Return() if not deep:
                yield use(Act.LEND)
            case ir.For(target=target, iterable=iterable) if iterable is here:
                self._alias_each(target, table)
                yield use(Act.VISIT, value=target)
            case _:
                pass

    def _alias(self, target: ir.Expr, table: Table, deep: bool) -> None:
        if isinstance(target, ir.Name):
            known = self.local.setdefault(target.id, [])
            if all(one is not table for one, _ in known):
                known.append((table, deep))

    def _alias_each(self, target: ir.Expr, table: Table) -> None:
        """Each element may be a container in its turn."""
        match target:
            case ir.Name():
                self._alias(target, table, True)
            case ir.Display(items=items):
                for item in items:
                    self._alias(item, table, True)
            case _:
                pass


def _chains(expression: ir.Expr) -> Iterator[tuple[ir.Expr, ...]]:
    """Each name and attribute in an expression, with all that is around it, the outermost first."""
    todo: list[tuple[ir.Expr, ...]] = [(expression,)]
    while todo:
        chain = todo.pop()
        if isinstance(chain[-1], ir.Name | ir.Attribute):
            yield chain
        todo.extend((*chain, part) for part in reversed(parts(chain[-1])))


def _is_target(stmt: ir.Stmt, expression: ir.Expr) -> bool:
    match stmt:
        case ir.Bind(targets=targets) | ir.Delete(targets=targets):
            return any(expression is target for target in targets)
        case ir.Augment(target=target):
            return expression is target
        case _:
            return False


def _inside(target: ir.Expr, expression: ir.Expr) -> bool:
    return isinstance(target, ir.Display) and any(item is expression for item in target.items)


def _word(expression: ir.Expr) -> str:
    match expression:
        case ir.Name(id=name) | ir.Attribute(name=name):
            return name
        case _:
            return ""
