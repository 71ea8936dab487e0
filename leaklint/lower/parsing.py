"""Text becomes libcst's tree and then a full summary; whatever the parser refuses becomes a Problem of one line."""

from __future__ import annotations

import ast
import gc
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import libcst as cst

from leaklint.ir import Problem, Summary
from leaklint.lower import nesting
from leaklint.lower.statements import lower_tree
from leaklint.lower.walk import TooDeepError

_STACK = 128 * 1024 * 1024
"""Bytes. The parser takes some 1,000 for a link or an `elif`, of which `nesting` lets 5,000 pass."""
_RECURSION = 60_000


def parse(text: str) -> Summary | Problem:
    """The full summary without suppressions."""
    shape = nesting.measure(text)
    if shape.problem is not None:
        return shape.problem
    if not shape.is_deep:
        try:
            return _parse(text)
        except RecursionError:
            pass
    return _on_a_big_stack(text)


def _parse(text: str) -> Summary | Problem:
    with _no_collection():
        try:
            return lower_tree(cst.parse_module(text), text)
        except cst.ParserSyntaxError as error:
            return _refusal(error, text)
        except TooDeepError as error:
            line, column = error.args
            return Problem("nested too deeply: expressions", line, column)


def _on_a_big_stack(text: str) -> Summary | Problem:
    """The stack size and the recursion limit are the process's own, so both are put back."""
    results: list[Summary | Problem] = []

    def work() -> None:
        try:
            results.append(_parse(text))
        except RecursionError:
            results.append(Problem("nested too deeply", 1, 1))

    limit, size = sys.getrecursionlimit(), threading.stack_size(_STACK)
    try:
        sys.setrecursionlimit(max(limit, _RECURSION))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(size)
        sys.setrecursionlimit(limit)
    return results[0]


@contextmanager
def _no_collection() -> Iterator[None]:
    """A tree has no cycles: collecting while it grows costs a third of the time and finds nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


_GAVE_UP = re.compile(r"error at (\d+):(\d+): expected ([^\n]*)")
_TOKEN = re.compile(r"\w+|\"[^\"\n]*\"|'[^'\n]*'|\*\*|//|->|:=|[=!<>]=|\S")


def _refusal(error: cst.ParserSyntaxError, text: str) -> Problem:
    """libcst's message in one line, without the page of tokens it would have liked better."""
    gave_up = _GAVE_UP.search(error.message)
    if gave_up is None:
        return Problem(error.message.removeprefix("tokenizer error: ").partition("\n")[0], *_place_by_python(text))
    line, end, expected = int(gave_up[1]), int(gave_up[2]), gave_up[3]
    if expected == "INDENT":
        return Problem("expected an indented block", line, 1)
    lines = text.split("\n")
    if line > len(lines) or not lines[line - 1].strip():
        return Problem("unexpected end of file", line, 1)
    for token in _TOKEN.finditer(lines[line - 1]):
        if token.end() >= end:
            return Problem(f"unexpected {token[0]}", line, token.start() + 1)
    return Problem("unexpected end of line", line, end + 1)


def _place_by_python(text: str) -> tuple[int, int]:
    """The parser does not say where its tokenizer failed; Python's own fails at the same place."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        return error.lineno or 1, max(error.offset or 1, 1)
    except (ValueError, MemoryError, RecursionError):
        pass
    return 1, 1
