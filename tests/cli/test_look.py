"""`dump` and `graph`: what the stages know."""

from __future__ import annotations

import json
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


def test_graph_for_graphviz_and_as_json(leaklint: Run, pipe: Path) -> None:
    drawn = leaklint("graph", "pipe.py")
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.startswith("digraph")
    content = json.loads(leaklint("graph", "--format", "json", "pipe.py").stdout)
    assert content
    assert isinstance(content, dict)


def test_graph_to_a_file(leaklint: Run, pipe: Path) -> None:
    run = leaklint("graph", "pipe.py", "--output", "pipe.dot")
    assert (run.returncode, run.stdout) == (0, "")
    assert (pipe / "pipe.dot").read_text() == leaklint("graph", "pipe.py").stdout
    wrong = leaklint("graph", "pipe.py", "--output", "nowhere/pipe.dot")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "leaklint: error: --output: nowhere/pipe.dot: cannot be written: No such file or directory\n"


def test_a_missing_path_is_a_mistake(leaklint: Run) -> None:
    for command in (["dump"], ["dump", "--program"], ["graph"]):
        run = leaklint(*command, "nowhere.py")
        assert (run.returncode, run.stderr) == (2, "leaklint: error: nowhere.py: no such file or folder\n")
