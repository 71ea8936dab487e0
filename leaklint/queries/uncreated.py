"""LK109: a channel that is declared and used, and that nothing makes, or that is made only after a unit has begun to use it."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.finding import Leak
from leaklint.graph import Graph
from leaklint.queries.overtaken import made_late
from leaklint.queries.query import NoOptions
from leaklint.queries.unassigned import never_made


def uncreated(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    yield from never_made(graph)
    yield from made_late(graph)
