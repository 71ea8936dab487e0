"""Which containers of a function outlive it: these keep what is added to them, the others only hold it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from leaklint import ir
from leaklint.link.effects.kinds import KEEPS
from leaklint.link.effects.scopes import Scopes
from leaklint.link.effects.web import Value, Web
from leaklint.link.flow.containers import METHODS
from leaklint.link.values import ClassValue, ContainerMethod, FunctionId, Library, LibraryMethod

if TYPE_CHECKING:
    from leaklint.link.program import Program


class Containers:
    """`lasting`: the nodes of names whose containers others know as well: parameters, attributes under another name."""

    def __init__(self, program: Program, web: Web, scopes: Scopes) -> None:
        self.program = program
        self.web = web
        self.scopes = scopes
        self.lasting: set[int] = set()
        self._aliases: dict[int, list[int]] = {}
        """Name → the names bound to it or to something in it."""
        self._added: list[tuple[Value, int]] = []
        """(what is added, name of the container)."""

    def name(self, here: FunctionId, node: int, source: ir.Expr) -> None:
        """A name is bound to what an expression gives."""
        for root in self._roots(here, source):
            if root is None:
                self.lasting.add(node)
            else:
                self._aliases.setdefault(root, []).append(node)

    def add(self, here: FunctionId, value: Value, container: ir.Expr) -> None:
        """Something becomes an element: of a container with a local name, or of one that lasts."""
        for root in self._roots(here, container):
            if root is None:
                self.web.use(value, KEEPS)
            else:
                self.web.flow(value, root)
                self._added.append((value, root))

    def settle(self) -> None:
        """All names are bound: what was added to those that last is kept."""
        todo = list(self.lasting)
        while todo:
            for target in self._aliases.get(todo.pop(), ()):
                if target not in self.lasting:
                    self.lasting.add(target)
                    todo.append(target)
        for value, container in self._added:
            if container in self.lasting:
                self.web.use(value, KEEPS)

    def _roots(self, here: FunctionId, expression: ir.Expr) -> Iterator[int | None]:
        """The local names whose object, or an element of it, an expression may give; None for what outlives the function."""
        match expression:
            case ir.Name(id=name):
                yield self.scopes.variable(here, name)
            case ir.Attribute():
                yield None
            case ir.Subscript(base=base):
                yield from self._roots(here, base)
            case ir.Choice(then=then, otherwise=otherwise):
                yield from self._roots(here, then)
                yield from self._roots(here, otherwise)
            case ir.Operation(operator="and" | "or", operands=operands):
                for operand in operands:
                    yield from self._roots(here, operand)
            case ir.Walrus(value=value) | ir.Await(value=value):
                yield from self._roots(here, value)
            case ir.Call(function=function, site=site):
                called = {type(self.program.value(o)) for o in self.program.called(here.site(site))}
                if isinstance(function, ir.Attribute) and function.name in METHODS and called <= {ContainerMethod}:
                    yield from self._roots(here, function.base)
                elif not called or called - {Library, LibraryMethod, ClassValue}:
                    yield None
            case _:
                pass
