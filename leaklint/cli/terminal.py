"""What depends on the terminal: colour, progress, and how text leaves the process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum

import click

PATIENCE = 1.0
"""Seconds that a run may take before a progress bar appears."""


class Color(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def wants_color(choice: Color) -> bool:
    """Whether stdout is painted: as asked for, else as NO_COLOR and FORCE_COLOR say (no-color.org, force-color.org), else on a terminal."""
    match choice:
        case Color.ALWAYS:
            return True
        case Color.NEVER:
            return False
        case Color.AUTO:
            if os.environ.get("NO_COLOR"):
                return False
            if os.environ.get("FORCE_COLOR"):
                return True
            return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def write(text: str) -> None:
    """Print to stdout; what its encoding cannot hold, such as file names that are no text, is escaped."""
    write_bytes(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))


def write_bytes(content: bytes) -> None:
    click.echo(content, nl=False)


@contextmanager
def progress() -> Iterator[Callable[[int, int], None] | None]:
    """A function to call with (done, total), which draws a bar on stderr once the run takes longer than `PATIENCE`; None on a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    start = time.monotonic()
    with ExitStack() as open_bar:
        bar: click._termui_impl.ProgressBar[int] | None = None

        def advance(done: int, total: int) -> None:
            nonlocal bar
            if bar is None and time.monotonic() - start > PATIENCE:
                bar = open_bar.enter_context(click.progressbar(length=total, label="analysing", file=sys.stderr))
            if bar is not None:
                bar.update(done - bar.pos)

        yield advance
