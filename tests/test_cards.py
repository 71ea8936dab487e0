"""The programs in the cards are tests: each gives exactly the findings that are marked in it, and those under `## Fixed` give none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from expectations import Mark, Place, Says, differences, marks

from leaklint.catalog import load_catalog, rules_folder
from leaklint.catalog.grammar import Card, Family
from leaklint.engine import run
from leaklint.finding import Confidence, Finding
from leaklint.settings import Settings

CARDS = load_catalog().cards
SHIPPED = sorted(path.stem for path in rules_folder().glob("LK*.md"))


class Program(NamedTuple):
    card: Card
    section: str
    source: str


def programs() -> Iterator[tuple[str, Program]]:
    for card in CARDS.values():
        for section, sources in (("leaks", card.leaks), ("fixed", card.fixed)):
            for number, source in enumerate(sources, 1):
                yield f"{card.code}-{section}-{number}", Program(card, section, source)


PROGRAMS = dict(programs())


def program_marks(program: Program) -> list[Mark]:
    return list(marks("example.py", program.source))


def findings(program: Program, folder: Path) -> list[Finding]:
    (folder / "example.py").write_text(program.source, encoding="utf-8")
    settings = Settings(select=("LK",), confidence=Confidence.LIKELY, cache=False, jobs=1, root=str(folder))
    report = run([str(folder)], settings)
    assert report.errors == ()
    return list(report.findings)


@pytest.mark.parametrize("name", PROGRAMS)
def test_findings_are_those_marked(name: str, tmp_path: Path) -> None:
    found = findings(PROGRAMS[name], tmp_path)
    told = differences(program_marks(PROGRAMS[name]), [Place("example.py", one.line, one.code) for one in found])
    messages = [f"    {one.line}: {one.code} {one.message}" for one in found]
    assert not told, "\n".join([name, *told, "findings:", *(messages or ["    none"])])


@pytest.mark.parametrize("name", PROGRAMS)
def test_marks_are_of_the_card(name: str) -> None:
    """A leaking program is marked with its own code and no other, a fixed one not at all."""
    program = PROGRAMS[name]
    expected = {program.card.code} if program.section == "leaks" else set()
    assert {mark.place.code for mark in program_marks(program)} == expected
    assert {mark.says for mark in program_marks(program)} <= {Says.LEAK}


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "LK001-leaks-1"])
def test_programs_are_python(name: str) -> None:
    compile(PROGRAMS[name].source, name, "exec")


@pytest.mark.parametrize("stem", SHIPPED)
def test_a_card_has_its_place_in_the_catalogue(stem: str) -> None:
    """The first digit of a code tells the family, in the order of `Family`; only the engine's rules have no query and no mend."""
    card = CARDS[stem.partition("-")[0]]
    assert card.family is list(Family)[int(card.code[2])]
    is_engine = card.family is Family.ENGINE
    assert (card.query == "") is is_engine
    assert set(card.mends) == (set() if is_engine else set(card.messages))


@pytest.mark.parametrize("stem", SHIPPED)
def test_a_card_reads_well(stem: str) -> None:
    """One-line texts begin small and end without a full stop: tools put them after a place and a code."""
    card = CARDS[stem.partition("-")[0]]
    for text in (card.says, *card.messages.values(), *card.mends.values()):
        assert re.fullmatch(r"[a-z`][^\n]*[^\s.]", text), text
    assert "when " in card.prose, "the prose says when it is fine"
