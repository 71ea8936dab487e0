"""Expectations that stand in the code of fixtures and cards, and how the findings of a run differ from them."""

from __future__ import annotations

import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

_MARK = re.compile(r"#\s*(?P<word>[a-z][a-z-]*):\s*(?P<rest>[^#]*)")
_CODE = re.compile(r"LK\d{3}\Z")


class Says(StrEnum):
    """What a mark says about its line."""

    LEAK = "leak"  # a finding is due
    MISSED = "missed"  # a finding would be due, and none is made: a known missed alarm
    FALSE_ALARM = "false-alarm"  # no finding is due, and one is made: a known false alarm
    OP = "op"  # the program's operations on this line


_WORDS = frozenset(says.value for says in Says)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file, counted from 1, and a code."""

    path: str
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.code}"


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark. The code of an `op` mark is its text: the operation and what it acts on."""

    says: Says
    place: Place


class BadMark(ValueError):
    """A comment that looks like a mark and is none."""


def marks(path: str, source: str) -> Iterator[Mark]:
    """The marks of one file, in its order: `# leak: LK201, LK304`, `# op: send q`, several of them in one comment.

    Raises BadMark for a code under an unknown word and for a known word without a code.
    """
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            for found in _MARK.finditer(token.string):
                yield from _read(found["word"], found["rest"].strip(), path, token.start[0])


def differences(expected: Iterable[Mark], found: Iterable[Place]) -> list[str]:
    """One line, sorted by place, for each way in which the findings are not as marked; a finding made twice counts twice."""
    made = Counter(found)
    told: list[tuple[Place, str]] = []
    for mark in expected:
        is_made = made[mark.place] > 0
        match mark.says:
            case Says.LEAK:
                made[mark.place] -= is_made
                if not is_made:
                    told.append((mark.place, "missed alarm: marked `leak`, not found"))
            case Says.FALSE_ALARM:
                made[mark.place] -= is_made
                if not is_made:
                    told.append((mark.place, "mended false alarm: take the mark away"))
            case Says.MISSED:
                made[mark.place] -= is_made
                if is_made:
                    told.append((mark.place, "mended missed alarm: mark it `leak`"))
            case Says.OP:
                pass
    told += [(place, "false alarm: found, not marked") for place in made.elements()]
    return [f"{place} {what}" for place, what in sorted(told)]


def _read(word: str, rest: str, path: str, line: int) -> Iterator[Mark]:
    codes = [code.strip() for code in rest.split(",")]
    if word == Says.OP:
        yield Mark(Says.OP, Place(path, line, rest))
    elif word in _WORDS and all(map(_CODE.match, codes)):
        for code in codes:
            yield Mark(Says(word), Place(path, line, code))
    elif word in _WORDS or any(map(_CODE.match, codes)):
        raise BadMark(f"{path}:{line}: `# {word}: {rest}` is no mark: {', '.join(Says)}, then codes")
