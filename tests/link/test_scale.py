"""Programs as bad as they get end, and what is said of them is right: the one send that nobody receives, and no other."""

from __future__ import annotations

import pytest
from link.programs import models, modules
from link.worst import PROGRAMS, Files, call_chain, dispatcher, import_cycle, kept_tasks, long_row, long_sum, many_queues, table

from leaklint.catalog import load_catalog
from leaklint.catalog.grammar import Kind
from leaklint.finding import Finding
from leaklint.findings import graph_of, merged, problems, queried
from leaklint.graph import Graph
from leaklint.link.flow.solver import WIDEST

LARGEST = {"long sum": 900, "long row of calls": 90}
"""Longer ones are refused: see `test_refused`."""


def graph(files: Files) -> Graph:
    return graph_of(modules(files), models())


def findings(built: Graph) -> list[Finding]:
    return merged(queried(built, load_catalog().cards.values()))


def channels(built: Graph) -> dict[str, str | None]:
    """Name → why code out of sight may use it; None when nobody there can."""
    program = built.program
    objects = (o for o in range(len(program.state.solver.objects)) if program.kind(o) is Kind.CHANNEL)
    return {program.describe(obj): reason and str(reason) for obj in objects for reason in [program.opened(obj)]}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_one_leak_is_found(name: str) -> None:
    make, size = PROGRAMS[name]
    files = make(LARGEST.get(name, size))
    lost = [(path, number) for path, text in files.items() for number, line in enumerate(text.splitlines(), 1) if line.endswith("# lost")]
    assert [(one.path, one.line) for one in findings(graph(files))] == lost


@pytest.mark.parametrize("files", [long_sum(2_000), long_row(2_000)], ids=["sum", "row of calls"])
def test_refused(files: Files) -> None:
    (found,) = problems(modules(files), load_catalog().cards.values())
    assert found.code == "LK001"
    assert "nested too deeply" in found.message


def test_what_is_widened_is_open() -> None:
    few, many = graph(dispatcher(WIDEST)), graph(dispatcher(WIDEST * 2))
    assert set(channels(few).values()) == {None}
    assert {(one.code, one.function) for one in findings(few)} == {("LK101", "_send"), ("LK101", "lose")}

    opened = channels(many)
    assert opened.pop("_lost") is None
    assert len(opened) == WIDEST * 2
    assert all("can hold anything" in (reason or "") for reason in opened.values())


def test_a_list_of_queues_is_open_as_a_whole() -> None:
    opened = channels(graph(table(WIDEST * 2)))
    assert sorted(reason is None for reason in opened.values()) == [False] * (len(opened) - 1) + [True]


def test_tasks_in_one_hand_are_cancelled_or_open() -> None:
    program = graph(kept_tasks(WIDEST * 2)).program
    cancelled = {obj for action in program.actions if action.method == "cancel" for obj in action.subjects}
    tasks = {obj for obj in range(len(program.state.solver.objects)) if program.kind(obj) is Kind.TASK}
    assert len(tasks & cancelled) >= WIDEST
    assert len(tasks) >= WIDEST * 2
    assert all(program.opened(obj) for obj in tasks - cancelled)


def test_each_queue_has_its_own_ends() -> None:
    built = graph(many_queues(300))
    ends = sorted((len(channel.sends), len(channel.receives)) for channel in built.channels)
    assert ends == [(1, 0)] + [(1, 1)] * 300


def test_the_ends_of_a_long_chain_meet() -> None:
    built = graph(call_chain(200))
    (channel,) = (channel for channel in built.channels if channel.receives)
    assert [built.qualname(action.function) for action in (*channel.sends, *channel.receives)] == ["_step_200", "work"]


def test_the_ends_meet_across_an_import_cycle() -> None:
    built = graph(import_cycle(50))
    (channel,) = (channel for channel in built.channels if channel.receives)
    paths = [built.program.path(action.function.module) for action in (*channel.sends, *channel.receives)]
    assert paths == ["ring/part_1.py", "ring/part_25.py"]
