"""`leaklint dump` and `leaklint graph`: what the stages know, for whoever works on a rule or on the analysis."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import click

from leaklint.cli.terminal import write
from leaklint.errors import LeaklintError
from leaklint.finding import FileError
from leaklint.ir import Module
from leaklint.settings import load

if TYPE_CHECKING:
    from leaklint.link import Program

PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path())


class Layout(StrEnum):
    DOT = "dot"
    JSON = "json"


@click.command()
@PATHS
@click.option("--program", "linked", is_flag=True, help="The units and operations of all files together, not the summary of each.")
def dump(paths: tuple[str, ...], linked: bool) -> None:
    """Print what is known of each file, or with --program of all of them together."""
    if linked:
        from leaklint.link.dump import dump as dump_program

        write(_text(dump_program(_program(paths))))
    else:
        from leaklint.lower.dump import dump as dump_summary

        for module in _modules(paths):
            write(_text([f"# {module.path}: module {module.name}", *dump_summary(module.summary)]))


@click.command()
@PATHS
@click.option(
    "--format", "layout", type=click.Choice([one.value for one in Layout]), default="dot", show_default=True, help="What to write."
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write here instead of to stdout.")
def graph(paths: tuple[str, ...], layout: str, output: Path | None) -> None:
    """Print the graph of units and channels, for Graphviz or as JSON."""
    from leaklint.graph import build

    drawn = build(_program(paths))
    text = drawn.to_dot() if layout == Layout.DOT else json.dumps(drawn.to_json(), indent=2, ensure_ascii=False)
    text = f"{text.rstrip()}\n"
    if output is None:
        write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LeaklintError(f"--output: {output}: cannot be written: {error.strerror}") from None


def _program(paths: Sequence[str]) -> Program:
    from leaklint.catalog import load_catalog
    from leaklint.link import link

    settings = load(paths)
    models = load_catalog([Path(folder) for folder in settings.extend_rules], settings.models).models
    return link(list(_modules(paths)), models)


def _modules(paths: Sequence[str]) -> Iterator[Module]:
    from leaklint.lower import lower
    from leaklint.sources import find, read

    sources, errors = find(paths, load(paths))
    for error in errors:
        click.echo(f"leaklint: {error.path}: {error.message}", err=True)
    for source in sources:
        match read(source):
            case bytes(content):
                yield Module(source.module, source.path, source.is_package, lower(content))
            case FileError() as error:
                click.echo(f"leaklint: {error.path}: {error.message}", err=True)


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
