"""`graph`: the drawings, whole and in part, to stdout and to a file."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

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

LAMP = """\
import asyncio


class Lamp:
    def __init__(self):
        self._switch = asyncio.Lock()

    async def turn(self):
        await self._switch.acquire()
        return 1 / 0
"""


@pytest.fixture
def pipe(project: Path) -> Path:
    (project / "pipe.py").write_text(PIPE)
    (project / "lamp.py").write_text(LAMP)
    return project


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


def test_mermaid_svg_and_html(leaklint: Run, pipe: Path) -> None:
    assert leaklint("graph", ".", "--format", "mermaid").stdout.startswith("flowchart LR\n")
    assert ElementTree.fromstring(leaklint("graph", ".", "--format", "svg").stdout).tag == "{http://www.w3.org/2000/svg}svg"
    page = leaklint("graph", ".", "--format", "html", "--output", "graph.html")
    assert (page.returncode, page.stdout, page.stderr) == (0, "", "")
    assert (pipe / "graph.html").read_text().startswith("<!doctype html>")


def test_the_page_holds_what_check_finds(leaklint: Run, pipe: Path) -> None:
    found = json.loads(leaklint("--format", "json", ".").stdout)["findings"]
    assert [finding["code"] for finding in found] == ["LK501"]
    page = leaklint("graph", ".", "--format", "html").stdout
    assert found[0]["message"] in page
    assert "await self._switch.acquire()" in page


def _names(text: str) -> set[str]:
    return {node["name"] for node in json.loads(text)["nodes"]}


def test_focus_and_around_leave_a_neighbourhood(leaklint: Run, pipe: Path) -> None:
    assert _names(leaklint("graph", ".", "--format", "json").stdout) == {"anyone", "queue", "produce", "Lamp._switch", "Lamp"}
    assert _names(leaklint("graph", ".", "--format", "json", "--focus", "_switch").stdout) == {"anyone", "Lamp._switch", "Lamp"}
    assert _names(leaklint("graph", ".", "--format", "json", "--around", "pipe.py:5").stdout) == {"anyone", "queue", "produce"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--focus", "nowhere"], '--focus: nothing in the graph has "nowhere" in its name'),
        (["--around", "pipe.py:1000"], "--around: nothing in the graph is made or used at pipe.py:1000"),
        (["--around", "pipe.py"], '--around: "pipe.py" is no place; give FILE:LINE'),
        (["--around", "pipe.py:two"], '--around: "pipe.py:two" is no place; give FILE:LINE'),
    ],
)
def test_a_place_or_name_that_is_not_there_is_a_mistake(leaklint: Run, pipe: Path, options: list[str], message: str) -> None:
    run = leaklint("graph", ".", *options)
    assert (run.returncode, run.stdout, run.stderr) == (2, "", f"leaklint: error: {message}\n")


def test_a_missing_path_is_a_mistake(leaklint: Run) -> None:
    run = leaklint("graph", "nowhere.py")
    assert (run.returncode, run.stderr) == (2, "leaklint: error: nowhere.py: no such file or folder\n")
