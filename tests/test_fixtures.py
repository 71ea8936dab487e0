"""Every fixture program gives exactly the findings that are marked in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from expectations import BadMark, Mark, Place, Says, differences, marks

from leaklint.catalog import load_catalog
from leaklint.engine import run
from leaklint.finding import Confidence, Report
from leaklint.settings import Settings

FIXTURES = Path(__file__).resolve().parent / "fixtures"
LEAKING_PROGRAMS = 3


def programs(under: Path) -> Iterator[Path]:
    """The topmost folders below `under` that hold modules: each is one program."""
    for folder in sorted(path for path in under.iterdir() if path.is_dir()):
        if any(folder.glob("*.py")):
            yield folder
        else:
            yield from programs(folder)


PROGRAMS = {folder.relative_to(FIXTURES).as_posix(): folder for folder in programs(FIXTURES)}
CARDS = load_catalog().cards


def program_marks(program: Path) -> list[Mark]:
    modules = sorted(program.rglob("*.py"))
    return [mark for module in modules for mark in marks(_relative(module), module.read_text(encoding="utf-8"))]


def check(program: Path) -> Report:
    settings = Settings(select=("LK",), confidence=Confidence.LIKELY, cache=False, jobs=1, root=str(FIXTURES))
    return run([str(program)], settings)


def _relative(module: Path) -> str:
    return module.resolve().relative_to(FIXTURES).as_posix()


@pytest.mark.parametrize("name", PROGRAMS)
def test_findings_are_those_marked(name: str) -> None:
    report = check(PROGRAMS[name])
    assert report.errors == ()
    found = [(Place(_relative(Path(one.path)), one.line, one.code), one.message) for one in report.findings]
    told = differences(program_marks(PROGRAMS[name]), [place for place, _ in found])
    assert not told, "\n".join([name, *told, "all findings:", *(f"    {place} {message}" for place, message in found)])


@pytest.mark.parametrize("name", PROGRAMS)
def test_marks_fit_their_folder(name: str) -> None:
    """A leaking program has a mark of its rule; a quiet one has none but known false alarms."""
    folder = name.split("/")[0]
    made = program_marks(PROGRAMS[name])
    assert {mark.place.code for mark in made if mark.says is not Says.OP} <= set(CARDS)
    if folder == "quiet":
        assert {mark.says for mark in made} <= {Says.FALSE_ALARM, Says.OP}
    else:
        assert any(mark.place.code == folder and mark.says in (Says.LEAK, Says.MISSED) for mark in made)


@pytest.mark.parametrize("code", [card.code for card in CARDS.values() if card.query])
def test_every_rule_has_leaking_programs(code: str) -> None:
    assert sum(name.startswith(f"{code}/") for name in PROGRAMS) >= LEAKING_PROGRAMS


SOURCE = """\
q.put(1)  # leak: LK101
q.get()  # missed: LK102
spawn(f)  # leak: LK201, LK304  # op: spawn f
note("# leak: LK999")  # why: as the manual says
"""


def test_marks_are_read_from_comments_alone() -> None:
    read = [(mark.says.value, mark.place.line, mark.place.code) for mark in marks("p.py", SOURCE)]
    assert read == [("leak", 1, "LK101"), ("missed", 2, "LK102"), ("leak", 3, "LK201"), ("leak", 3, "LK304"), ("op", 3, "spawn f")]


@pytest.mark.parametrize("comment", ["# leek: LK101", "# leak: 101", "# leak:", "# missed: LK101, soon"])
def test_a_misspelt_mark_is_refused(comment: str) -> None:
    with pytest.raises(BadMark):
        list(marks("p.py", f"x = 1  {comment}\n"))


@pytest.mark.parametrize(
    ("comment", "found", "told"),
    [
        ("# leak: LK101", ["LK101"], []),
        ("# leak: LK101", [], ["LK101 missed alarm: marked `leak`, not found"]),
        ("# leak: LK101", ["LK101", "LK101"], ["LK101 false alarm: found, not marked"]),
        ("", ["LK101"], ["LK101 false alarm: found, not marked"]),
        ("# missed: LK101", [], []),
        ("# missed: LK101", ["LK101"], ["LK101 mended missed alarm: mark it `leak`"]),
        ("# false-alarm: LK101", ["LK101"], []),
        ("# false-alarm: LK101", [], ["LK101 mended false alarm: take the mark away"]),
    ],
)
def test_the_world_of_marks_is_closed(comment: str, found: list[str], told: list[str]) -> None:
    places = [Place("p.py", 1, code) for code in found]
    assert differences(marks("p.py", f"x = 1  {comment}\n"), places) == [f"p.py:1: {line}" for line in told]
