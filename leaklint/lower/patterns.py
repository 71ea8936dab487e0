"""Patterns of `match`: what they compare with, what they capture, whether they take everything."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from leaklint import ir
from leaklint.lower.expressions import TreeWalk, expression


def tests(walk: TreeWalk, pattern: cst.CSTNode) -> Iterator[ir.Expr]:
    """The values and classes of the pattern, in the order of the source."""
    match pattern:
        case cst.MatchValue(value) | cst.MatchSingleton(value):
            yield expression(walk, value)
        case cst.MatchClass(cls):
            yield expression(walk, cls)
            for inner in _inner(pattern):
                yield from tests(walk, inner)
        case cst.MatchMapping(elements):
            for item in elements:
                yield expression(walk, item.key)
                yield from tests(walk, item.pattern)
        case _:
            for inner in _inner(pattern):
                yield from tests(walk, inner)


def captures(pattern: cst.CSTNode | None) -> Iterator[str]:
    """The names that the pattern binds; an alternative repeats those of the one before it and is not asked."""
    match pattern:
        case cst.MatchAs(aliased, name):
            yield from captures(aliased)
            if name is not None:
                yield name.value
        case cst.MatchStar(name):
            if name is not None:
                yield name.value
        case cst.MatchOr(patterns):
            yield from captures(patterns[0].pattern)
        case cst.MatchMapping(elements, rest=rest):
            for item in elements:
                yield from captures(item.pattern)
            if rest is not None:
                yield rest.value
        case None:
            return
        case _:
            for inner in _inner(pattern):
                yield from captures(inner)


def is_irrefutable(pattern: cst.CSTNode | None) -> bool:
    match pattern:
        case None:
            return True
        case cst.MatchAs(inner):
            return is_irrefutable(inner)
        case cst.MatchOr(patterns):
            return any(is_irrefutable(element.pattern) for element in patterns)
        case _:
            return False


def _inner(pattern: cst.CSTNode) -> Iterator[cst.CSTNode]:
    match pattern:
        case cst.MatchAs(aliased):
            if aliased is not None:
                yield aliased
        case cst.MatchOr(alternatives):
            for alternative in alternatives:
                yield alternative.pattern
        case cst.MatchSequence():
            for element in pattern.patterns:
                yield element.value if isinstance(element, cst.MatchSequenceElement) else element
        case cst.MatchClass(_, patterns, keywords):
            for positional in patterns:
                yield positional.value
            for keyword in keywords:
                yield keyword.pattern
        case _:
            return
