"""A witness as text."""

from __future__ import annotations

from leaklint.report.schedule import MOST_STEPS, render
from leaklint.witness import Event, Sort, Standing, Thing, Way

MAIN, ROWS, LOCK = Thing("main"), Thing("rows", "a.py", 1), Thing("lock", "a.py", 2)


def text(*events: Event) -> list[str]:
    return list(render(events, lambda path, line: f"line {line}", False))


def put(line: int, held: int) -> Event:
    return Event(MAIN, Way.ACTS, "puts something into `rows`", "a.py", line, 5, ROWS, Standing(ROWS, Sort.CHANNEL, held, 9))


def stuck(unit: Thing, line: int) -> Event:
    taken = Standing(LOCK, Sort.LOCK, 1, 1, by=("`main`",))
    return Event(unit, Way.STUCK, "waits for ever in `with` for `lock`", "a.py", line, 5, LOCK, taken, "who has it: `main` has returned")


def test_nothing_for_nothing() -> None:
    assert text() == []


def test_what_happens_again_at_one_place_is_one_step_and_a_line_is_quoted_once_in_a_row() -> None:
    lines = text(put(3, 1), put(3, 2), put(4, 3), put(3, 4), stuck(MAIN, 5))
    assert lines[:7] == [
        "    step by step:",
        "    1. `main` puts something into `rows`, 2 times: 2 of 9",
        "         a.py:3 | line 3",
        "    2. `main` puts something into `rows`: 3 of 9",
        "         a.py:4 | line 4",
        "    3. `main` puts something into `rows`: 4 of 9",
        "         a.py:3 | line 3",
    ]


def test_who_is_stuck_in_the_same_way_is_told_in_one_word() -> None:
    assert text(put(3, 1), *(stuck(Thing("work", "a.py", 4, number), 6) for number in (1, 2, 3)))[3:] == [
        "    stuck:",
        "       `work` 1 waits for ever in `with` for `lock`, taken by `main`",
        "         a.py:6 | line 6",
        "         who has it: `main` has returned",
        "       so do `work` 2 and `work` 3",
    ]


def test_of_a_long_schedule_the_end_is_told() -> None:
    lines = text(*(put(line, 1) for line in range(1, MOST_STEPS + 8)), stuck(MAIN, 1))
    assert lines[1] == "      … after 7 other steps"
    assert lines[2].startswith("     8. ")


def test_levels_of_a_channel() -> None:
    def level(held: int, room: int | None, **more: bool) -> str:
        return Standing(ROWS, Sort.CHANNEL, held, room, **more).level

    assert [level(0, 2), level(1, 2), level(2, 2), level(0, None), level(7, None)] == [
        "empty, 0 of 2",
        "1 of 2",
        "full, 2 of 2",
        "empty",
        "7 inside",
    ]
    assert [level(0, 0), level(0, 0, is_closed=True), level(0, 5, is_closed=True)] == ["", "closed", "empty, 0 of 5, closed"]
    assert [level(1, 5, is_rough=True), level(0, 5, is_rough=True)] == ["full", "empty"]
    assert [Standing(LOCK, Sort.LOCK, held, 3).level for held in (0, 3)] == ["0 of 3 taken", "3 of 3 taken"]
