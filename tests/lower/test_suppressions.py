"""Which comments silence what."""

from __future__ import annotations

import pytest

from leaklint.ir import Span, Suppression
from leaklint.lower import lower


def found(source: str) -> list[tuple[str, tuple[str, ...], bool, str]]:
    return [(s.style, s.codes, s.whole_file, s.reason) for s in lower(source.encode()).suppressions]


def line(*codes: str, reason: str = "") -> list[tuple[str, tuple[str, ...], bool, str]]:
    return [("leaklint", codes, False, reason)]


def file(*codes: str, reason: str = "") -> list[tuple[str, tuple[str, ...], bool, str]]:
    return [("leaklint", codes, True, reason)]


def noqa(*codes: str, whole_file: bool = False) -> list[tuple[str, tuple[str, ...], bool, str]]:
    return [("noqa", codes, whole_file, "")]


COMMENTS = {
    "# leaklint: ignore": line(),
    "#leaklint:ignore": line(),
    "# leaklint: ignore[LK103]": line("LK103"),
    "# leaklint: ignore[LK103,LK101] drained by the caller": line("LK103", "LK101", reason="drained by the caller"),
    "# leaklint: ignore[ lk103 , LK101 ] -- why": line("LK103", "LK101", reason="why"),
    "# leaklint: ignore the queue is drained": line(reason="the queue is drained"),
    "# leaklint: file-ignore": file(),
    "# leaklint: file-ignore[LK103] generated": file("LK103", reason="generated"),
    "# type: ignore # leaklint: ignore[LK103]": line("LK103"),
    "# leaklint: ignore[LK103] why # noqa: E501": line("LK103", reason="why"),
    "# leaklint: ignore[LK103] # noqa: LK101": line("LK103") + noqa("LK101"),
    "# leaklint: ignored": [],
    "# leaklint: ignore-next": [],
    "# leaklint: ignore[]": [],
    "# leaklint: ignore[LK103": [],
    "# leaklint: nothing": [],
    "# noqa": noqa(),
    "# NoQA": noqa(),
    "# noqa because": noqa(),
    "# noqa:LK103": noqa("LK103"),
    "# noqa: lk103, E501": noqa("LK103"),
    "# noqa: E501": [],
    "# noqa: E501 LK103,W1": noqa("LK103"),
    "# pragma: no cover # noqa": noqa(),
    "# noqa-like": [],
    "# flake8: noqa": noqa(whole_file=True),
    "# FLAKE8: NOQA": noqa(whole_file=True),
    "# flake8: noqa: LK103": noqa("LK103", whole_file=True),
    "# flake8: noqa: E501": [],
    "# flake8: noqa and more": [],
    "# a plain comment": [],
}


@pytest.mark.parametrize("comment", COMMENTS)
@pytest.mark.parametrize("before", ["", "import asyncio\n"])
def test_comment(comment: str, before: str) -> None:
    assert found(f"{before}{comment}\n") == COMMENTS[comment]
    assert found(before + comment) == COMMENTS[comment]


@pytest.mark.parametrize(
    "source",
    [
        "x = '# noqa'",
        'x = "a\\"# noqa"',
        "x = '''\n# noqa\n'''",
        'x = """\n\\"""# noqa\n"""',
        "x = f'{a}# leaklint: ignore'",
        "noqa = leaklint",
    ],
)
def test_only_comments_count(source: str) -> None:
    assert found(source) == []
    assert found(source + "  # noqa") == noqa()


def test_file_level_noqa_stands_alone() -> None:
    assert found("x = 1  # flake8: noqa") == []
    assert found("def f():\n    # flake8: noqa\n    pass") == noqa(whole_file=True)


def test_place() -> None:
    summary = lower("é = f(\n  1,  # noqa  \n)  # leaklint: ignore".encode())
    assert summary.suppressions == (
        Suppression("noqa", (), False, "", Span(2, 7, 2, 13)),
        Suppression("leaklint", (), False, "", Span(3, 4, 3, 22)),
    )


def test_a_file_that_does_not_parse_keeps_them() -> None:
    summary = lower(b"print 'x'  # noqa\n'''open\n# leaklint: ignore\n")
    assert summary.problem is not None
    assert [s.style for s in summary.suppressions] == ["noqa", "leaklint"]
