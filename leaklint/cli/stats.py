"""`leaklint graph --stats`: how much is known of the resources of a program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from leaklint.errors import LeaklintError

if TYPE_CHECKING:
    from leaklint.link import Program

STATS = click.option("--stats", is_flag=True, help="Instead of the graph, count what is known of each kind of resource; a table, or JSON.")
LIST = click.option(
    "--list", "listed", type=click.Choice(["unknown", "escapes", "resolved"]), help="With --stats: also name the resources that are so."
)


def counted(program: Program, layout: str, listed: str | None) -> str:
    """The table for the default layout, else JSON."""
    from leaklint.knowledge import Standing, survey
    from leaklint.stats import count, table

    if layout not in ("dot", "json"):
        raise LeaklintError(f"--stats prints a table, or JSON with --format json; not {layout}")
    stats = count(survey(program), Standing(listed) if listed is not None else None)
    return json.dumps(stats, indent=2, ensure_ascii=False) if layout == "json" else "\n".join(table(stats))


__all__ = ["LIST", "STATS", "counted"]
