"""`leaklint graph`: the units and channels of a program as a drawing."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import click

from leaklint.cli.program import PATHS, tell
from leaklint.cli.source import reader
from leaklint.cli.stats import LIST, STATS, counted
from leaklint.cli.terminal import write
from leaklint.errors import LeaklintError
from leaklint.finding import Finding
from leaklint.settings import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leaklint.picture import Drawing


class Layout(StrEnum):
    DOT = "dot"
    MERMAID = "mermaid"
    JSON = "json"
    HTML = "html"
    SVG = "svg"


@click.command()
@PATHS
@click.option("--format", "layout", type=click.Choice(list(map(str, Layout))), default="dot", show_default=True, help="What to write.")
@click.option("--focus", metavar="NAME", help="Only what is named so, or has this in its name, and its neighbourhood.")
@click.option("--around", metavar="FILE:LINE", help="Only what is made or used at this line, and its neighbourhood.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write here instead of to stdout.")
@STATS
@LIST
def graph(
    paths: tuple[str, ...],
    layout: str,
    focus: str | None,
    around: str | None,
    output: Path | None,
    stats: bool,
    listed: str | None,
) -> None:
    """Draw the graph of units and channels: who sends and receives, who starts whom, who owns what.

    html is a page of one file, with the source of every place and what leaklint finds there; svg and html need no other program, dot
    needs Graphviz, and Markdown shows mermaid in many places.
    """
    from leaklint import engine
    from leaklint.graph import build

    if listed is not None and not stats:
        raise LeaklintError("--list goes with --stats")
    settings = load(paths)
    findings: tuple[Finding, ...] = ()
    if layout == Layout.HTML and not stats:
        found, findings, errors = engine.examined(paths, settings)
    else:
        program, errors = engine.linked(paths, settings)
        found = build(program)
    tell(errors)
    if stats:
        text = counted(found.program, layout, listed)
    else:
        text = _drawn(_chosen(found.drawing, focus, around), Layout(layout), findings, ", ".join(paths))
    text = f"{text.rstrip()}\n"
    if output is None:
        write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LeaklintError(f"--output: {output}: cannot be written: {error.strerror}") from None


def _chosen(drawing: Drawing, focus: str | None, place: str | None) -> Drawing:
    """The neighbourhoods of both, when both are given."""
    from leaklint.picture.near import around, at_place, named

    if focus is None and place is None:
        return drawing
    centers = []
    if focus is not None:
        if not (found := named(drawing, focus)):
            raise LeaklintError(f'--focus: nothing in the graph has "{focus}" in its name')
        centers += found
    if place is not None:
        path, _, line = place.rpartition(":")
        if not path or not line.isdecimal():
            raise LeaklintError(f'--around: "{place}" is no place; give FILE:LINE')
        if not (found := at_place(drawing, path, int(line))):
            raise LeaklintError(f"--around: nothing in the graph is made or used at {place}")
        centers += found
    return around(drawing, centers)


def _drawn(drawing: Drawing, layout: Layout, findings: Sequence[Finding], title: str) -> str:
    from leaklint import picture

    match layout:
        case Layout.DOT:
            return picture.dot(drawing)
        case Layout.MERMAID:
            return picture.mermaid(drawing)
        case Layout.SVG:
            return picture.svg(drawing)
        case Layout.JSON:
            from leaklint.picture.near import connected

            return json.dumps(connected(drawing), indent=2, ensure_ascii=False)
        case Layout.HTML:
            from leaklint.picture.page import page

            return page(drawing, findings, reader(None), title)
        case _:
            assert_never(layout)
