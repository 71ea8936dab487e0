"""LK202, LK203, LK205, LK206, LK701: what is acquired is released, whoever has it."""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

from msgspec import Struct

from leaklint.catalog.grammar import Kind
from leaklint.finding import Leak
from leaklint.graph import Graph
from leaklint.obligations.custody import Custody
from leaklint.obligations.debts import Debts
from leaklint.queries.leaving import path_leaks


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """`of`: the kinds of what is owed; `lent`: also what pools of the program lend."""

    of: tuple[Kind, ...]
    lent: bool = False


_CUSTODY: WeakKeyDictionary[Graph, Custody] = WeakKeyDictionary()
"""What is known of a program, made once for all the rules that ask."""


def must_release(graph: Graph, options: Options) -> Iterator[Leak]:
    """What a function has made for itself, or an object for its own use, and nobody gives back."""
    custody = _CUSTODY.get(graph)
    if custody is None:
        custody = _CUSTODY[graph] = Custody(graph, Debts(graph))
    kinds: frozenset[Kind | None] = frozenset({*options.of, *([None] if options.lent else [])})
    yield from path_leaks(graph, custody, kinds)
