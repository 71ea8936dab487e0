"""The plugin of flake8: the findings of one run over the whole program, handed out file by file.

flake8 calls a plugin for one file at a time, with `--jobs` in daemonic worker processes, which may not start processes of their own. So
the run happens where flake8 reads its options, in the parent: once, with as many processes as the settings allow. Workers that
are forked inherit the outcome; workers that are spawned read the options again and find the place of the outcome in the environment.
"""

from __future__ import annotations

import argparse
import ast
import atexit
import logging
import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import ClassVar

import msgspec
from flake8.exceptions import ExecutionError
from msgspec import Struct

from leaklint import __version__, engine, settings
from leaklint.errors import LeaklintError
from leaklint.finding import Finding
from leaklint.report.line import sentence

OUTCOME = "LEAKLINT_FLAKE8_OUTCOME"
"""Environment variable: `PID:PATH`, the flake8 process that made the run and the file in which its `Outcome` lies."""

LOG = logging.getLogger("flake8.leaklint")

Result = tuple[int, int, str, type["Plugin"]]
"""Line from 1, column from 0, `CODE message`, and who says so."""


class Outcome(Struct, frozen=True):
    """One run. `paths` are the files and folders that were searched, `findings` maps a file to what was found there; all absolute."""

    paths: tuple[str, ...]
    findings: dict[str, tuple[Finding, ...]]

    def covers(self, file: str) -> bool:
        """Whether the run saw `file` or left it out because the settings exclude it."""
        return any(file == path or (file.endswith(".py") and file.startswith(os.path.join(path, ""))) for path in self.paths)


class Plugin:
    """What flake8 loads and calls once for each file that it can parse."""

    name = "leaklint"
    version = __version__
    outcome: ClassVar[Outcome | None] = Outcome((), {})
    """None: nothing that we say is wanted."""

    def __init__(self, tree: ast.AST, filename: str, lines: Sequence[str]) -> None:
        """`tree` is not used: flake8 takes a plugin that asks for it as one that checks whole files."""
        self.filename = filename
        self.lines = lines

    @classmethod
    def parse_options(cls, manager: object, options: argparse.Namespace, paths: Sequence[str]) -> None:
        """Called by flake8 once in each process that was not forked, before any file is checked."""
        if not _is_wanted(options):
            cls.outcome = None
            return
        if (file := _of_parent()) is not None:
            with open(file, "rb") as stream:
                cls.outcome = msgspec.json.decode(stream.read(), type=Outcome)
            return
        with _mistakes_told():
            cls.outcome = _run([path for path in paths or ["."] if path != "-"])
        _leave(cls.outcome)

    def run(self) -> Iterator[Result]:
        if self.outcome is None:
            return
        file = os.path.abspath(self.filename)
        outcome = self.outcome if self.outcome.covers(file) else self._alone(file)
        for finding in outcome.findings.get(file, ()):
            yield finding.line, finding.column - 1, f"{finding.code} {sentence(finding)}", type(self)

    def _alone(self, file: str) -> Outcome:
        """A run over the text that flake8 has, standard input or a file that only flake8 takes for Python, within this process."""
        with _mistakes_told():
            options = settings.override(settings.load([file]), {"jobs": 1})
            report = engine.run([], options, stdin=(self.filename, "".join(self.lines).encode()))
        return Outcome((file,), {file: report.findings})


@contextmanager
def _mistakes_told() -> Iterator[None]:
    """flake8 prints an ExecutionError without a traceback."""
    try:
        yield
    except LeaklintError as mistake:
        raise ExecutionError(f"leaklint: error: {mistake}") from None


def _is_wanted(options: argparse.Namespace) -> bool:
    """False when `--select` leaves out everything that we could say."""
    chosen = (*(options.select or ()), *(options.extend_select or ()))
    return not options.select or any(code.startswith("LK") or "LK".startswith(code) for code in chosen)


def _run(paths: Sequence[str]) -> Outcome:
    if not paths:
        return Outcome((), {})
    report = engine.run(paths, settings.load(paths))
    LOG.info("leaklint: one run over %d files", report.files)
    by_file = groupby(report.findings, key=lambda finding: os.path.abspath(finding.path))
    return Outcome(tuple(map(os.path.abspath, paths)), {file: tuple(findings) for file, findings in by_file})


def _leave(outcome: Outcome) -> None:
    """Put the outcome where spawned workers find it, for as long as this process lives."""
    handle, path = tempfile.mkstemp(prefix="leaklint-", suffix=".json")
    with os.fdopen(handle, "wb") as stream:
        stream.write(msgspec.json.encode(outcome))
    os.environ[OUTCOME] = f"{os.getpid()}:{path}"
    atexit.register(_remove, path, os.getpid())


def _remove(path: str, owner: int) -> None:
    if os.getpid() == owner:
        os.unlink(path)


def _of_parent() -> str | None:
    """The file with the outcome, in a worker of the flake8 process that made the run."""
    parent = multiprocessing.parent_process()
    owner, _, path = os.environ.get(OUTCOME, "").partition(":")
    return path if parent is not None and str(parent.pid) == owner else None
