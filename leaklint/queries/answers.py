"""Whom a unit tells something: what it signals and sends to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from leaklint.catalog.grammar import Does
from leaklint.link.program import Program
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId, Method


@dataclass(eq=False)
class Handing:
    """The methods that the functions of a program hand to code out of sight."""

    program: Program
    _found: dict[FunctionId, frozenset[FunctionId]] = field(default_factory=dict)

    def by(self, function: FunctionId) -> frozenset[FunctionId]:
        found = self._found.get(function)
        if found is None:
            found = self._found[function] = frozenset(self._find(function))
        return found

    def _find(self, function: FunctionId) -> Iterator[FunctionId]:
        program = self.program
        for site in program.sites_in(function):
            if not program.state.callees.get(site):
                values = (program.value(o) for variable in program.arguments(site) for o in program.holds(variable))
                yield from (value.function for value in values if isinstance(value, Method))


@dataclass(eq=False)
class Answers:
    """What a unit signals or sends to, itself or through the methods that it hands to code out of sight."""

    handing: Handing
    unit: Unit

    @cached_property
    def objects(self) -> frozenset[int]:
        program = self.handing.program
        functions = program.reached(self.unit.entries)
        handed = {method for function in functions for method in self.handing.by(function)}
        actions = (a for function in functions | program.reached(handed) for a in program.actions_in(function))
        return frozenset(o for a in actions if a.does in (Does.SIGNAL, Does.SEND) for o in a.subjects)
