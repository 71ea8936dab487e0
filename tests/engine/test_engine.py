"""The run as a whole: what is reported, in which order, and that neither caches nor processes nor the order of paths show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import msgspec
import pytest

import leaklint
import leaklint.engine
import leaklint.workers
from leaklint.catalog.grammar import Card
from leaklint.engine import run
from leaklint.errors import LeaklintError
from leaklint.finding import Confidence, FileError, Finding, Growth, Report, TraceStep
from leaklint.settings import Settings
from leaklint.sources import Source

Write = Callable[..., None]
pytestmark = pytest.mark.usefixtures("analysis")


def places(report: Report) -> list[tuple[str, int, str]]:
    return [(finding.path, finding.line, finding.code) for finding in report.findings]


def test_a_finding_has_the_words_of_its_card(write: Write, uncached: Settings) -> None:
    write({"pkg/__init__.py": "", "pkg/a.py": "\n  leak()\n"})
    assert run(["pkg"], uncached) == Report(
        version=leaklint.__version__,
        files=2,
        findings=(
            Finding(
                path="pkg/a.py",
                line=2,
                column=3,
                end_line=2,
                end_column=9,
                code="LK101",
                name="name-of-lk101",
                message="`leak` in pkg.a",
                function="",
                confidence=Confidence.LIKELY,
                growth=Growth.ONCE,
                trace=(TraceStep("pkg/a.py", 2, 3, "it is called here"), TraceStep("pkg/a.py", 2, 3, "mend: call `leak` elsewhere")),
            ),
        ),
        errors=(),
    )


def test_a_file_that_does_not_parse_stops_no_other(write: Write, uncached: Settings) -> None:
    write({"bad.py": "def :\n", "good.py": "leak()\n"})
    report = run(["."], uncached)
    assert places(report) == [("bad.py", 1, "LK001"), ("good.py", 1, "LK101")]
    first = report.findings[0]
    assert (first.message, first.column, first.end_column) == ("cannot be parsed: invalid syntax", 3, 4)
    assert (first.function, first.confidence, first.growth) == ("", Confidence.PROVEN, Growth.ONCE)
    assert places(run(["."], msgspec.structs.replace(uncached, ignore=("LK001",)))) == [("good.py", 1, "LK101")]


def test_duplicates_are_merged_and_the_surest_stays(write: Write, uncached: Settings) -> None:
    write({"b.py": "double() leak()\nleak()", "a.py": "double()\n"})
    report = run(["b.py", "a.py"], uncached)
    assert places(report) == [("a.py", 1, "LK102"), ("b.py", 1, "LK102"), ("b.py", 1, "LK101"), ("b.py", 2, "LK101")]
    assert report.findings[0].confidence is Confidence.PROVEN


def test_confidence_and_selection(write: Write, uncached: Settings) -> None:
    write({"a.py": "leak() double() maybe()\n"})

    def codes(**options: object) -> list[str]:
        return [finding.code for finding in run(["a.py"], msgspec.structs.replace(uncached, **options)).findings]

    assert codes() == ["LK101", "LK102"]
    assert codes(extend_select=("LK103",)) == ["LK101", "LK103", "LK102"]
    assert codes(confidence=Confidence.POSSIBLE) == ["LK101", "LK102", "LK201"]
    assert codes(confidence=Confidence.PROVEN) == ["LK102"]
    assert codes(select=("LK2",), confidence=Confidence.POSSIBLE) == ["LK201"]
    with pytest.raises(LeaklintError, match=r'^--select: unknown code "LK109"; did you mean "LK10[1-3]"\?$'):
        codes(select=("LK109",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query": "cals"}, 'query: there is no query "cals"; did you mean "calls"?'),
        ({"color": "red"}, "options: Object contains unknown field color"),
        ({"confidence": "sure"}, "options: Invalid enum value 'sure'"),
        ({"messages": {"default": "{cal}"}}, "messages.default: no fact {cal}; did you mean"),
        ({"messages": {"other": ""}}, 'messages: no variant "other" here; variants: default'),
    ],
)
def test_a_card_that_does_not_fit_its_query(
    write: Write, uncached: Settings, analysis: Callable[..., None], make_card: Callable[..., Card], change: dict[str, str], message: str
) -> None:
    write("a.py")
    analysis(make_card("LK101", **change))
    with pytest.raises(LeaklintError) as raised:
        run(["a.py"], uncached)
    assert str(raised.value).startswith(f"rules/LK101.md: {message}")


def test_the_order_of_paths_does_not_show(write: Write, uncached: Settings) -> None:
    write({"src/a.py": "leak()", "src/pkg/b.py": "leak() double()", "c.py": "def :"})
    reports = {msgspec.json.encode(run(order, uncached)) for order in permutations(["src", "c.py", "src/pkg", "src/a.py"])}
    assert len(reports) == 1


def test_the_number_of_jobs_does_not_show(write: Write, uncached: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write({f"pkg/m{number}.py": "leak()\n" * number + "double()" for number in range(60)})
    monkeypatch.setattr(leaklint.workers, "WORTH_A_PROCESS", 10)
    monkeypatch.setattr(leaklint.workers, "_SMALLEST_CHUNK", 100)
    reports = {msgspec.json.encode(run(["pkg"], msgspec.structs.replace(uncached, jobs=jobs))) for jobs in (1, 2, 3)}
    assert len(reports) == 1


def test_a_file_that_kills_the_parser(write: Write, uncached: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write({"a.py": "leak()", "b.py": "bomb()", "c.py": "leak()\n"})
    monkeypatch.setattr(leaklint.workers, "WORTH_A_PROCESS", 1)
    report = run(["."], msgspec.structs.replace(uncached, jobs=2))
    assert (report.files, places(report)) == (2, [("a.py", 1, "LK101"), ("c.py", 1, "LK101")])
    assert report.errors == (FileError("b.py", "the parser crashed on it"),)


def test_a_file_that_vanishes_during_the_run(write: Write, uncached: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write({"a.py": "leak()", "b.py": "leak()"})
    read = leaklint.engine.read

    def late(source: Source) -> bytes | FileError:
        if source.path == "b.py":
            os.unlink("b.py")
        return read(source)

    monkeypatch.setattr(leaklint.engine, "read", late)
    report = run(["."], uncached)
    assert (report.files, places(report)) == (1, [("a.py", 1, "LK101")])
    assert report.errors == (FileError("b.py", "cannot be read: No such file or directory"),)


def test_stdin_stands_for_its_file(write: Write, uncached: Settings) -> None:
    write({"pkg/a.py": "leak()", "pkg/b.py": "leak()"})
    assert places(run(["pkg"], uncached, stdin=("pkg/b.py", b"\n\nleak()"))) == [("pkg/a.py", 1, "LK101"), ("pkg/b.py", 3, "LK101")]
    assert places(run([], uncached, stdin=("pkg/b.py", b"\nleak()"))) == [("pkg/b.py", 2, "LK101")]
    assert places(run(["pkg"], uncached, stdin=("pkg/new.py", b"leak()")))[-1] == ("pkg/new.py", 1, "LK101")
    assert run(["pkg"], uncached, stdin=("pkg/b.py", b"")).files == 2


def test_no_file_is_no_mistake(project: Path, uncached: Settings) -> None:
    assert run(["."], uncached) == Report(leaklint.__version__, 0, (), ())
    with pytest.raises(LeaklintError, match="nowhere: no such file or folder"):
        run(["nowhere"], uncached)


# --- the cache ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def lowered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of files lowered in each run."""
    counts: list[int] = []
    lower_all = leaklint.workers.lower_all

    def counting(contents: list[bytes], *rest: object) -> list[bytes | None]:
        counts.append(len(contents))
        return lower_all(contents, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(leaklint.workers, "lower_all", counting)
    return counts


def test_a_second_run_gives_the_same_and_lowers_nothing(write: Write, uncached: Settings, lowered: list[int]) -> None:
    write({"a.py": "leak()", "b.py": "double()", "c.py": "def :", "same.py": "leak()"})
    cold = run(["."], Settings(jobs=1))
    assert run(["."], Settings(jobs=2)) == run(["."], uncached) == cold
    assert lowered == [3, 3]  # equal files once; the run without a cache does it all again
    assert Path(".leaklint_cache/.gitignore").exists()


def test_whatever_a_report_depends_on_gives_a_new_one(
    write: Write, lowered: list[int], analysis: Callable[..., None], make_card: Callable[..., Card]
) -> None:
    write({"a.py": "leak()", "b.py": "leak()"})
    settings = Settings(jobs=1)
    run(["."], settings)
    assert len(run(["a.py"], settings).findings) == 1
    assert run(["."], msgspec.structs.replace(settings, ignore=("LK1",))).findings == ()
    os.rename("b.py", "c.py")
    assert places(run(["."], settings))[1] == ("c.py", 1, "LK101")
    assert lowered == [1, 0, 0, 0]
    write({"c.py": "\nleak()"})
    assert places(run(["."], settings))[1] == ("c.py", 2, "LK101")
    assert places(run(["."], settings, stdin=("c.py", b"\n\nleak()")))[1] == ("c.py", 3, "LK101")
    analysis(make_card("LK105"))
    assert places(run(["."], settings)) == [("a.py", 1, "LK105"), ("c.py", 2, "LK105")]
    assert lowered == [1, 0, 0, 0, 1, 1, 0]


@pytest.mark.parametrize("junk", [b"", b"junk", b"\x00" * 1000])
def test_a_damaged_cache_is_written_anew(write: Write, lowered: list[int], junk: bytes) -> None:
    write({"a.py": "leak()"})
    cold = run(["."], Settings(jobs=1))
    for file in Path(".leaklint_cache").glob("*/*"):
        file.write_bytes(junk)
    assert [run(["."], Settings(jobs=1)) for _ in range(2)] == [cold, cold]
    assert lowered == [1, 1]


def test_the_cache_can_be_elsewhere_or_nowhere(project: Path, write: Write) -> None:
    write({"a.py": "leak()", "blocked": "a file where the folder should be"})
    reports = [run(["a.py"], Settings(cache_dir=folder, jobs=1)) for folder in (str(project / "var/leaks"), str(project / "blocked"))]
    assert reports[0] == reports[1]
    assert sorted(path.name for path in project.iterdir()) == ["a.py", "blocked", "var"]
    run(["a.py"], Settings(cache=False, jobs=1))
    assert not Path(".leaklint_cache").exists()


SECOND_RUN = """
import json, sys
from leaklint.engine import run
from leaklint.settings import load
from msgspec import to_builtins
report = run(["."], load(["."]))
heavy = ["libcst", "networkx", "leaklint.lower", "leaklint.link", "leaklint.queries", "multiprocessing", "concurrent.futures", "click"]
print(json.dumps([to_builtins(report), [name for name in heavy if name in sys.modules]]))
"""


def test_an_unchanged_run_imports_no_parser_and_no_graph(write: Write) -> None:
    """In processes of their own, with the real analysis."""
    source = "import asyncio\n\n\nasync def main():\n    await asyncio.Queue().get()  # leaklint: ignore[LK001]\n"
    write({"a.py": source, "b.py": "def :\n", "pyproject.toml": '[tool.leaklint]\nselect = ["LK0"]\n'})
    environment = {**os.environ, "PYTHONPATH": str(Path(leaklint.__file__).parent.parent)}

    def outcome() -> tuple[dict[str, object], list[str]]:
        done = subprocess.run([sys.executable, "-c", SECOND_RUN], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        report, heavy = json.loads(done.stdout)
        return report, heavy

    cold, imported = outcome()
    assert [(finding["path"], finding["code"]) for finding in cold["findings"]] == [("a.py", "LK002"), ("b.py", "LK001")]  # type: ignore[attr-defined, index]
    assert "libcst" in imported
    assert outcome() == (cold, [])
