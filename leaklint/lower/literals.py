"""Literals: from the source of a constant to `ir.Constant`."""

from __future__ import annotations

import ast
import re
import warnings

from leaklint.ir import Constant

MAX_TEXT = 200

_PLAIN = re.compile(r"[uU]?(?:'''|\"\"\"|'|\")")
_RAW = re.compile(r"[rR](?:'''|\"\"\"|'|\")")

NONE = Constant("none", "None")
TRUE = Constant("bool", "True")
FALSE = Constant("bool", "False")
ELLIPSIS = Constant("ellipsis", "...")
NAMED = {"None": NONE, "True": TRUE, "False": FALSE}


def text(value: str) -> Constant:
    """Lone surrogates, which no file could hold, keep their escapes."""
    shown = value[:MAX_TEXT]
    return Constant("str", shown if shown.isascii() else shown.encode("utf-8", "backslashreplace").decode())


def is_bytes(literal: str) -> bool:
    return literal[0] in "bB" or (literal[0] in "rR" and literal[1] in "bB")


def string(literal: str) -> Constant:
    """One string or bytes literal with its prefix and quotes."""
    if is_bytes(literal):
        return Constant("bytes", literal)
    return text(value(literal))


def value(literal: str) -> str:
    """What a str literal stands for."""
    match = _PLAIN.match(literal)
    if match is None or "\\" in literal:
        match = _RAW.match(literal)
        if match is None:
            return str(evaluate(literal))
    begin = match.end()
    quote = begin - 1 if literal[0] in "rRuU" else begin
    return literal[begin:-quote]


def evaluate(literal: str) -> str | bytes:
    """The value of a literal with escapes. Where Python refuses the escapes (`"\\x"`), the source between the quotes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = ast.literal_eval(literal)
        except (SyntaxError, ValueError):
            return literal.strip("bBuUrR").strip("\"'")
    assert isinstance(result, (str, bytes))
    return result


def joined_bytes(value: bytes) -> Constant:
    """Several bytes literals in a row have no source of their own: the canonical literal stands for them."""
    return Constant("bytes", repr(value))
