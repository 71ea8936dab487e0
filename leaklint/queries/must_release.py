"""LK202, LK203, LK205, LK206, LK701: what is acquired is released, whoever has it. LK702: of what an owner has, all of a kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from msgspec import Struct

from leaklint import ir
from leaklint.catalog.grammar import Kind
from leaklint.finding import Leak
from leaklint.graph import Graph
from leaklint.obligations.custody import Custody
from leaklint.obligations.debts import Debts
from leaklint.obligations.owned import UNITS, Owned
from leaklint.queries.forgotten import owner_leaks, partial_teardowns, unit_leaks
from leaklint.queries.leaving import path_leaks
from leaklint.queries.query import NoOptions
from leaklint.queries.restarted import restart_leaks
from leaklint.queries.waiting import Waiting


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """`of`: the kinds of what is owed; `lent`: also what pools of the program lend."""

    of: tuple[Kind, ...]
    lent: bool = False


_BY_OWNER = UNITS | {Kind.EXECUTOR}
"""What runs on its own: a local that starts it and lets it go is no fault yet."""


@dataclass(slots=True)
class _Known:
    """What is known of a program, made once for all the rules that ask. `waiting`: the units that other rules tell of, since they wait for
    what never comes."""

    custody: Custody
    owned: Owned
    waiting: Waiting


_KNOWN: WeakKeyDictionary[Graph, _Known] = WeakKeyDictionary()


def must_release(graph: Graph, options: Options) -> Iterator[Leak]:
    """What a function has made for itself, or an object for its own use, and nobody gives back; one leak for each place that makes it."""
    known = _known(graph)
    kinds: frozenset[Kind | None] = frozenset({*options.of, *([None] if options.lent else [])})
    told: set[tuple[str, ir.Span]] = set()
    for found in (
        owner_leaks(known.owned, known.waiting, kinds),
        path_leaks(graph, known.custody, kinds - _BY_OWNER),
        unit_leaks(known.owned, known.waiting, kinds),
        restart_leaks(graph, known.owned.debts.holdings, kinds),
    ):
        for leak in found:
            if (leak.path, leak.at) not in told:
                told.add((leak.path, leak.at))
                yield leak


def partial_teardown(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """What an owner has made and forgets where it gives back another of the same kind."""
    yield from partial_teardowns(_known(graph).owned)


def _known(graph: Graph) -> _Known:
    found = _KNOWN.get(graph)
    if found is None:
        debts = Debts(graph)
        found = _KNOWN[graph] = _Known(Custody(graph, debts), Owned(debts), Waiting(graph))
    return found
