"""The channel graph of a program."""

from __future__ import annotations

from dataclasses import dataclass

from leaklint.link import Program


@dataclass(frozen=True, slots=True)
class Graph:
    program: Program


def build(program: Program) -> Graph:
    return Graph(program)
