"""What the tests of `lower` compare: all nodes of a summary, and summaries without spans and sites."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from leaklint import ir


def nodes(root: object) -> Iterator[msgspec.Struct]:
    todo = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, msgspec.Struct):
            yield node
            todo += (getattr(node, name) for name in node.__struct_fields__)
        elif isinstance(node, tuple):
            todo += node


def without(node: object, *ignored: str) -> object:
    """`node` as nested tuples, without the fields `ignored`."""
    if isinstance(node, msgspec.Struct):
        kept = (name for name in node.__struct_fields__ if name not in ignored)
        return (type(node).__name__, *(without(getattr(node, name), *ignored) for name in kept))
    if isinstance(node, tuple):
        return tuple(without(item, *ignored) for item in node)
    return node


def resolved(node: object, summary: ir.Summary) -> object:
    """`node` as nested tuples without sites; a lambda stands for itself instead of its number.
    Inside a template, whose span an outline gives to everything in it, without spans too."""
    if isinstance(node, ir.Template):
        return without(node, "at", "site")
    if isinstance(node, ir.Lambda):
        function = summary.functions[node.function]
        return ("Lambda", function.qualname, resolved(function.parameters, summary), resolved(function.body, summary), function.at)
    if isinstance(node, msgspec.Struct):
        kept = (name for name in node.__struct_fields__ if name != "site")
        return (type(node).__name__, *(resolved(getattr(node, name), summary) for name in kept))
    if isinstance(node, tuple):
        return tuple(resolved(item, summary) for item in node)
    return node
