"""Summaries and models in, one program out: names resolved across files, object flow solved, calls turned into operations."""

from __future__ import annotations

from collections.abc import Sequence

from leaklint.catalog.grammar import Models
from leaklint.ir import Module
from leaklint.link.actions import actions
from leaklint.link.bodies import constrain
from leaklint.link.names import Names
from leaklint.link.openness import decide
from leaklint.link.program import Program
from leaklint.link.state import State


def link(modules: Sequence[Module], models: Models) -> Program:
    """The program that the modules make together; their order decides nothing but numbers."""
    state = State(Names(modules, models), models)
    for module in range(len(modules)):
        constrain(state, module)
    state.solver.solve()
    for held, result, given in state.decorated:
        if not state.solver.points[result]:  # a decorator out of sight: taken to give what it gets
            state.solver.copy(held, given)
    state.solver.solve()
    return Program(state, decide(state), tuple(actions(state)))


__all__ = ["Program", "link"]
