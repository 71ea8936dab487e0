"""Text becomes libcst's tree and then a full summary; whatever the parser refuses becomes a Problem of one line."""

from __future__ import annotations

import ast
import re
import sys
import threading
import warnings

import libcst as cst

from leaklint.collector import paused
from leaklint.ir import Problem, Summary
from leaklint.lower import nesting
from leaklint.lower.statements import lower_tree
from leaklint.lower.walk import MAX_DEPTH, TooDeepError

_STACK = 128 * 1024 * 1024
"""Bytes. The parser takes some 1,000 for a link or an `elif`, of which `nesting` lets 3,000 pass."""
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
    with paused():
        try:
            return lower_tree(cst.parse_module(text), text)
        except cst.ParserSyntaxError as error:
            return _refusal(error, text)
        except TooDeepError as error:
            line, column = error.args
            return Problem(f"nested too deeply: an expression of more than {MAX_DEPTH} levels", line, column)


def _on_a_big_stack(text: str) -> Summary | Problem:
    """The stack size and the recursion limit are the process's own, so both are put back."""
    results: list[Summary | Problem] = []

    def work() -> None:
        try:
            results.append(_parse(text))
        except RecursionError:
            results.append(Problem("nested too deeply for this version of Python", 1, 1))

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


_GAVE_UP = re.compile(r"error at (\d+):")


def _refusal(error: cst.ParserSyntaxError, text: str) -> Problem:
    """Python says what is wrong and where; libcst names a later token and all that it would have taken instead."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as better:
        return Problem(better.msg.partition("\n")[0], better.lineno or 1, max(better.offset or 1, 1))
    except (ValueError, MemoryError, RecursionError):
        pass
    gave_up = _GAVE_UP.search(error.message)
    return Problem("libcst cannot parse this, though Python can", int(gave_up[1]) if gave_up else error.raw_line, 1)
