"""Summaries and models in, one program out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leaklint.catalog.grammar import Models
from leaklint.ir import Module


@dataclass(frozen=True, slots=True)
class Program:
    modules: tuple[Module, ...]
    models: Models


def link(modules: Sequence[Module], models: Models) -> Program:
    """Resolve names, apply the models and solve the flow of objects."""
    return Program(tuple(modules), models)
