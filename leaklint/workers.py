"""File contents in, encoded summaries out, with as many processes as that is worth."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

Progress = Callable[[int, int], None]
"""Called with the number of files done and their total."""

WORTH_A_PROCESS = 200_000
"""Bytes of source; below it, starting processes takes longer than lowering."""

_CHUNKS_PER_PROCESS = 8
_SMALLEST_CHUNK = 60_000
_LARGEST_CHUNK = 200_000  # what is begun is finished when the user interrupts: that must not take long


def lower_all(contents: Sequence[bytes], jobs: int, progress: Progress | None = None) -> list[bytes | None]:
    """The summary of each file as msgpack, in the order of `contents`; None: its parser kills the process. `jobs` as in Settings.

    The result does not depend on `jobs`, but for None: in this process, such a file would end the run."""
    report = progress or (lambda done, total: None)
    processes = min(jobs or processors(), sum(map(len, contents)) // WORTH_A_PROCESS + 1, len(contents))
    if processes < 2:
        return _here(contents, report)
    return _elsewhere(contents, processes, report)


def processors() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _here(contents: Sequence[bytes], report: Progress) -> list[bytes | None]:
    summaries: list[bytes | None] = []
    for content in contents:
        summaries += _lower_chunk([content])
        report(len(summaries), len(contents))
    return summaries


def _elsewhere(contents: Sequence[bytes], processes: int, report: Progress) -> list[bytes | None]:
    from concurrent.futures import as_completed
    from concurrent.futures.process import BrokenProcessPool

    summaries: list[bytes | None] = [None] * len(contents)
    unfinished: list[int] = []
    done = 0
    with _pool(processes) as pool:
        futures = {}
        for chunk in _chunks(contents, processes):
            try:
                futures[pool.submit(_lower_chunk, [contents[index] for index in chunk])] = chunk
            except BrokenProcessPool:
                unfinished += chunk
        for future in as_completed(futures):
            chunk = futures[future]
            try:
                for index, summary in zip(chunk, future.result(), strict=True):
                    summaries[index] = summary
            except BrokenProcessPool:
                unfinished += chunk
                continue
            report(done := done + len(chunk), len(contents))
    for index, summary_or_none in _one_by_one(contents, sorted(unfinished)):
        summaries[index] = summary_or_none
        report(done := done + 1, len(contents))
    return summaries


def _one_by_one(contents: Sequence[bytes], indices: Sequence[int]) -> Iterator[tuple[int, bytes | None]]:
    """After a process died: each file for itself in a process of which nobody else depends, a new one after each death."""
    from concurrent.futures.process import BrokenProcessPool

    waiting = list(reversed(indices))
    while waiting:
        with _pool(1) as pool:
            while waiting:
                index = waiting.pop()
                try:
                    yield index, pool.submit(_lower_chunk, [contents[index]]).result()[0]
                except BrokenProcessPool:
                    yield index, None
                    break


def _chunks(contents: Sequence[bytes], processes: int) -> list[list[int]]:
    """Indices of neighbours, some `_CHUNKS_PER_PROCESS` lots of equal size for each process; the largest lot first, so that none is
    begun when all others are done."""
    share = sum(map(len, contents)) // (processes * _CHUNKS_PER_PROCESS)
    enough = min(max(share, _SMALLEST_CHUNK), _LARGEST_CHUNK)
    chunks: list[list[int]] = []
    size = enough
    for index, content in enumerate(contents):
        if size >= enough:
            chunks.append([])
            size = 0
        chunks[-1].append(index)
        size += len(content)
    return sorted(chunks, key=lambda chunk: -sum(len(contents[index]) for index in chunk))


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Forked where that is safe, which saves each process the import of the parser; what has not begun is dropped when the caller fails."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    method = "fork" if sys.platform == "linux" and threading.active_count() == 1 else "spawn"
    if method == "fork":
        import leaklint.lower.parsing  # noqa: F401  # the parser, which takes longer to import than a small project to lower
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context(method), _leave_interrupts_to_the_parent)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _lower_chunk(contents: Sequence[bytes]) -> list[bytes]:
    from leaklint.lower import lower

    return [msgspec.msgpack.encode(lower(content)) for content in contents]
