"""LK703: an entry in a long-lived table that some path, or nobody at all, takes out again."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.finding import Leak
from leaklint.graph import Graph
from leaklint.obligations.counterparts import counterparts
from leaklint.obligations.traffic import tables as tables_of
from leaklint.queries.entries import forgotten
from leaklint.queries.late import late
from leaklint.queries.listeners import unheard
from leaklint.queries.piling import piling
from leaklint.queries.query import NoOptions


def registered(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """Every registration that is not undone, by how it is forgotten."""
    tables = tables_of(graph.program)
    yield from forgotten(graph, (*tables, *counterparts(graph.program)))
    yield from piling(graph, tables)
    yield from unheard(graph, tables)
    yield from late(graph)
