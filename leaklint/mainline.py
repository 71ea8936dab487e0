"""The main lines of processes: functions whose end is the end of their process, and the parts of them that are run once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import UnitKind
from leaklint.link.closed import main_function
from leaklint.link.commands import is_command
from leaklint.link.program import Program
from leaklint.link.reasons import Why
from leaklint.link.values import FunctionId


class MainLines:
    """Answers for one program. `calls_once(caller, callee)`: whether one calls the other at one place, in no loop."""

    def __init__(self, program: Program, calls_once: Callable[[FunctionId, FunctionId], bool]) -> None:
        self.program = program
        self.calls_once = calls_once
        self._known: dict[FunctionId, bool] = {}

    def has(self, function: FunctionId) -> bool:
        """Whether the function is the main line of a process or a part of it that is run at most once: what it leaves behind lives no
        longer than the process, and there is no second one."""
        if function not in self._known:
            self._known[function] = False  # a part of itself is run again and again
            self._known[function] = self.begins(function) or self._is_part(function)
        return self._known[function]

    def begins(self, function: FunctionId) -> bool:
        """Whether a process begins with the function: a module body, a `main`, a command, what a process of its own is started for."""
        names, units = self.program.state.names, self.program.entered_by.get(function, ())
        if function.index == 0 or function.source in self._mains:
            return True
        if units:
            return all(unit.kind is UnitKind.PROCESS for unit in units)
        return is_command(names, function)

    @cached_property
    def _mains(self) -> frozenset[tuple[int, int]]:
        found = ((index, main_function(module)) for index, module in enumerate(self.program.modules) if module.summary.functions)
        return frozenset((module, main) for module, main in found if main is not None)

    def _is_part(self, function: FunctionId) -> bool:
        program = self.program
        callers = program.callers.get(function, frozenset())
        if not callers or function in program.entered_by or not self._is_for_the_program(function, callers):
            return False
        if len(program.versions(function)) > 1:
            return False  # on several objects, for each of which it is run
        return len(callers) == 1 and all(self.has(caller) and self.calls_once(caller, function) for caller in callers)

    def _is_for_the_program(self, function: FunctionId, callers: frozenset[FunctionId]) -> bool:
        """Whether nobody but the callers in sight is to call it: it is open, if at all, for its name alone, and stands in the file of a
        program, or the body of its module calls it and lets go of what it gives."""
        reason = self.program.openness.callable.get(function)
        if reason is None:
            return True
        if reason.why is not Why.PUBLIC or self.program.node(function).owner is not None:
            return False
        summary = self.program.modules[function.module].summary
        starts = summary.starts_program or (function.module, main_function(self.program.modules[function.module])) in self._mains
        return starts or all(caller.index == 0 and self._is_just_run(caller, function) for caller in callers)

    def _is_just_run(self, caller: FunctionId, function: FunctionId) -> bool:
        for site in self.program.sites_in(caller):
            if function in self.program.state.callees.get(site, ()):
                place = self.program.place(caller, site.number)
                if place is None or not isinstance(place.stmt, ir.Evaluate):
                    return False
        return True
