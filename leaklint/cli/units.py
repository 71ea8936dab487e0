"""`leaklint units`: every unit of a program, and how it exits."""

from __future__ import annotations

import shutil
from enum import StrEnum

import click

from leaklint import __version__
from leaklint.cli.program import PATHS, program_of
from leaklint.cli.terminal import Color, wants_color, write, write_bytes


class Layout(StrEnum):
    TEXT = "text"
    JSON = "json"


@click.command()
@PATHS
@click.option("--format", "layout", type=click.Choice(list(map(str, Layout))), default="text", show_default=True, help="How to print them.")
@click.option("--no-exit", is_flag=True, help="List only the units that no exit was found for.")
@click.option(
    "--color", type=click.Choice(list(map(str, Color))), default="auto", show_default=True, help="auto heeds NO_COLOR, FORCE_COLOR."
)
def units(paths: tuple[str, ...], layout: str, no_exit: bool, color: str) -> None:
    """List tasks, threads, processes, jobs, timers and callbacks: where they start, how many, who owns them, what they wait for without a
    bound, and how they exit.

    All paths together are one program.
    """
    import msgspec

    from leaklint.exits import Verdict
    from leaklint.graph import build
    from leaklint.report.units import WIDTH, closing, render
    from leaklint.roster import Roster, roster

    program = program_of(paths)
    rows = roster(build(program))
    shown = tuple(row for row in rows if row.verdict is Verdict.NO_EXIT) if no_exit else rows
    if layout == Layout.JSON:
        whole = Roster(__version__, len(program.modules), shown)
        write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n")
        return
    width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
    write("".join(f"{line}\n" for line in render(shown, wants_color(Color(color)), width)))
    write(f"{closing(rows)}\n")
