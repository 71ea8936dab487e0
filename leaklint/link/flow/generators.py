"""Generators that are driven by hand: `send`, `asend` and `__next__` as calls."""

from __future__ import annotations

from leaklint.link.flow.state import CallRecord, State
from leaklint.link.values import Generator, Pending

METHODS = frozenset({"send", "asend", "__next__"})


def call(state: State, record: CallRecord, generator: int, name: str) -> None:
    """`generator.send(value)`: the value is what the `yield` gives inside; what is yielded next comes back, awaited in an async one."""
    solver, value = state.solver, state.solver.objects[generator]
    if not isinstance(value, Generator):
        return
    function = value.function
    state.awaits.setdefault(generator, set()).add(record.function)
    state.callees.setdefault(record.site, set()).add(function)
    if name != "__next__" and record.actuals:
        solver.copy(record.actuals[0].variable, state.sent(function))
    target = record.result
    if state.names.function(function).is_async:
        target = state.outcome(solver.allocate(target, Pending(record.site)))
    solver.copy(state.yields(function), target)
