"""Summaries and models in, one program out: names resolved across files, object flow solved, calls turned into operations."""

from __future__ import annotations

from collections.abc import Sequence

from leaklint.catalog.grammar import Models
from leaklint.ir import Module
from leaklint.link.actions import actions
from leaklint.link.contexts import Contexts
from leaklint.link.flow.evidence import declared_instances, event_loops, given_back, unknown_receivers
from leaklint.link.flow.reader import Reader
from leaklint.link.flow.state import State
from leaklint.link.names import Names
from leaklint.link.openness import decide
from leaklint.link.program import Program


def link(modules: Sequence[Module], models: Models) -> Program:
    """The program that the modules make together; their order decides nothing but numbers."""
    names = Names(modules, models)
    state = State(names, models, Contexts(names))
    reader = Reader(state)
    reader.start()
    _solve(state, reader)
    for supply in (given_back, unknown_receivers, declared_instances, event_loops):  # where the flow came to nothing
        supply(state)
        _solve(state, reader)
    state.solver.finish()
    return Program(state, decide(state), tuple(actions(state)))


def _solve(state: State, reader: Reader) -> None:
    """Until no function is left to read: what flows into one may want another."""
    while state.unread:
        reader.read()
        state.solver.solve()
    state.solver.solve()


__all__ = ["Program", "link"]
