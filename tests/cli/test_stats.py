"""`graph --stats`: how much is known of the resources of a program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.samples import Run

BELL = """\
import threading


class Bell:
    def __init__(self):
        self._rung = threading.Event()

    def wait(self):
        self._rung.wait()
"""


@pytest.fixture
def bell(project: Path) -> Path:
    (project / "bell.py").write_text(BELL)
    return project


def test_a_table(leaklint: Run, bell: Path) -> None:
    run = leaklint("graph", "--stats", "bell.py")
    assert (run.returncode, run.stderr) == (0, "")
    assert [line.split() for line in run.stdout.splitlines() if "wait" in line or "set" in line] == 2 * [
        ["event", "set", "1", "0", "0.0", "%", "0", "0.0", "%", "1", "100.0", "%"],
        ["event", "wait", "1", "1", "100.0", "%", "0", "0.0", "%", "0", "0.0", "%"],
    ]


def test_a_list_of_what_is_unknown(leaklint: Run, bell: Path) -> None:
    run = leaklint("graph", "--stats", "--list", "unknown", "bell.py")
    assert run.stdout.splitlines()[-1] == "bell.py:6:22: event Bell._rung: no set"


def test_as_json(leaklint: Run, bell: Path) -> None:
    run = leaklint("graph", "--stats", "--list", "unknown", "--format", "json", "bell.py")
    stats = json.loads(run.stdout)
    assert set(stats) == {"resources", "ends", "ends_in_attributes", "reasons", "listed"}
    assert stats["listed"] == [
        {
            "path": "bell.py",
            "line": 6,
            "column": 22,
            "kind": "event",
            "library": "threading",
            "name": "Bell._rung",
            "missing": ["set"],
            "reason": None,
        }
    ]


@pytest.mark.parametrize("options", [("--list", "unknown"), ("--stats", "--format", "svg")])
def test_options_that_do_not_go_together(leaklint: Run, bell: Path, options: tuple[str, ...]) -> None:
    run = leaklint("graph", *options, "bell.py")
    assert run.returncode == 2
    assert "--stats" in run.stderr
    assert run.stdout == ""
