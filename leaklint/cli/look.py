"""`leaklint dump`: what the stages know, for whoever works on a rule or on the analysis."""

from __future__ import annotations

from collections.abc import Iterable

import click

from leaklint.cli.program import PATHS, modules_of, program_of
from leaklint.cli.terminal import write


@click.command()
@PATHS
@click.option("--program", "linked", is_flag=True, help="The units and operations of all files together, not the summary of each.")
def dump(paths: tuple[str, ...], linked: bool) -> None:
    """Print what is known of each file, or with --program of all of them together."""
    if linked:
        from leaklint.link.dump import dump as dump_program

        write(_text(dump_program(program_of(paths))))
    else:
        from leaklint.lower.dump import dump as dump_summary

        for module in modules_of(paths):
            write(_text([f"# {module.path}: module {module.name}", *dump_summary(module.summary)]))


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
