"""The files that the command line names, as modules and as the program that they make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from leaklint.finding import FileError
from leaklint.ir import Module
from leaklint.settings import load

if TYPE_CHECKING:
    from leaklint.link import Program

PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path())


def program_of(paths: Sequence[str]) -> Program:
    from leaklint.catalog import load_catalog
    from leaklint.link import link

    settings = load(paths)
    models = load_catalog([Path(folder) for folder in settings.extend_rules], settings.models).models
    return link(list(modules_of(paths)), models)


def modules_of(paths: Sequence[str]) -> Iterator[Module]:
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
