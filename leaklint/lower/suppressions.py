"""Comments that silence findings: ours, and flake8's `noqa`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from leaklint.ir import Span, Suppression
from leaklint.lower.nesting import STRING

_MENTION = re.compile(r"leaklint:|noqa", re.IGNORECASE)
_COMMENT = re.compile(rf"(?P<comment>\#[^\n]*) | {STRING}", re.VERBOSE | re.DOTALL)
_OURS = re.compile(r"#\s*leaklint:\s*(?P<file>file-)?ignore(?![\w-])\s*(?:\[(?P<codes>[^\]#]*)\](?!\w))?(?P<reason>[^#]*)")
_CODES = r"(?::\s?(?P<codes>(?:[A-Z]+[0-9]+(?:[,\s]+)?)+))?"
_NOQA = re.compile(rf"# noqa(?![\w-]){_CODES}", re.IGNORECASE)
_NOQA_FILE = re.compile(rf"# flake8[:=]\s*noqa(?![\w-]){_CODES}\s*$", re.IGNORECASE)


def find(text: str) -> tuple[Suppression, ...]:
    """Every suppression of the file in the order of its comments; its span is the comment.

    Comments are told from strings by their tokens alone, so that a file that does not parse keeps its suppressions and every
    version of Python finds the same.
    """
    if "leaklint:" not in text and "noqa" not in text.lower():
        return ()
    found: list[Suppression] = []
    for match in _COMMENT.finditer(text):
        comment = match["comment"]
        if comment is not None and _MENTION.search(comment):
            line = text.count("\n", 0, match.start()) + 1
            begin = text.rfind("\n", 0, match.start())
            column = match.start() - begin
            at = Span(line, column, line, column + len(comment.rstrip()))
            is_alone = not text[begin + 1 : match.start()].strip()
            found += _read(comment.rstrip(), at, is_alone)
    return tuple(found)


def _read(comment: str, at: Span, is_alone: bool) -> Iterator[Suppression]:
    for match in _OURS.finditer(comment):
        codes = _split(match["codes"])
        reason = match["reason"].strip()
        is_broken = reason.startswith("[") if match["codes"] is None else not codes
        if not is_broken:
            yield Suppression("leaklint", codes, match["file"] is not None, reason.lstrip("-–—: "), at)
    if is_alone and (whole_file := _NOQA_FILE.match(comment)):
        yield from _noqa(whole_file["codes"], True, at)
    elif line := _NOQA.search(comment):
        yield from _noqa(line["codes"], False, at)


def _noqa(listed: str | None, whole_file: bool, at: Span) -> Iterator[Suppression]:
    """A list that names none of our codes silences nothing of ours."""
    codes = tuple(code for code in _split(listed) if code.startswith("LK"))
    if codes or listed is None:
        yield Suppression("noqa", codes, whole_file, "", at)


def _split(codes: str | None) -> tuple[str, ...]:
    return tuple(code.upper() for code in re.split(r"[,\s]+", codes or "") if code)
