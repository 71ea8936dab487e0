"""`leaklint rules` and `leaklint explain`: what the catalogue says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

import click
import msgspec

from leaklint.cli.codes import cards, complete_rule
from leaklint.cli.terminal import write, write_bytes
from leaklint.errors import LeaklintError

if TYPE_CHECKING:
    from leaklint.catalog.grammar import Card


class Row(msgspec.Struct, frozen=True):
    """One rule in `rules --format json`."""

    code: str
    name: str
    family: str
    says: str
    on: bool


@click.command()
@click.option("--format", "layout", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What to print.")
def rules(layout: str) -> None:
    """List the rules, those of [tool.leaklint] extend-rules included."""
    rows = [Row(card.code, card.name, card.family, card.says, card.on) for card in cards()]
    if layout == "json":
        write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
    else:
        write("".join(f"{line}\n" for line in _table(rows)))


@click.command()
@click.argument("code", shell_complete=complete_rule)
def explain(code: str) -> None:
    """Explain one rule, given by its code or its name: what it finds, an example, and the mend."""
    for card in cards():
        if code.lower() in (card.code.lower(), card.name):
            write("".join(f"{line}\n" for line in _page(card)))
            return
    raise LeaklintError(f'no rule has the code or the name "{code}"; `leaklint rules` lists them')


def _table(rows: list[Row]) -> Iterator[str]:
    width = max((len(row.name) for row in rows), default=0)
    for family, members in groupby(rows, key=lambda row: row.family):
        yield f"{family}"
        for row in members:
            yield f"  {row.code}  {row.name:<{width}}  {row.says}{'' if row.on else ' (off by default)'}"


def _page(card: Card) -> Iterator[str]:
    yield f"{card.code} {card.name}{'' if card.on else ' (off by default)'}"
    yield ""
    yield card.says
    yield ""
    yield card.prose
    for title, programs in (("Leaks", card.leaks), ("Fixed", card.fixed)):
        for program in programs:
            yield ""
            yield f"{title}:"
            yield ""
            yield from (f"    {line}".rstrip() for line in program.rstrip().split("\n"))
    if card.mends:
        yield ""
        yield "Mend:"
        yield ""
        yield from dict.fromkeys(f"    {_named(mend)}" for mend in card.mends.values())


def _named(template: str) -> str:
    """The names of the facts where a finding has the facts."""
    from leaklint.catalog.cards import template_fields

    return template.format_map({name: name for name in template_fields(template)})
