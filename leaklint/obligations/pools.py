"""Pools written in the program: methods that lend a spare object of their own, and those that take it back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.link.program import Program
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.values import ClassId, Coroutine, FunctionId, Instance, Pending, Resource

_TAKES = frozenset({"pop", "popleft", "get", "get_nowait"})
_PUTS = frozenset({"append", "appendleft", "add", "insert", "put", "put_nowait"})
_OBJECTS = Instance | Resource | Coroutine | Pending
_ROUND = 3
"""Callers of callers of a method that lends, among whom those that hand on what it lends are looked for."""


@dataclass(frozen=True, slots=True)
class _Shelf:
    """A container in an attribute of a class, as one method uses it. `made`: whether the method puts something there, or hands something
    out in its place, that it has made."""

    cls: ClassId
    attribute: str
    made: bool


class Pools:
    """Answers for one program.

    A method lends when it returns what it takes out of a container in an attribute, and makes one where none is left, or the class fills
    the container beforehand. A method of the class that puts a parameter into that container takes back. A class into which some put what
    others get out is a channel, and no pool."""

    def __init__(self, program: Program) -> None:
        self.program = program
        lends: list[tuple[FunctionId, _Shelf]] = []
        takes: list[tuple[FunctionId, _Shelf]] = []
        filled: list[_Shelf] = []
        for function in sorted(program.live):
            cls, node = program.class_of(function), program.node(function)
            if cls is None or node.owner is None:
                continue
            lends += ((function, _Shelf(cls, name, self._makes(function, made))) for name, made in _lent(node))
            for name, value in _puts(node):
                if isinstance(value, ir.Name) and any(p.name == value.id for p in node.parameters):
                    takes.append((function, _Shelf(cls, name, False)))
                elif _is_made(node, value) and _is_in_loop(node, value):
                    filled.append(_Shelf(cls, name, True))
        self._lenders: dict[tuple[int, int], frozenset[FunctionId]] = {}
        for lender, shelf in lends:
            if shelf.made or any(self._is_same(shelf, one) for one in filled):
                takers = {taker for taker, one in takes if taker.source != lender.source and self._is_same(shelf, one)}
                if takers:
                    self._lenders[lender.source] = self._lenders.get(lender.source, frozenset()) | takers
        self.around = self._around(lender for lender, _ in lends if lender.source in self._lenders)
        """The methods that lend, and the functions near them that may hand on what they lend."""

    def _makes(self, function: FunctionId, calls: list[int]) -> bool:
        """Whether one of these calls of a function makes an object: not if it goes to functions of the program that give none."""
        program = self.program
        for number in calls:
            callees = program.state.callees.get(function.site(number), set())
            given = (program.value(o) for callee in callees for o in program.holds(program.state.result(callee)))
            if not callees or any(program.node(c).name == "__init__" for c in callees) or any(isinstance(v, _OBJECTS) for v in given):
                return True
        return False

    def takers(self, lenders: set[FunctionId]) -> frozenset[FunctionId]:
        """The methods that take back what any of these functions may lend; none unless each of them lends."""
        real = [f for f in lenders if not is_abstract(self.program.node(f))]
        if not all(f.source in self._lenders for f in real):
            return frozenset()
        return frozenset(taker for f in real for taker in self._lenders[f.source])

    def _around(self, lenders: Iterator[FunctionId]) -> frozenset[FunctionId]:
        near = set(lenders)
        found = set(near)
        for _ in range(_ROUND):
            near = {caller for function in near for caller in self.program.callers.get(function, ())} - found
            found |= near
        return frozenset(found)

    def _is_same(self, one: _Shelf, other: _Shelf) -> bool:
        lineage = self.program.state.names.lineage
        return one.attribute == other.attribute and (one.cls in lineage(other.cls)[0] or other.cls in lineage(one.cls)[0])


def _lent(node: ir.Function) -> Iterator[tuple[str, list[int]]]:
    """The attributes out of which the method takes what it returns, each with the calls whose results it returns instead."""
    bound: dict[str, list[ir.Expr]] = {}
    returned: list[ir.Expr] = []
    for stmt in walk(node.body):
        match stmt:
            case ir.Bind(targets=(ir.Name(id=name),), value=value):
                bound.setdefault(name, []).append(value)
            case ir.Return(value=value) if value is not None:
                returned.append(value)
            case _:
                pass
    sources = [bound.get(value.id, []) if isinstance(value, ir.Name) else [value] for value in returned]
    for values in sources:
        taken = {name for value in values for name in _taken(value)}
        made = [call.site for value in values if isinstance(call := _bare(value), ir.Call) and not list(_taken(value))]
        for name in sorted(taken):
            yield name, made


def _taken(expression: ir.Expr) -> Iterator[str]:
    """The attributes whose containers an expression takes an element out of."""
    for one in subexpressions(expression):
        match one:
            case ir.Call(function=ir.Attribute(base=ir.Attribute(base=ir.Name("self"), name=name), name=method)):
                if method in _TAKES and not _has_key(one):
                    yield name
            case _:
                pass


def _has_key(call: ir.Call) -> bool:
    """Whether it takes what is under a key out of a dict: it is given more than an index or a flag."""
    return any(a.keyword is None and not isinstance(a.value, ir.Constant | ir.Operation) for a in call.arguments)


def _puts(node: ir.Function) -> Iterator[tuple[str, ir.Expr]]:
    """What the method puts into containers in attributes: the attribute's name, and the value."""
    for stmt in walk(node.body):
        for expression in expressions(stmt):
            for one in subexpressions(expression):
                match one:
                    case ir.Call(
                        function=ir.Attribute(base=ir.Attribute(base=ir.Name(id="self"), name=name), name=method), arguments=given
                    ):
                        if method in _PUTS and given:
                            yield name, given[-1 if method == "insert" else 0].value
                    case _:
                        pass


def _is_made(node: ir.Function, value: ir.Expr) -> bool:
    """Whether a call in the method gives the value, or a name for it."""
    if isinstance(value, ir.Name):
        binds = (s.value for s in walk(node.body) if isinstance(s, ir.Bind) and value in s.targets)
        return any(isinstance(_bare(one), ir.Call) for one in binds)
    return isinstance(_bare(value), ir.Call)


def _is_in_loop(node: ir.Function, value: ir.Expr) -> bool:
    loops = (stmt for stmt in walk(node.body) if isinstance(stmt, ir.For | ir.While))
    return any(one is value for loop in loops for stmt in walk(loop.body) for e in expressions(stmt) for one in subexpressions(e))


def _bare(value: ir.Expr) -> ir.Expr:
    return value.value if isinstance(value, ir.Await) else value


def is_abstract(node: ir.Function) -> bool:
    """Whether a function only says what others are like: a method that subclasses write, a signature for type checkers."""
    return all(isinstance(s, ir.Raise) or (isinstance(s, ir.Evaluate) and isinstance(s.value, ir.Constant)) for s in node.body)
