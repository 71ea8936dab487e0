"""What is worth a full summary."""

from __future__ import annotations

import pytest

from leaklint.lower import lower
from leaklint.lower.screen import may_leak


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio", "from threading import Thread", "import queue", "import multiprocessing as mp", "from concurrent import futures",
        "import anyio", "import trio", "import janus", "import selectors", "import sched", "import atexit", "hass.async_create_task(f())",
        "loop.call_later(1, f)", "q.put_nowait(1)", "lock.acquire()", "self._task.cancel()", "self.cancel = task.cancel", "deepcopy(x)",
        "memoryview(b)", "with ExitStack() as s: pass", "weakref.finalize(a, b)", "x: Queue[int]", "class A(Thread): pass",
        "stop = Event()", "while True:\n    pass", "pool.shutdown()", "worker.join()", "self._closed.set()", "nursery.start_soon(f)",
        "a: Future", "MyLock()",
    ],
)  # fmt: skip
def test_kept(source: str) -> None:
    assert may_leak(source.encode())
    assert not lower(source.encode()).is_outline


@pytest.mark.parametrize(
    "source",
    [
        "import os", "async def f(): return await g()", "def on(event: Event): pass", "','.join(x)", "schedule = 1", "d.get(1)",
        "Locked = 1", "queued = 1", "s.set(1)", "class QueueX: pass",
    ],
)  # fmt: skip
def test_outlined(source: str) -> None:
    assert not may_leak(source.encode())
    assert lower(source.encode()).is_outline
