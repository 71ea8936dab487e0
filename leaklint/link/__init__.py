"""Summaries and models in, one program out: names resolved across files, calls of the shortest functions replaced by what these do, object
flow solved, calls turned into operations."""

from __future__ import annotations

from collections.abc import Sequence

from leaklint.catalog.grammar import Does, Models
from leaklint.ir import Module
from leaklint.link.actions import Action, actions
from leaklint.link.contexts import Contexts
from leaklint.link.flow.evidence import declared_instances, event_loops, given_back, unknown_receivers
from leaklint.link.flow.reader import Reader
from leaklint.link.flow.state import State
from leaklint.link.forwarders import forwarded
from leaklint.link.inlining import Through
from leaklint.link.names import Names
from leaklint.link.openness import decide
from leaklint.link.program import Program


def link(modules: Sequence[Module], models: Models) -> Program:
    """The program that the modules make together; their order decides nothing but numbers."""
    names, through = forwarded(modules, models)
    state = State(names, models, Contexts(names))
    reader = Reader(state)
    reader.start()
    _solve(state, reader)
    for supply in (given_back, unknown_receivers, declared_instances, event_loops):  # where the flow came to nothing
        supply(state)
        _solve(state, reader)
    state.solver.finish()
    found = tuple(actions(state))
    return Program(state, decide(state), found, _told(through, found, names))


def _told(through: Through, found: Sequence[Action], names: Names) -> Through:
    """With what is known of the operations: one that gets its caller a lock is no wait to be shown, but something that the caller has."""
    if not through:
        return through
    waits = {(names.modules[a.site.module].path, a.at) for a in found if a.waits is not None and a.does is not Does.ACQUIRE}
    return {place: operation._replace(waits=place in waits) for place, operation in through.items()}


def _solve(state: State, reader: Reader) -> None:
    """Until no function is left to read: what flows into one may want another."""
    while state.unread:
        reader.read()
        state.solver.solve()
    state.solver.solve()


__all__ = ["Program", "link"]
