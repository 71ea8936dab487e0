"""Correct programs: whatever waits in one of them, no schedule is found that leaves it waiting for ever, unless something is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from link.programs import linked

from leaklint.explore.judge import Explorer, Finding
from leaklint.graph import build

QUIET = sorted(path for path in (Path(__file__).parent.parent / "fixtures" / "quiet").iterdir() if path.is_dir())
_PARTS = 16
_MOST_STATES = 600

OUT_OF_SIGHT = {"flow_functions_as_values"}
"""An event is set through `methodcaller("set")`."""


@pytest.mark.parametrize("first", range(_PARTS))
def test_nobody_waits_for_ever(first: int) -> None:
    judged = 0
    for folder in QUIET[first::_PARTS]:
        files = {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))}
        graph = build(linked(files))
        explorer = Explorer(graph, _MOST_STATES)
        for action in graph.program.actions:
            if graph.program.blocks(action) and action.function in graph.program.live and action.subjects and not action.deferred:
                finding = explorer.of(action).finding
                judged += finding is not Finding.UNDECIDED
                if folder.name not in OUT_OF_SIGHT:
                    assert finding is not Finding.PROVEN, f"{folder.name}: {action.name}, line {action.at.line}"
    assert judged
