"""Comma separated arguments, and the codes and names of rules with their tab completion."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from leaklint.settings import load

if TYPE_CHECKING:
    from leaklint.catalog.grammar import Card

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def cards() -> Collection[Card]:
    """The shipped rules and those of the project in the working directory, in the order of their codes."""
    from leaklint.catalog import load_catalog  # late: a run over unchanged files does without

    settings = load(["."])
    return load_catalog([Path(folder) for folder in settings.extend_rules], settings.models).cards.values()


def lists(name: str, metavar: str, text: str, complete: Complete | None = None) -> Callable[[click.decorators.FC], click.decorators.FC]:
    """An option that takes several values: comma separated, given several times, or both."""
    return click.option(name, multiple=True, metavar=metavar, callback=_joined, shell_complete=complete, help=text)


def complete_codes(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    before, comma, last = incomplete.rpartition(",")
    return [CompletionItem(f"{before}{comma}{card.code}", help=card.name) for card in cards() if card.code.startswith(last.upper())]


def complete_rule(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    names = [CompletionItem(card.name, help=card.says) for card in cards() if incomplete and card.name.startswith(incomplete)]
    return [*complete_codes(ctx, parameter, incomplete), *names]


def _joined(ctx: click.Context, parameter: click.Parameter, values: Sequence[str]) -> tuple[str, ...] | None:
    """None, which leaves the choice to the settings, when the option was not given."""
    return tuple(part for value in values for part in map(str.strip, value.split(",")) if part) if values else None
