"""LK503: locks taken in different orders by units that may run at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, product

from leaklint.finding import Confidence, Leak, Step
from leaklint.graph import Graph, rings
from leaklint.locks import Mode, locks_of
from leaklint.locks.order import Nesting, Order
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows

_LONGEST = 3
"""Locks in a ring: longer ones are not found in practice, and their number explodes."""


def ordered_differently(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A ring of locks each of which somebody waits for with the one before it held."""
    order = Order(graph, locks_of(graph))
    for ring in rings(order.pairs, _LONGEST):
        pairs = list(zip(ring, ring[1:] + ring[:1], strict=True))
        ways = [list(order.nestings(held, taken)) for held, taken in pairs]
        met = [chosen for chosen in product(*ways) if _keeps_out(chosen) and _each_two(order.may_meet, chosen)]
        known = next((chosen for chosen in met if _each_two(order.is_known_to_meet, chosen)), None)
        if met:
            yield _leak(graph, list(known or met[0]), Confidence.LIKELY if known is not None else Confidence.POSSIBLE)


def _keeps_out(chosen: tuple[Nesting, ...]) -> bool:
    """Whether each lock keeps out who waits for it: not where it is held to read and wanted to read."""
    return all(Mode.EXCLUSIVE in (one.taken.hold.mode, other.held.mode) for one, other in zip(chosen, chosen[1:] + chosen[:1], strict=True))


def _each_two(meet: Callable[[Nesting, Nesting], bool], chosen: tuple[Nesting, ...]) -> bool:
    return all(meet(one, other) for one, other in combinations(chosen, 2))


def _leak(graph: Graph, ring: list[Nesting], confidence: Confidence) -> Leak:
    first = min(range(len(ring)), key=lambda n: _place(graph, ring[n]))
    ring = ring[first:] + ring[:first]
    one, other = ring[0], ring[1]
    often = graph.recurrences.of(one.function)
    names = [graph.program.describe(min(nesting.held.locks)) for nesting in ring]
    trace = [step for n, nesting in enumerate(ring) for step in _steps(nesting, names[n], names[(n + 1) % len(ring)])]
    qualname = graph.qualname(one.function)
    return Leak(
        graph.program.path(one.function.module), one.taken.way[0].at, qualname,
        {
            "object": names[0], "other": names[1], "function": qualname or "the module",
            "elsewhere": graph.qualname(other.function) or "the module", "growth": grows(graph, often, "waiting caller", one.function),
        },
        confidence, often.growth, tuple(trace), variant="default" if len(ring) == 2 else "ring",
    )  # fmt: skip


def _steps(nesting: Nesting, held: str, taken: str) -> Iterator[Step]:
    last = nesting.taken.way[-1]
    yield nesting.held.taken
    yield from nesting.taken.way[:-1]
    yield Step(last.path, last.at, f"`{taken}` is waited for here, with `{held}` held")


def _place(graph: Graph, nesting: Nesting) -> tuple[str, int, int]:
    at = nesting.taken.way[0].at
    return graph.program.path(nesting.function.module), at.line, at.column
