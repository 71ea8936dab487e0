"""The bytes of one file become its summary; libcst never leaves this package.

A lexical screen decides how much is worth doing. What may hold concurrency or a leak is parsed by libcst and lowered in full;
the rest, four files in five of a large application, gets an *outline* from the standard library's `ast`: see `outline`.
"""

from __future__ import annotations

import msgspec

from leaklint.ir import Problem, Summary
from leaklint.lower.decoding import decode
from leaklint.lower.outline import outline
from leaklint.lower.screen import may_leak
from leaklint.lower.suppressions import find

__all__ = ["lower"]


def lower(source: bytes) -> Summary:
    """The summary of a file, from nothing but its bytes. What does not parse has a `problem`, its suppressions and nothing else."""
    text = decode(source)
    if isinstance(text, Problem):
        return Summary((), (), (), text, False, False)
    suppressions = find(text)
    summary = _lower(text, needs_body=may_leak(source))
    if isinstance(summary, Problem):
        return Summary((), (), suppressions, summary, False, False)
    return msgspec.structs.replace(summary, suppressions=suppressions) if suppressions else summary


def _lower(text: str, *, needs_body: bool) -> Summary | Problem:
    if not needs_body and (summary := outline(text)) is not None:
        return summary
    # Outlines alone need no libcst, whose import takes as long as a hundred of them.
    from leaklint.lower.parsing import parse

    return parse(text)
