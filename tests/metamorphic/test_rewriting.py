"""What is found in a program does not depend on how it is written.

A share of the fixtures (by their names, so that a new one changes nothing for the others) is written in other ways, each by chance with a
seed of its own; codes and confidences must stay. Where a rewriting takes from leaklint what it goes by, the pair is left out: a
file without a word of concurrency is read in outline only (`leaklint.lower.outline`), and little is known of what its functions do:
splitting must not make such a file.

The random programs of `tests/explore` have no source that could be rewritten: they are compared with running them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from functools import cache
from zlib import crc32

import pytest
from link.programs import models, modules
from metamorphic.operations import OPERATIONS
from metamorphic.rewriting import REWRITINGS, Program, parsed, written
from metamorphic.splitting import split
from test_fixtures import PROGRAMS

from leaklint.catalog import load_catalog
from leaklint.catalog.grammar import Card
from leaklint.finding import Confidence
from leaklint.findings import graph_of, merged, queried
from leaklint.graph import Graph
from leaklint.suppress import silence

WAYS = {**REWRITINGS, **OPERATIONS, "two files": split}
ONE_IN = 12
"""Of so many fixtures one is rewritten."""

Verdict = Counter[tuple[str, str]]
"""(code, confidence)"""


def source(name: str) -> dict[str, str]:
    """Path → source; a package keeps its name."""
    folder = PROGRAMS[name]
    base = folder.parent if (folder / "__init__.py").exists() else folder
    return {path.relative_to(base).as_posix(): path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))}


def examined(files: Mapping[str, str]) -> tuple[Graph, Verdict]:
    lowered = modules(files)
    graph = graph_of(lowered, models())
    comments = {module.path: module.summary.suppressions for module in lowered if module.summary.suppressions}
    findings, _ = silence(merged(queried(graph, load_cards())), comments)
    return graph, Counter((one.code, str(one.confidence)) for one in findings if one.confidence is not Confidence.POSSIBLE)


@cache
def load_cards() -> tuple[Card, ...]:
    return tuple(load_catalog().cards.values())


@cache
def as_it_is(name: str) -> tuple[Program, Graph, Verdict]:
    files = source(name)
    return parsed(files), *examined(files)


def is_fair(before: Graph, after: Graph) -> bool:
    """Whether the rewriting has left leaklint what it goes by: see above."""
    outlines = [sum(module.summary.is_outline for module in graph.program.modules) for graph in (before, after)]
    return outlines[0] == outlines[1]


def changes(name: str, way: str) -> tuple[Verdict, Verdict] | None:
    """What is lost and what is gained; None where there is nothing to compare."""
    program, graph, verdict = as_it_is(name)
    files = written(WAYS[way](program, random.Random(f"{name} {way}")))
    if files == written(program):
        return None
    after, other = examined(files)
    return (verdict - other, other - verdict) if is_fair(graph, after) else None


CHOSEN = [name for name in PROGRAMS if crc32(name.encode()) % ONE_IN == 0]


@pytest.mark.parametrize("name", CHOSEN)
def test_nothing_changes(name: str) -> None:
    found = {way: changes(name, way) for way in WAYS}
    assert {way: change for way, change in found.items() if change is not None and any(change)} == {}


def test_rewritings_rewrite() -> None:
    """Each has something to do in many of the programs, and there is something to be found in many."""
    for way, rewriting in WAYS.items():
        texts = [(written(as_it_is(name)[0]), written(rewriting(as_it_is(name)[0], random.Random(name)))) for name in CHOSEN]
        assert sum(one != other for one, other in texts) > len(texts) / 3, way
    assert sum(bool(as_it_is(name)[2]) for name in CHOSEN) > len(CHOSEN) / 5
