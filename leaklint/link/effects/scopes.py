"""The names of a function and of those inside it, as nodes of the web of effects."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.link.effects.kinds import ALL
from leaklint.link.effects.web import Web
from leaklint.link.syntax import blocks, bound_by, expressions, subexpressions, walk
from leaklint.link.values import FunctionId


class Scopes:
    """`members`: the outermost function, then those inside it; `captured`: function → the nodes of outer names that it, or one inside it,
    uses; `parameters`: the nodes of all parameters; `turn`: the names of the loops that are being walked → their nodes in these loops."""

    def __init__(self, web: Web, summary: ir.Summary, root: FunctionId, nested: dict[int, list[int]]) -> None:
        self.web = web
        self.summary = summary
        self.root = root
        self.members = [root]
        for one in self.members:
            if one.index:
                self.members += (root.inner(index) for index in nested.get(one.index, ()))
        self.parameters = {web.variable(one, p.name) for one in self.members for p in self.node(one).parameters}
        self.turn: dict[str, int] = {}
        self.captured: dict[FunctionId, set[int]] = {}
        self._locals: dict[int, set[str]] = {}

    def node(self, function: FunctionId) -> ir.Function:
        return self.summary.functions[function.index]

    def used(self) -> Iterator[FunctionId]:
        """The members that somebody may call: not the nested ones that nobody names."""
        yield self.root
        names = self._read() if len(self.members) > 1 else frozenset()
        for one in self.members[1:]:
            node = self.node(one)
            if node.kind == "lambda" or node.owner is not None or node.decorators or node.name in names:
                yield one

    def _read(self) -> frozenset[str]:
        return frozenset(
            part.id
            for one in self.members
            for stmt in walk(self.node(one).body)
            for expression in expressions(stmt)
            for part in subexpressions(expression)
            if isinstance(part, ir.Name)
        )

    def variable(self, here: FunctionId, name: str) -> int | None:
        """The node of a name in a function; None for a global."""
        if name in self.turn:
            return self.turn[name]
        index = here.index
        passed: list[FunctionId] = []
        while index:
            if name in self._bound(index):
                found = self.web.variable(here.inner(index), name)
                for one in passed:
                    self.captured.setdefault(one, set()).add(found)
                return found
            passed.append(here.inner(index))
            index = self.summary.functions[index].parent or 0
        return None

    def bind(self, here: FunctionId, names: Iterator[str]) -> None:
        """Names that an expression binds, where it is reached."""
        if here.index:
            self._bound(here.index).update(names)

    def begin_turn(self, here: FunctionId, names: Iterator[str], site: int) -> None:
        """The names of a loop stand for other objects than in the next loop; what is done to them after it is done to all of these."""
        for name in names:
            if here.index and name in self._bound(here.index):
                node = self.web.turn(here, name, site)
                self.web.draw(node, self.web.variable(here, name), ALL)
                self.turn = {**self.turn, name: node}

    def _bound(self, index: int) -> set[str]:
        found = self._locals.get(index)
        if found is None:
            node = self.summary.functions[index]
            found = self._locals[index] = {p.name for p in node.parameters}
            outer: set[str] = set()
            todo = list(node.body)
            while todo:
                stmt = todo.pop()
                for block in blocks(stmt):
                    todo += block
                if isinstance(stmt, ir.Scope):
                    outer.update(stmt.names)
                else:
                    found.update(bound_by(stmt, self.summary))
            found -= outer
        return found
