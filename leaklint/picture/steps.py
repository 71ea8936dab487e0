"""The events of a witness on a drawing: for each the unit, what it does something to, and the arrow between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from leaklint.catalog.grammar import UnitKind
from leaklint.picture.drawing import Link, Node, NodeType
from leaklint.witness import Event, Thing


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an event is in a drawing; what is not drawn is None."""

    unit: Node | None
    to: Node | None
    link: Link | None


def spots(witness: Sequence[Event], nodes: Iterable[Node], links: Iterable[Link]) -> list[Spot]:
    """One for each event. Who runs the function in which the schedule begins is found by what it does: the main line, if that can be."""
    made: dict[tuple[str, int], list[Node]] = {}
    for node in nodes:
        if node.type is not NodeType.OBJECT:
            made.setdefault((node.path, node.line), []).append(node)
    at: dict[tuple[str, int], list[Link]] = {}
    for link in links:
        for place in {place for places in link.operations.values() for place in places}:
            at.setdefault(place, []).append(link)
    found = [_spot(event, made, at) for event in witness]
    begins = Counter(spot.unit for event, spot in zip(witness, found, strict=True) if not event.unit.path and spot.unit is not None)
    root = max(begins, key=lambda node: (_rank(node), begins[node]), default=None)
    return [
        _spot(event, made, at, root) if not event.unit.path and root is not None else spot
        for event, spot in zip(witness, found, strict=True)
    ]  # fmt: skip


def _spot(event: Event, made: dict[tuple[str, int], list[Node]], at: dict[tuple[str, int], list[Link]], root: Node | None = None) -> Spot:
    unit = _node(event.unit, made) if event.unit.path else root
    to = _node(event.to, made) if event.to is not None else None
    if to is None:
        return Spot(unit, None, None)
    links = [(other, link) for link in at.get((event.path, event.line), ()) for other in _others(link, to)]
    if unit is not None:
        return Spot(unit, to, next((link for other, link in links if other is unit), None))
    other, link = max(((o, one) for o, one in links if o.type is NodeType.UNIT), key=lambda pair: _rank(pair[0]), default=(None, None))
    return Spot(other, to, link)


def _node(thing: Thing, made: dict[tuple[str, int], list[Node]]) -> Node | None:
    here = made.get((thing.path, thing.line), [])
    named = (node for node in here if thing.name in node.name.split(", ") or node.name.startswith(f"{thing.name} of "))
    return next(named, here[0] if len(here) == 1 else None)


def _others(link: Link, node: Node) -> Iterator[Node]:
    """The other end of a link."""
    if link.target is node:
        yield link.source
    elif link.source is node:
        yield link.target


def _rank(node: Node) -> int:
    return 0 if node.is_anyone else 2 if node.kind == UnitKind.MAIN else 1
