"""A page of one file for a browser: the drawing, the source of every place in it, and the findings. It asks the network for nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from leaklint.finding import Finding
from leaklint.picture.assets import asset
from leaklint.picture.drawing import Drawing, Link, Node, links
from leaklint.picture.families import act, family
from leaklint.picture.outside import apart
from leaklint.picture.palette import variables
from leaklint.picture.steps import Spot, spots
from leaklint.witness import Event

LinesOf = Callable[[str], Sequence[str]]
"""Path → the lines of the file, none when it cannot be read."""

Place = tuple[str, int]

_AROUND = 4
"""Lines of source before and after each place."""
_WIDEST = 300
"""Letters of a line of source."""


def page(drawing: Drawing, findings: Sequence[Finding], lines_of: LinesOf, title: str) -> str:
    """The HTML. `title` says what was drawn; findings whose files are not in the drawing are left out."""
    facts = json.dumps(_facts(apart(drawing), findings, lines_of, title), ensure_ascii=False, separators=(",", ":"))
    parts = {
        "title": escape(f"{title} · leaklint"),
        "style": variables() + asset("page.css"),
        "facts": facts.replace("<", "\\u003c"),
        "cytoscape": asset("cytoscape.min.js"),
        "dagre": asset("dagre.min.js"),
        "script": "\n".join(asset(f"{name}.js") for name in ("page", "layout", "graph", "steps", "panel", "filters")),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], asset("page.html"))


def _facts(drawing: Drawing, findings: Sequence[Finding], lines_of: LinesOf, title: str) -> dict[str, object]:
    """`files`: paths, which everything else names by number. `modules`: name and file. `nodes`, `links` and `findings`: see below. `code`:
    file → line → text, for the lines around every place. `licences`: those of what the page is made of."""
    all_links = links(drawing.edges)
    shown = [finding for finding in findings if finding.path in drawing.modules]
    touched = [_places(finding) for finding in shown]
    index = _Index([*dict.fromkeys(node.path for node in drawing.nodes if node.path)])
    marks = _Marks(touched)
    numbers = {node: number for number, node in enumerate(drawing.nodes)}
    content: dict[str, object] = {
        "title": title,
        "modules": [{"name": drawing.modules[path], "file": index.number(path)} for path in list(index.paths)],
        "nodes": [_node(node, index, marks) for node in drawing.nodes],
        "links": [_link(link, numbers, index, marks) for link in all_links],
        "findings": [_finding(finding, index, numbers, {link: number for number, link in enumerate(all_links)}) for finding in shown],
    }
    places = {(node.path, node.line) for node in drawing.nodes if node.line}
    places |= {place for link in all_links for spots in link.operations.values() for place in spots}
    places |= {place for spots in touched for place in spots}
    places |= {(event.path, event.line) for finding in shown for event in finding.witness}
    content["code"] = _code(places, index, lines_of)
    content["files"] = list(index.paths)
    content["licences"] = {name: asset(f"{name}.LICENSE.txt") for name in ("cytoscape", "dagre")}
    return content


@dataclass(slots=True)
class _Index:
    """Numbers for paths, in the order in which they are met."""

    paths: list[str]

    def number(self, path: str) -> int:
        if path not in self.paths:
            self.paths.append(path)
        return self.paths.index(path)


class _Marks:
    """Which findings touch a place."""

    def __init__(self, touched: Sequence[Iterable[Place]]) -> None:
        self._at: dict[Place, list[int]] = {}
        for number, places in enumerate(touched):
            for place in places:
                self._at.setdefault(place, []).append(number)

    def of(self, places: Iterable[Place]) -> list[int]:
        return sorted({number for place in places for number in self._at.get(place, ())})


def _places(finding: Finding) -> dict[Place, None]:
    return {(finding.path, finding.line): None} | {(step.path, step.line): None for step in finding.trace}


def _node(node: Node, index: _Index, marks: _Marks) -> dict[str, object]:
    """`module` is the number of the module, -1 for none; `line` 0 for code out of sight; `findings` are numbers of findings."""
    return {
        "id": node.id,
        "type": node.type,
        "kind": node.kind,
        "family": family(node.kind),
        "name": node.name,
        "module": index.number(node.path) if node.path else -1,
        "line": node.line,
        "open": node.open,
        "findings": marks.of([(node.path, node.line)]),
    }


def _link(link: Link, numbers: Mapping[Node, int], index: _Index, marks: _Marks) -> list[object]:
    """Number of the source, number of the target, [operation, its sort, its places as file, line, file, line, …] for each operation, and
    the numbers of the findings."""
    operations = [
        [operation, act(operation), [number for path, line in places for number in (index.number(path), line)]]
        for operation, places in link.operations.items()
    ]
    return [numbers[link.source], numbers[link.target], operations, marks.of(p for places in link.operations.values() for p in places)]


def _finding(finding: Finding, index: _Index, numbers: Mapping[Node, int], links: Mapping[Link, int]) -> dict[str, object]:
    where = spots(finding.witness, numbers, links)
    return {
        "code": finding.code,
        "name": finding.name,
        "message": finding.message,
        "function": finding.function,
        "confidence": finding.confidence,
        "growth": finding.growth,
        "file": index.number(finding.path),
        "line": finding.line,
        "trace": [[index.number(step.path), step.line, step.message] for step in finding.trace],
        "witness": [_event(*pair, index, numbers, links) for pair in zip(finding.witness, where, strict=True)],
    }


def _event(event: Event, spot: Spot, index: _Index, numbers: Mapping[Node, int], links: Mapping[Link, int]) -> dict[str, object]:
    """`node`, `to` and `link` are numbers, -1 for what is not drawn; `after` is how the resource stands then, if it is one."""
    after = event.after
    return {
        "unit": str(event.unit),
        "way": event.way,
        "does": event.does,
        "file": index.number(event.path),
        "line": event.line,
        "node": numbers[spot.unit] if spot.unit is not None else -1,
        "to": numbers[spot.to] if spot.to is not None else -1,
        "link": links[spot.link] if spot.link is not None else -1,
        "level": after.level if after is not None else "",
        "why": event.why,
        "after": after
        and {
            "name": after.thing.name,
            "sort": after.sort,
            "held": after.held,
            "room": after.room,
            "rough": after.is_rough,
            "closed": after.is_closed,
            "by": after.by,
            "waiting": after.waiting,
            "level": after.level,
        },
    }


def _code(places: Iterable[Place], index: _Index, lines_of: LinesOf) -> dict[int, dict[int, str]]:
    wanted: dict[str, set[int]] = {}
    for path, line in places:
        wanted.setdefault(path, set()).update(range(max(1, line - _AROUND), line + _AROUND + 1))
    return {index.number(path): dict(_lines(sorted(numbers), lines_of(path))) for path, numbers in sorted(wanted.items())}


def _lines(numbers: Iterable[int], lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    for number in numbers:
        if number <= len(lines):
            text = lines[number - 1].rstrip()
            yield number, text if len(text) <= _WIDEST else f"{text[:_WIDEST]}…"
