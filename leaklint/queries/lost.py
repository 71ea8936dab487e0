"""LK505: wake-ups that nobody hears."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.finding import Leak
from leaklint.graph import Graph
from leaklint.locks.quiet import Quiet
from leaklint.locks.signals import Signals
from leaklint.queries.erased import erased
from leaklint.queries.query import NoOptions
from leaklint.queries.unpassed import unpassed
from leaklint.queries.unpredicated import unpredicated


def lost(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A notify before the wait that nothing remembers; a signal that a `clear()` erases; a wake-up that a cancelled waiter keeps."""
    signals = Signals(graph)
    quiet = Quiet(graph, signals.shared)
    yield from unpredicated(graph, signals, quiet)
    yield from erased(graph, signals, quiet)
    yield from unpassed(graph)
