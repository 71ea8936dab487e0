"""LK110: results that somebody waits for, and that nobody sets on some path."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.finding import Leak
from leaklint.graph import Graph
from leaklint.queries.given_up import given_up
from leaklint.queries.query import NoOptions
from leaklint.queries.stopped_loop import stopped_loop
from leaklint.queries.stranded import stranded
from leaklint.queries.taken_out import taken_out
from leaklint.queries.unset import unset
from leaklint.queries.unset_when_lost import unset_when_lost


def never_set(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A waiter taken out of its table and forgotten; a unit that ends without setting what only it sets, or without a word to those who
    wait in its table; a protocol that forgets them when the connection is lost; a unit that an answer to one who has given up ends; a
    job of a loop that is stopped."""
    yield from taken_out(graph)
    yield from unset(graph)
    yield from stranded(graph)
    yield from unset_when_lost(graph)
    yield from given_up(graph)
    yield from stopped_loop(graph)
