"""Which classes the object of a method may have, along a chain of calls: a method of a base class, called on an object of one subclass,
calls the methods of that class and not those of its sisters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Literal

from leaklint import ir
from leaklint.exits.inline import Inline
from leaklint.graph import Graph
from leaklint.link.syntax import subexpressions
from leaklint.link.values import ClassId, FunctionId, Instance
from leaklint.paths import Node

Selves = frozenset[ClassId] | None
"""The classes of the objects that a method may run on here; None where nothing is known, or the function is no method."""


class Dispatch:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def at_start(self, function: FunctionId, objects: frozenset[int] = frozenset()) -> Selves:
        """The classes on which a chain of calls may begin; `objects`, where there are any, are what the method is bound to."""
        program = self.graph.program
        own = program.value(function.context)
        if isinstance(own, Instance) and self._is_method_of(function, own.cls):
            return frozenset({own.cls})
        bound = frozenset(v.cls for o in objects if isinstance(v := program.value(o), Instance) and self._is_method_of(function, v.cls))
        return bound or self._users.get(function.source)

    def callees(self, inline: Inline, function: FunctionId, selves: Selves, node: Node) -> Iterator[tuple[FunctionId, Selves]]:
        """The functions that may run at a node of a function on an object of these classes, each with the classes of its own object."""
        for number, callees in inline.by_site(function, node):
            for callee in sorted(callees):
                classes = self.onward(function, selves, node, number, callee)
                if classes is None or classes:
                    yield callee, classes

    def onward(self, function: FunctionId, selves: Selves, node: Node, number: int, callee: FunctionId) -> Selves:
        """The classes for a callee that runs at a site of the function; empty when the call cannot come to it on these."""
        start = self.at_start(callee)
        if selves is None or start is None:
            return start
        match self._called_on(function, node, number):
            case "self":
                return frozenset(cls for cls in selves if self._comes_to(cls, callee))
            case "super":
                return selves & start
            case _:
                return start

    def _comes_to(self, cls: ClassId, callee: FunctionId) -> bool:
        """Whether the name of a method, on an object of the class, means this one."""
        program = self.graph.program
        found = program.state.names.method(cls, program.node(callee).name)
        return found is not None and found.source == callee.source

    def _is_method_of(self, function: FunctionId, cls: ClassId) -> bool:
        names = self.graph.program.state.names
        name = self.graph.program.node(function).name
        return any((own := names.members(one).get(name)) is not None and own.source == function.source for one in names.lineage(cls)[0])

    @cached_property
    def _users(self) -> dict[tuple[int, int], frozenset[ClassId]]:
        """Method → the classes whose objects have it, as their own or inherited."""
        names = self.graph.program.state.names
        found: dict[tuple[int, int], set[ClassId]] = {}
        for module, one in enumerate(self.graph.program.modules):
            for index in range(len(one.summary.classes)):
                cls = ClassId(module, index)
                for line in names.lineage(cls)[0]:
                    for method in names.members(line).values():
                        if method is not None:
                            found.setdefault(method.source, set()).add(cls)
        return {source: frozenset(classes) for source, classes in found.items()}

    def _called_on(self, function: FunctionId, node: Node, number: int) -> Literal["self", "super"] | None:
        """Whether a call is one of a method on the function's own object."""
        parameters = self.graph.program.node(function).parameters
        for part in (p for one in node.parts for p in subexpressions(one)):
            match part:
                case ir.Call(function=ir.Attribute(base=ir.Name(id=name)), site=site) if site == number and parameters:
                    return "self" if name == parameters[0].name else None
                case ir.Call(function=ir.Attribute(base=ir.Call(function=ir.Name(id="super"))), site=site) if site == number:
                    return "super"
                case _:
                    pass
        return None
