"""The values of local names while a function runs: flags and counts that its own tests look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from leaklint import ir
from leaklint.explore.reading import LOWEST
from leaklint.explore.turns import MOST_TURNS
from leaklint.explore.variables import assigned
from leaklint.link.syntax import bound_names, in_order, subexpressions, target_names, walk
from leaklint.paths import Node

if TYPE_CHECKING:
    from leaklint.explore.frame import Frame, Here

Values = tuple[tuple[str, int], ...]
"""Local name → its value, as flags have it."""


@dataclass(eq=False)
class Locals:
    """Of one run of a function."""

    frame: Frame

    @cached_property
    def bound(self) -> frozenset[str]:
        """The names that the function binds, its parameters left out."""
        program, function = self.frame.setting.graph.program, self.frame.function
        return frozenset(bound_names(program.node(function).body, program.modules[function.module].summary))

    @cached_property
    def _watched(self) -> frozenset[str]:
        """The names that tests of the function look at, and that no other function binds."""
        program, function = self.frame.setting.graph.program, self.frame.function
        functions = program.modules[function.module].summary.functions
        if not self.frame.setting.has_values:
            return frozenset()
        tested: set[str] = set()
        for stmt in walk(functions[function.index].body):
            if isinstance(stmt, ir.Branch | ir.While):
                tested |= {p.id for p in subexpressions(stmt.test) if isinstance(p, ir.Name)}
        shared = {name for one in functions for stmt in walk(one.body) if isinstance(stmt, ir.Scope) for name in stmt.names}
        return frozenset(tested & self.bound - shared)

    def after(self, node: Node, here: Here) -> Values:
        """The values when the node has done what it does."""
        if not self._watched:
            return ()
        values = dict(here.values)
        for part in node.parts:
            for one in in_order(part):
                if isinstance(one, ir.Walrus):
                    self._set(values, one.target, one.value, here)
        match node.stmt:
            case ir.Bind(targets=targets, value=value) if node.kind == "stmt":
                for target, given in assigned(targets, value):
                    self._set(values, target, given, here)
            case ir.Augment(target=ir.Name() as target, operator=operator, value=value) if node.kind == "stmt":
                if target.id in self._watched:
                    self.frame.setting.turns.must_be_exact()
                self._set(values, target, ir.Operation(operator, (target, value)), here)
            case ir.For(target=target) if node.kind == "step":
                self._set(values, target, None, here)
            case ir.With(items=items) if node.kind == "enter":
                for item in items:
                    self._set(values, item.target or item.context, None, here)
            case ir.Delete(targets=targets):
                for target in targets:
                    self._set(values, target, None, here)
            case ir.Try(handlers=handlers):
                for handler in handlers:
                    values.pop(handler.name or "", None)
            case _:
                pass
        return tuple(sorted(values.items()))

    def _set(self, values: dict[str, int], target: ir.Expr, given: ir.Expr | None, here: Here) -> None:
        value = self.frame.value(given, here) if given is not None and isinstance(target, ir.Name) else None
        for name in target_names(target):
            if name in self._watched and value is not None and (value < LOWEST or abs(value) <= MOST_TURNS):
                values[name] = value
            else:
                values.pop(name, None)
