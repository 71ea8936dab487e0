"""The command as a user runs it, in a process of its own; and, where only its output matters, over a report made by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cli.samples import SOURCE, Call, Ended, Run

from leaklint import engine
from leaklint.cli import main
from leaklint.finding import Report
from leaklint.settings import Settings


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a file that is fine, and nothing that changes colours."""
    for name in ("NO_COLOR", "FORCE_COLOR", "_LEAKLINT_COMPLETE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "fine.py").write_text("x = 1\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def leaklint(project: Path) -> Run:
    """Runs `python -m leaklint …` in the project."""

    def run(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "leaklint", *arguments]
        return subprocess.run(command, cwd=project, input=stdin, capture_output=True, text=True, env=os.environ | environment)

    return run


@pytest.fixture
def over(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs the command over a report made by hand, in this process."""
    (project / "app.py").write_text(SOURCE)

    def run(report: Report, *arguments: str) -> Ended:
        calls: list[Call] = []

        def analysis(paths: Sequence[str], settings: Settings, *, progress: object, stdin: tuple[str, bytes] | None) -> Report:
            calls.append(Call(paths, settings, stdin))
            return report

        monkeypatch.setattr(engine, "run", analysis)
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert isinstance(end.value.code, int)
        return Ended(end.value.code, *capsys.readouterr(), calls)

    return run
