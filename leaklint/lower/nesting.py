"""How deep a text nests, judged from its tokens alone: the native parser overflows its stack on what is too deep."""

from __future__ import annotations

import re

from msgspec import Struct

from leaklint.ir import Problem
from leaklint.lower.walk import MAX_DEPTH

MAX_BRACKETS = 200
"""CPython's own limit (`MAXLEVEL` in its tokenizer)."""
MAX_LINKS = 1_000
"""Operators, calls and attributes in one expression. libcst takes quadratic time for them, and a native stack frame or more for each."""
MAX_ELIFS = 3_000
MAX_STRINGS = 3_000
"""Of one implicit concatenation. libcst takes no more and does not say so."""

_DEEP_LINKS = 100
_DEEP_ELIFS = 60

STRING = r"""
    \"\"\"[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*\"\"\" | '''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''
  | "[^"\\\n]*(?:\\.[^"\\\n]*)*" | '[^'\\\n]*(?:\\.[^'\\\n]*)*'
"""
_TOKEN = re.compile(
    rf"""\#[^\n]* | {STRING} | [\n()\[\]{{}},;] | \\\n | [=!<>:]= | = | [-+*/%@&|^~<>.]
    | \b(?:not|and|or|if|elif|else|lambda|await|in|is|for|yield|from)\b""",
    re.VERBOSE | re.DOTALL,
)


class Nesting(Struct, frozen=True):
    """`is_deep`: the parser and a recursive walk want a bigger stack than usual. `problem`: nobody should try."""

    is_deep: bool
    problem: Problem | None


def measure(text: str) -> Nesting:
    """Bounds from above, in one scan: open brackets, links of one expression, branches of one `if`."""
    links = trailers = strings = most = elifs = 0
    around: list[tuple[int, int]] = []
    for match in _TOKEN.finditer(text):
        token = match.group()
        first = token[0]
        if first == "\n":
            if not around:
                links = trailers = strings = 0
        elif first in "([{":
            around.append((links, trailers))
            links, trailers = links + 1, 0
            if len(around) > MAX_BRACKETS:
                return _refused(text, match.start(), f"more than {MAX_BRACKETS} nested brackets")
        elif first == "}":
            links, trailers = around.pop() if around else (0, 0)
        elif first in ")].":
            links, trailers = around.pop() if around and first != "." else (links, trailers)
            links, trailers = links + 1, trailers + 1
            if trailers > MAX_DEPTH:
                return _refused(text, match.start(), f"more than {MAX_DEPTH} calls, attributes and subscripts in a row")
        elif token in ",;=":
            links, trailers, strings = around[-1][0] + 1 if around else 0, 0, 0
        elif first in "\"'":
            strings += 1
            if strings > MAX_STRINGS:
                return _refused(text, match.start(), f"more than {MAX_STRINGS} strings in a row")
            if len(token) > MAX_BRACKETS and (problem := _inside(text, match.start(), token)):
                return Nesting(True, problem)
        elif token == "elif":
            elifs += 1
        elif first not in "#\\":
            links, trailers = links + 1, 0
        if links > most:
            most = links
            if most > MAX_LINKS:
                return _refused(text, match.start(), f"an expression of more than {MAX_LINKS} operators")
    if elifs > MAX_ELIFS:
        return _refused(text, 0, f"more than {MAX_ELIFS} elif branches")
    return Nesting(most > _DEEP_LINKS or elifs > _DEEP_ELIFS, None)


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column of the character at `offset`."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _inside(text: str, start: int, token: str) -> Problem | None:
    """What the expressions inside a long f-string nest; nothing for any other string."""
    prefix = text[max(0, start - 2) : start].lower()
    if not prefix.endswith(("f", "t", "fr", "tr")):
        return None
    quotes = 3 if token[:3] in ('"""', "'''") else 1
    problem = measure(token[quotes:-quotes]).problem
    return problem and Problem(problem.message, *place(text, start))


def _refused(text: str, offset: int, message: str) -> Nesting:
    return Nesting(True, Problem(f"nested too deeply: {message}", *place(text, offset)))
