"""Lowering in several processes gives what one gives, and survives the death of one."""

from __future__ import annotations

import msgspec
import pytest

import leaklint.workers
from leaklint.ir import Summary
from leaklint.workers import lower_all

FILES = [b"leak()\n" * (number * 37 % 101 + 1) for number in range(200)]


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaklint.workers, "WORTH_A_PROCESS", 1)
    monkeypatch.setattr(leaklint.workers, "_SMALLEST_CHUNK", 1000)


@pytest.mark.usefixtures("analysis")
def test_the_number_of_jobs_changes_nothing() -> None:
    alone = lower_all(FILES, 1)
    assert lower_all(FILES, 2) == lower_all(FILES, 3) == alone
    assert [len(msgspec.msgpack.decode(one or b"", type=Summary).functions) for one in alone] == [file.count(b"leak") for file in FILES]
    assert lower_all([], 2) == []


@pytest.mark.usefixtures("analysis")
@pytest.mark.parametrize("jobs", [1, 2])
def test_progress_counts_files_up_to_the_total(jobs: int) -> None:
    seen: list[tuple[int, int]] = []
    lower_all(FILES, jobs, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (200, 200)
    assert seen == sorted(seen)
    assert len(seen) > 5


@pytest.mark.usefixtures("analysis")
def test_a_file_that_kills_its_process_costs_no_other() -> None:
    files = [*FILES[:50], b"bomb()", *FILES[50:120], b"bomb()  # another", *FILES[120:]]
    seen: list[tuple[int, int]] = []
    summaries = lower_all(files, 2, lambda done, total: seen.append((done, total)))
    assert [index for index, summary in enumerate(summaries) if summary is None] == [50, 121]
    assert [summary for summary in summaries if summary is not None] == lower_all(FILES, 1)
    assert seen[-1] == (202, 202)


@pytest.mark.usefixtures("analysis")
def test_a_fault_in_the_analysis_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(content: bytes) -> Summary:
        raise ZeroDivisionError

    monkeypatch.setattr("leaklint.lower.lower", faulty)
    for jobs in (1, 2):
        with pytest.raises(ZeroDivisionError):
            lower_all(FILES, jobs)


@pytest.mark.usefixtures("analysis")
def test_little_work_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaklint.workers, "WORTH_A_PROCESS", 200_000)
    monkeypatch.setattr(leaklint.workers, "_pool", None)
    assert len(lower_all(FILES, 8)) == len(FILES)


def test_where_forking_is_not_safe_processes_start_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real parser: what the tests put in its place stays in this process."""
    files = [b"import asyncio\n\nqueue = asyncio.Queue(%d)\n" % size for size in range(20)]
    monkeypatch.setattr("threading.active_count", lambda: 2)
    assert lower_all(files, 2) == lower_all(files, 1)
