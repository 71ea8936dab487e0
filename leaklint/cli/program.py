"""The files that the command line names, as modules and as the program that they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from leaklint.finding import FileError
from leaklint.ir import Module
from leaklint.settings import load

if TYPE_CHECKING:
    from leaklint.link import Program

PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path())


def program_of(paths: Sequence[str]) -> Program:
    """What the files make together; what could not be read is told on stderr."""
    from leaklint import engine

    program, errors = engine.linked(paths, load(paths))
    tell(errors)
    return program


def tell(errors: Iterable[FileError]) -> None:
    for error in errors:
        click.echo(f"leaklint: {error.path}: {error.message}", err=True)


def modules_of(paths: Sequence[str]) -> Iterator[Module]:
    """The files one by one, each lowered anew."""
    from leaklint.lower import lower
    from leaklint.sources import find, read

    sources, errors = find(paths, load(paths))
    tell(errors)
    for source in sources:
        match read(source):
            case bytes(content):
                yield Module(source.module, source.path, source.is_package, lower(content))
            case FileError() as error:
                tell([error])
