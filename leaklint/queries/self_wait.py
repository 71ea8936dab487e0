"""LK306: waits for what only the one who waits could bring about."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.finding import Leak
from leaklint.graph import Graph
from leaklint.queries.own_loop import own_loop
from leaklint.queries.own_pool import own_pool
from leaklint.queries.own_unit import own_unit
from leaklint.queries.query import NoOptions


def self_wait(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A unit that waits for itself, a job for a job of its own pool, a coroutine that blocks the loop it needs. A wait is told of once."""
    told = set()
    for leak in (*own_unit(graph), *own_pool(graph), *own_loop(graph)):
        if (leak.path, leak.at) not in told:
            told.add((leak.path, leak.at))
            yield leak
