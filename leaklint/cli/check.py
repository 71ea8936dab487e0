"""`leaklint check`: analyse, report, and say in the exit code whether anything was found."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import assert_never

import click

from leaklint import __version__
from leaklint.cli.codes import complete_codes, lists
from leaklint.cli.source import reader
from leaklint.cli.terminal import Color, progress, wants_color, write, write_bytes
from leaklint.finding import Confidence, Report
from leaklint.report.text import LinesOf
from leaklint.settings import Settings, load, override, read

STDIN = "-"


class Layout(StrEnum):
    TEXT = "text"
    FLAKE8 = "flake8"
    JSON = "json"


def _jobs(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """`auto`, one process for each processor, is 0 in the settings."""
    if value is None or value == "auto":
        return None if value is None else 0
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f'"{value}" is neither a number from 1 on nor "auto"', ctx, parameter)
    return int(value)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(allow_dash=True))
@click.option("--format", "layout", type=click.Choice(list(map(str, Layout))), default="text", show_default=True, help="What to print.")
@lists("--select", "CODES", "Codes or prefixes (LK103,LK2) to report, instead of the rules that are on.", complete_codes)
@lists("--extend-select", "CODES", "Codes or prefixes to report in addition.", complete_codes)
@lists("--ignore", "CODES", "Codes or prefixes not to report; the longest that fits decides.", complete_codes)
@lists("--exclude", "GLOBS", "What not to search for in folders, as in .gitignore; replaces the default.")
@lists("--extend-exclude", "GLOBS", "The same, in addition to --exclude or its default.")
@click.option("--confidence", type=click.Choice(list(map(str, Confidence))), help="The least sure findings to report.  [default: likely]")
@click.option("--jobs", metavar="N|auto", callback=_jobs, help="Processes; auto: one for each processor.  [default: auto]")
@click.option("--cache/--no-cache", default=None, help="Keep results for the next run.  [default: cache]")
@click.option("--stdin-filename", type=click.Path(), default="stdin.py", show_default=True, help="The name of stdin, whose path is `-`.")
@click.option("--config", type=click.Path(exists=True, dir_okay=False), help="Take [tool.leaklint] from this file.")
@click.option("--isolated", is_flag=True, help="Take settings from no file.")
@click.option(
    "--color", type=click.Choice(list(map(str, Color))), default="auto", show_default=True, help="auto heeds NO_COLOR, FORCE_COLOR."
)
@click.option("--statistics", is_flag=True, help="Say how often each code was found.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 whatever was found.")
@click.version_option(__version__, prog_name="leaklint", message="%(prog)s %(version)s")
@click.pass_context
def check(
    ctx: click.Context,
    /,
    paths: tuple[str, ...],
    layout: str,
    stdin_filename: str,
    config: str | None,
    isolated: bool,
    color: str,
    statistics: bool,
    exit_zero: bool,
    **options: object,
) -> None:
    """Look for leaks in files and folders; without PATHS in the working directory.

    All paths together are one program. Options stand above [tool.leaklint] of the nearest pyproject.toml, where they have the same names.

    Exit codes: 0 nothing found; 1 leaks found, or a file that could not be read; 2 a mistake in the command line, the settings, a
    rule or a model.
    """
    from leaklint import engine  # late: --version and --help need none of it

    if config and isolated:
        raise click.UsageError("--config and --isolated exclude each other")
    stdin = (stdin_filename, sys.stdin.buffer.read()) if STDIN in paths else None
    places = [path for path in paths if path != STDIN] or ([] if stdin else ["."])
    settings = override(_settings(places or [stdin_filename], config, isolated), options)
    start = time.perf_counter()
    with progress() as advance:
        report = engine.run(places, settings, progress=advance, stdin=stdin)
    seconds = time.perf_counter() - start
    _print(report, Layout(layout), wants_color(Color(color)), reader(stdin))
    if statistics:
        _count(report, Layout(layout), seconds)
    ctx.exit(1 if (report.findings or report.errors) and not exit_zero else 0)


def _settings(places: Sequence[str], config: str | None, isolated: bool) -> Settings:
    if isolated:
        return Settings()
    return read(config) if config else load(places)


def _print(report: Report, layout: Layout, color: bool, lines_of: LinesOf) -> None:
    """Findings go to stdout; errors and the closing line to stderr."""
    from leaklint.report import json, line, text

    match layout:
        case Layout.JSON:
            write_bytes(json.encode(report))
        case Layout.FLAKE8:
            write("".join(f"{line.line_of(finding)}\n" for finding in report.findings))
        case Layout.TEXT:
            write("".join(f"{row}\n" for row in text.render(report, lines_of, color)))
        case _:
            assert_never(layout)
    for error in report.errors:
        click.echo(f"leaklint: {error.path}: {error.message}", err=True)
    if layout is Layout.TEXT:
        click.echo(text.closing(report), err=True)


def _count(report: Report, layout: Layout, seconds: float) -> None:
    """Counts belong to the text; beside lines or JSON, which programs read, they go to stderr. Times always do: no two are equal."""
    from leaklint.report import text

    for row in text.statistics(report):
        click.echo(row, err=layout is not Layout.TEXT)
    click.echo(f"{seconds:.2f} s", err=True)
