"""Comments and `per-file-ignores` that silence findings, and comments that silence nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from leaklint.engine import run
from leaklint.finding import Confidence
from leaklint.settings import Settings

Write = Callable[..., None]
pytestmark = pytest.mark.usefixtures("analysis")


@pytest.fixture
def check(write: Write, uncached: Settings) -> Callable[..., list[str]]:
    def findings(text: str, **options: object) -> list[str]:
        write({"app.py": text})
        report = run(["app.py"], msgspec.structs.replace(uncached, **options))
        return [f"{finding.line} {finding.code} {finding.message}" for finding in report.findings]

    return findings


LEAK = "LK101 `leak` in app"
Check = Callable[..., list[str]]


@pytest.mark.parametrize(
    "comment",
    [
        *("leaklint: ignore", "leaklint: ignore[LK101]", "leaklint: ignore[LK1]", "leaklint: ignore[LK102, LK101]"),
        *("noqa", "noqa: LK101", "noqa: E501, LK1"),
    ],
)
def test_a_comment_silences_its_line_only(check: Check, comment: str) -> None:
    idle = ["1 LK002 silences nothing: LK102"] if "LK102" in comment else []
    assert check(f"leak()  # {comment}\nleak()\n") == [*idle, f"2 {LEAK}"]


def test_a_comment_with_other_codes_silences_nothing(check: Check) -> None:
    assert check("leak()  # noqa: LK102, E501\n") == [f"1 {LEAK}"]
    assert check("leak()  # leaklint: ignore[LK102]\n") == [f"1 {LEAK}", "1 LK002 silences nothing: LK102"]


def test_a_comment_for_the_file(check: Check) -> None:
    assert check("leak()\n# leaklint: file-ignore[LK101]\nleak() double()\n") == ["3 LK102 `double` in app"]


def test_unused_comments_are_findings_of_their_own(check: Check) -> None:
    assert check("x = 1  # leaklint: ignore\n") == ["1 LK002 silences nothing"]
    assert check("x = 1  # leaklint: ignore[LK101, LK1]\n") == ["1 LK002 silences nothing: LK101, LK1"]
    assert check("x = 1  # leaklint: file-ignore[LK101]\n") == ["1 LK002 silences nothing: LK101"]
    assert check("x = 1  # noqa\ny = 1  # noqa: LK101\n") == []


def test_unknown_codes_are_named(check: Check) -> None:
    assert check("leak()  # leaklint: ignore[LK101, LK9]\n") == ["1 LK002 no such code: LK9"]
    assert check("leak()  # leaklint: ignore[LK9, LK102]\n") == [f"1 {LEAK}", "1 LK002 no such code: LK9"]


def test_rules_that_did_not_run_may_have_needed_the_comment(check: Check) -> None:
    comments = "x = 1  # leaklint: ignore[LK101]\ny = 1  # leaklint: ignore\nz = 1  # leaklint: ignore[LK1]\n"
    assert len(check(comments)) == 3
    assert check(comments, ignore=("LK102",)) == ["1 LK002 silences nothing: LK101"]
    assert check(comments, select=("LK002", "LK2")) == []
    assert check("x = 1  # leaklint: ignore[LK103]\n") == []
    assert check("x = 1  # leaklint: ignore[LK103]\n", extend_select=("LK103",)) == ["1 LK002 silences nothing: LK103"]


def test_lk002_can_be_left_out(check: Check) -> None:
    assert check("x = 1  # leaklint: ignore\n", ignore=("LK002",)) == []
    assert check("x = 1  # leaklint: ignore[LK101, LK002]\n") == []
    assert check("# leaklint: file-ignore[LK002]\nx = 1  # leaklint: ignore[LK101]\n") == []


def test_a_comment_on_a_finding_that_is_not_sure_enough_is_used(check: Check) -> None:
    assert check("maybe()  # leaklint: ignore[LK201]\n") == []
    assert check("leak()  # leaklint: ignore[LK101]\n", confidence=Confidence.PROVEN) == []


def test_per_file_ignores(project: Path, write: Write, uncached: Settings) -> None:
    write({"tests/a.py": "leak() double()", "tests/deep/b.py": "leak()", "app/tests.py": "leak()", "app/c.py": "leak() double()"})
    settings = msgspec.structs.replace(uncached, root=str(project), per_file_ignores={"tests/": ("LK101",), "/app/*.py": ("LK102", "LK2")})
    for paths in (["."], [str(project)], ["tests", "app"]):
        found = {(Path(finding.path).name, finding.code) for finding in run(paths, settings).findings}
        assert found == {("a.py", "LK102"), ("tests.py", "LK101"), ("c.py", "LK101")}
