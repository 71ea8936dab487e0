"""`units`: every unit, and how it exits."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cli.samples import Run

README = (Path(__file__).parent.parent.parent / "README.md").read_text()

CLOCK = """\
import threading


class Clock:
    def __init__(self):
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick)

    def start(self):
        self._ticker.start()
        threading.Thread(target=self._chime).start()

    def stop(self):
        self._stop.set()

    def _tick(self):
        while not self._stop.wait(1):
            print("tick")

    def _chime(self):
        while True:
            print("bim bam")


if __name__ == "__main__":
    clock = Clock()
    clock.start()
    clock.stop()
"""


@pytest.fixture
def clock(project: Path) -> Path:
    (project / "clock.py").write_text(CLOCK)
    return project


def test_a_table_for_readers(leaklint: Run, clock: Path) -> None:
    run = leaklint("units", ".")
    assert (run.returncode, run.stderr) == (0, "")
    assert (
        run.stdout
        == """\
clock.py
   7  thread Clock._tick
      starts once, started at line 10
      owner  the attribute `Clock._ticker`
      exits  flag: its loop ends: `Clock.stop` sets `Clock._stop` at line 14
  11  thread Clock._chime
      starts once
      owner  nobody: its handle is dropped
      no exit found
2 units: 1 ends, 1 with no exit found
"""
    )


def test_only_those_without_an_exit(leaklint: Run, clock: Path) -> None:
    run = leaklint("units", "--no-exit", ".")
    assert "Clock._chime" in run.stdout
    assert "Clock._tick" not in run.stdout
    assert run.stdout.endswith("2 units: 1 ends, 1 with no exit found\n")


def test_lines_are_as_wide_as_the_terminal(leaklint: Run, clock: Path) -> None:
    narrow = leaklint("units", ".", COLUMNS="40")
    assert max(map(len, narrow.stdout.splitlines()[:-1])) <= 40
    assert len(narrow.stdout.splitlines()) > len(leaklint("units", ".").stdout.splitlines())


def test_colors(leaklint: Run, clock: Path) -> None:
    assert "\x1b[" not in leaklint("units", ".").stdout
    assert "\x1b[1;31mno exit found\x1b[0m" in leaklint("units", "--color", "always", ".").stdout


def test_json(leaklint: Run, clock: Path) -> None:
    run = leaklint("units", "--format", "json", ".")
    assert (run.returncode, run.stderr) == (0, "")
    content = json.loads(run.stdout)
    assert list(content) == ["version", "files", "units"]
    assert content["files"] == 2
    tick, chime = content["units"]
    assert tick == {
        "kind": "thread",
        "name": "Clock._tick",
        "path": "clock.py",
        "line": 7,
        "column": 24,
        "function": "Clock.__init__",
        "starts": [{"path": "clock.py", "line": 10, "column": 9, "function": "Clock.start"}],
        "multiplicity": "once",
        "owner": {"kind": "attribute", "name": "Clock._ticker"},
        "daemon": False,
        "blocks": [],
        "verdict": "ends",
        "exits": [
            {"kind": "flag", "path": "clock.py", "line": 14, "column": 9, "message": "its loop ends: `Clock.stop` sets `Clock._stop`"}
        ],
        "hindrances": [],
    }
    assert (chime["name"], chime["verdict"], chime["exits"]) == ("Clock._chime", "no-exit", [])
    assert json.loads(leaklint("units", "--format", "json", "--no-exit", ".").stdout)["units"] == [chime]


def test_no_units(leaklint: Run) -> None:
    run = leaklint("units", "fine.py")
    assert (run.returncode, run.stdout) == (0, "0 units: 0 end, 0 with no exit found\n")


def test_a_missing_path_is_a_mistake(leaklint: Run) -> None:
    run = leaklint("units", "nowhere.py")
    assert (run.returncode, run.stderr) == (2, "leaklint: error: nowhere.py: no such file or folder\n")


def test_the_example_of_the_readme(leaklint: Run, project: Path) -> None:
    (project / "fine.py").unlink()
    for name, content in re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)```", README, re.DOTALL):
        (project / name).write_text(content)
    shown = re.search(r"```console\n\$ leaklint units \.\n(.*?)```", README, re.DOTALL)
    assert shown is not None
    assert leaklint("units", ".").stdout == shown[1]
