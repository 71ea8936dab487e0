"""Reads what the program wants: each function once for each context."""

from __future__ import annotations

from leaklint import ir
from leaklint.link.decorators import Binding, binding
from leaklint.link.flow.bodies import Bodies
from leaklint.link.flow.state import State
from leaklint.link.syntax import outermost
from leaklint.link.values import (
    ClassId,
    FunctionId,
)


class Reader:
    """Turns the functions that the program wants into constraints."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._bodies: dict[int, Bodies] = {}
        self._inner: dict[int, dict[int, list[int]]] = {}

    def start(self) -> None:
        """Everything is part of the program, whoever runs it; not methods of objects that are all told apart, nor such factories."""
        for module, node in enumerate(self.state.names.modules):
            for index, function in enumerate(node.summary.functions):
                if not function.parent and not self._is_whole(module, index, function):
                    self.state.want(FunctionId(module, index))

    def _is_whole(self, module: int, index: int, function: ir.Function) -> bool:
        contexts = self.state.contexts
        if function.owner is None:
            return contexts.are_calls_told_apart((module, index)) and (function.name.startswith("_") or module in contexts.closed)
        if binding(function) in (Binding.STATIC, Binding.CLASS):
            return False
        cls = ClassId(module, function.owner)
        return contexts.is_whole(cls) and not self.state.names.below(cls)

    def read(self) -> None:
        """Constrain what is wanted and not read yet."""
        while self.state.unread:
            outer = self.state.unread.pop()
            bodies = self._bodies.get(outer.module)
            if bodies is None:
                bodies = self._bodies[outer.module] = Bodies(self.state, outer.module)
                self._inner[outer.module] = _nests(bodies.summary.functions)
            for index in self._inner[outer.module][outer.index]:
                function = outer.inner(index)
                self.state.functions[function] = None
                bodies.function(function)


def _nests(functions: tuple[ir.Function, ...]) -> dict[int, list[int]]:
    """Function of the module or of a class → itself and the functions inside it."""
    found: dict[int, list[int]] = {}
    for index in range(len(functions)):
        found.setdefault(outermost(functions, index), []).append(index)
    return found
