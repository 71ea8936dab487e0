"""What a query is: a pure function over the graph that a card can select."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from leaklint.finding import Leak
from leaklint.graph import Graph


class NoOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """For queries that take none."""


class Query(Struct, frozen=True):
    """`options` is the type that a card's `[options]` are converted to; `facts` maps each variant to the fact names that its message
    and mend may use."""

    run: Callable[[Graph, Any], Iterator[Leak]]
    options: type[Struct]
    facts: dict[str, frozenset[str]]
