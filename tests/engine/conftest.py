"""A small analysis in place of the real one: `leak()` on a line is a leak, `bomb()` kills the process that parses it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import Struct

import leaklint.catalog
import leaklint.lower
import leaklint.queries
from leaklint.catalog import Catalog
from leaklint.catalog.grammar import Card, Family, Models
from leaklint.finding import Confidence, Growth, Leak, Step
from leaklint.graph import Graph
from leaklint.ir import Function, Problem, Span, Summary, Suppression
from leaklint.queries import NoOptions, Query
from leaklint.settings import Settings

COMMENT = re.compile(r"# (leaklint: file-ignore|leaklint: ignore|noqa)(?:(?:\[|: )([A-Z0-9, ]+)\]?)?")


def lower(content: bytes) -> Summary:
    text = content.decode()
    if "bomb()" in text:
        os.kill(os.getpid(), signal.SIGKILL)
    functions, comments = [], []
    for number, line in enumerate(text.split("\n"), 1):
        for call in re.finditer(r"(\w+)\(\)", line):
            at = Span(number, call.start() + 1, number, call.end() + 1)
            functions.append(Function(call[1], call[1], "def", (), (), (), None, False, False, 0, None, at))
        if comment := COMMENT.search(line):
            style, codes = comment.groups()
            comments.append(
                Suppression(
                    "noqa" if style == "noqa" else "leaklint",
                    tuple(code.strip() for code in codes.split(",")) if codes else (),
                    "file-" in style,
                    "",
                    Span(number, comment.start() + 1, number, comment.end() + 1),
                )
            )
    problem = Problem("invalid syntax", 1, 3) if text.startswith("def :") else None
    return Summary(tuple(functions), (), tuple(comments), problem, False, False)


class Calls(Struct, frozen=True, forbid_unknown_fields=True):
    confidence: Confidence = Confidence.LIKELY
    name: str = "leak"


def calls(graph: Graph, options: Calls) -> Iterator[Leak]:
    for module in graph.program.modules:
        for function in module.summary.functions:
            if function.name == options.name:
                facts = {"call": function.name, "module": module.name}
                trace = (Step(module.path, function.at, "it is called here"),)
                yield Leak(module.path, function.at, "", facts, options.confidence, Growth.ONCE, trace)


def twice(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """Each leak several times, to be merged."""
    for confidence in (Confidence.POSSIBLE, Confidence.PROVEN, Confidence.LIKELY):
        yield from calls(graph, Calls(confidence, "double"))


FACTS = {"default": frozenset({"call", "module"})}
QUERIES = {"calls": Query(calls, Calls, FACTS), "twice": Query(twice, NoOptions, FACTS)}


def card(code: str, query: str = "calls", on: bool = True, messages: dict[str, str] | None = None, **options: str) -> Card:
    family = Family.ENGINE if code.startswith("LK0") else Family.CHANNELS
    messages = messages or {"default": "`{call}` in {module}"}
    mends = {} if family is Family.ENGINE else {"default": "call `{call}` elsewhere"}
    return Card(code, f"name-of-{code.lower()}", family, "", on, query, dict(options), messages, mends, "", (), (), f"rules/{code}.md")


CARDS = (
    card("LK001", messages={"default": "cannot be parsed: {reason}"}),
    card("LK002", messages={"blanket": "silences nothing", "unused": "silences nothing: {codes}", "unknown": "no such code: {codes}"}),
    card("LK101"),
    card("LK102", query="twice"),
    card("LK103", on=False),
    card("LK201", name="maybe", confidence="possible"),
)


def catalog(cards: tuple[Card, ...]) -> Catalog:
    models = Models({}, {}, {}, *(frozenset() for _ in Models.__struct_fields__[3:]))
    return Catalog({one.code: one for one in cards}, models, "0")


@pytest.fixture
def analysis(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts the small analysis in place; called again, with other cards."""

    def put(*cards: Card) -> None:
        monkeypatch.setattr(leaklint.lower, "lower", lower, raising=False)
        monkeypatch.setattr(leaklint.queries, "QUERIES", QUERIES)
        monkeypatch.setattr(leaklint.catalog, "load_catalog", lambda folders, inline: catalog(cards or CARDS))
        monkeypatch.setattr(leaklint.catalog, "catalog_digest", lambda folders, inline: repr(cards or CARDS))

    put()
    return put


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def write(project: Path) -> Callable[..., None]:
    """Writes files, by path in the project: empty ones by name alone, others as a dict of contents."""

    def put(*files: str | dict[str, str]) -> None:
        for one in files:
            for name, text in one.items() if isinstance(one, dict) else [(one, "")]:
                path = project / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)

    return put


@pytest.fixture
def uncached() -> Settings:
    return Settings(cache=False, jobs=1)


@pytest.fixture
def make_card() -> Callable[..., Card]:
    return card
