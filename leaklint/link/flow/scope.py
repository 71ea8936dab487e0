"""Which variable of the flow a name stands for at a place: what it was given last, where that is plain, else all that it ever holds."""

from __future__ import annotations

from collections.abc import Iterable

from leaklint import ir
from leaklint.link.flow import fields
from leaklint.link.flow.state import State
from leaklint.link.syntax import bound_names, scope_names
from leaklint.link.values import (
    NO_CONTEXT,
    ClassId,
    FunctionId,
    Library,
)


class Scope:
    """The names of the functions of one module. `here` is the function whose body is being read, `cls` the class whose body is."""

    def __init__(self, state: State, module: int) -> None:
        self.state = state
        self.module = module
        self.summary = state.names.modules[module].summary
        self.here = FunctionId(module, 0)
        self.cls: ClassId | None = None
        self._bound: dict[int, frozenset[str]] = {}
        self._reads: dict[tuple[int, str], int] = {}
        self._attributes: dict[tuple[int, str], int] = {}
        self._displays = 0
        self._decorating = NO_CONTEXT
        self._spelled: dict[str, tuple[str, ...]] = {}
        """Loop variable → the strings that it goes through, where they stand in the loop."""
        self._versions: dict[str, int] = {}
        self._assigned: set[str] = set()
        self._rebound = frozenset(n for f in self.summary.functions for n in scope_names(f.body, "global", "nonlocal"))

    def _locals(self, index: int) -> frozenset[str]:
        found = self._bound.get(index)
        if found is None:
            function = self.summary.functions[index]
            outer = set(scope_names(function.body, "global", "nonlocal"))
            names = {p.name for p in function.parameters} | set(bound_names(function.body, self.summary))
            found = self._bound[index] = frozenset(names - outer)
        return found

    def _variable(self, name: str) -> int:
        """The variable that a name means here."""
        state = self.state
        if self.cls is not None and name in state.names.members(self.cls):
            return state.attribute(state.class_value(self.cls), name)
        if (index := self._holder(name)) is not None:
            return state.local(self.here.inner(index), name)
        key = (self.module, name)
        found = self._reads.get(key)
        if found is None:
            found = self._reads[key] = self._global(name)
        return found

    def _read(self, name: str) -> int:
        """What the name holds at this place: what it was given last, where that is plain, else all that it is ever given."""
        version = self._versions.get(name)
        return version if version is not None else self._variable(name)

    def _bind(self, name: str, held: int) -> None:
        """The name holds something else from here on; nested functions and loops see all that it ever holds."""
        variable = self._variable(name)
        self.state.solver.copy(held, variable)
        if self.cls is None and name not in self._rebound and (self.here.index == 0 or name in self._locals(self.here.index)):
            self._versions[name] = held
            self._assigned.add(name)

    def _global(self, name: str) -> int:
        state = self.state
        if state.names.binds(self.module, name):
            return state.global_(self.module, name)
        found = state.solver.variable(("read", self.module, name))
        if not fields.copy_global(state, self.module, name, found):
            state.solver.allocate(found, Library(name))
        return found

    def _drop(self, names: Iterable[str]) -> None:
        for name in names:
            self._versions.pop(name, None)

    def _forget(self, body: tuple[ir.Stmt, ...]) -> None:
        """A loop: what its body gives to names may be there at the next turn."""
        self._drop(bound_names(body, self.summary))

    def _holder(self, name: str) -> int | None:
        """The function, here or around, whose local the name is; None for a global."""
        index: int | None = self.here.index
        while index and name not in self._locals(index):
            index = self.summary.functions[index].parent
        return index or None
