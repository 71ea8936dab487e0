"""`dump`: what the stages know."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.samples import Run

PIPE = """\
import asyncio


async def produce(queue):
    await queue.put(1)


async def main():
    queue = asyncio.Queue(1)
    task = asyncio.create_task(produce(queue))
    await queue.get()
    await task
"""


@pytest.fixture
def pipe(project: Path) -> Path:
    (project / "pipe.py").write_text(PIPE)
    return project


def test_dump_shows_the_summary_of_each_file(leaklint: Run, pipe: Path) -> None:
    run = leaklint("dump", ".")
    assert (run.returncode, run.stderr) == (0, "")
    assert [line for line in run.stdout.splitlines() if line.startswith("# ")] == ["# fine.py: module fine", "# pipe.py: module pipe"]
    assert "produce" in run.stdout
    assert "asyncio.Queue" in run.stdout


def test_dump_program_shows_operations_and_units(leaklint: Run, pipe: Path) -> None:
    run = leaklint("dump", "--program", "pipe.py")
    assert (run.returncode, run.stderr) == (0, "")
    for word in ("send", "receive", "spawn", "pipe.py:9"):
        assert word in run.stdout


def test_a_missing_path_is_a_mistake(leaklint: Run) -> None:
    for command in (["dump"], ["dump", "--program"]):
        run = leaklint(*command, "nowhere.py")
        assert (run.returncode, run.stderr) == (2, "leaklint: error: nowhere.py: no such file or folder\n")
