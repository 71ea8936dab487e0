"""Every order in which an event loop may run what is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TypeVar

_Result = TypeVar("_Result")


class Choices:
    """A sequence of choices that can be repeated, and then changed from the last on."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.open: list[int] = []
        self.place = 0

    def __call__(self, number: int) -> int:
        """One of so many."""
        if number == 1:
            return 0
        if self.place == len(self.taken):
            self.taken.append(0)
            self.open.append(number)
        self.place += 1
        return self.taken[self.place - 1]

    def next(self) -> bool:
        """On to the next sequence; False when there is none."""
        while self.taken and self.taken[-1] + 1 == self.open[-1]:
            self.taken.pop()
            self.open.pop()
        if not self.taken:
            return False
        self.taken[-1] += 1
        self.place = 0
        return True


class AnyOrder(asyncio.BaseEventLoop):
    """An event loop that runs the steps of its tasks in an order that `choose` decides; a timer may fire whenever it likes, other callbacks
    run when they are called for. It is over when nothing is ready any more, or after so many steps."""

    def __init__(self, choose: Callable[[int], int], most: int) -> None:
        super().__init__()
        self._choose, self._left = choose, most
        self.is_cut = False

    def _run_once(self) -> None:
        ready: list[asyncio.Handle] = [h for h in (*self._ready, *self._scheduled) if not h.cancelled()]  # type: ignore[attr-defined]
        self._left -= 1
        self.is_cut = self._left <= 0
        if not ready or self.is_cut:
            self._stopping = True
            return
        callbacks = [handle for handle in ready if not isinstance(handle, asyncio.TimerHandle) and not _is_step(handle)]
        handle = callbacks[0] if callbacks else ready[self._choose(len(ready))]
        if isinstance(handle, asyncio.TimerHandle):
            self._scheduled.remove(handle)  # type: ignore[attr-defined]
            handle._scheduled = False  # type: ignore[attr-defined]
        else:
            self._ready.remove(handle)  # type: ignore[attr-defined]
        handle._run()

    def _process_events(self, event_list: object) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def call_exception_handler(self, context: dict[str, object]) -> None:
        """A task that nobody waits for may fail: that is what these programs are for."""


def _is_step(handle: asyncio.Handle) -> bool:
    """Whether a task goes on in it."""
    return isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)  # type: ignore[attr-defined]


def every_order(
    start: Callable[[Callable[[int], int]], None], end: Callable[[], _Result], most_orders: int, most_steps: int = 300
) -> Iterator[_Result] | None:
    """What `end` says after each order in which what `start` has started can run; None when there are more orders than so many."""
    choices, found = Choices(), []
    for _ in range(most_orders):
        loop = AnyOrder(choices, most_steps)
        asyncio.events._set_running_loop(loop)
        try:
            start(choices)
        finally:
            asyncio.events._set_running_loop(None)
        loop.run_forever()
        found.append(end())
        _leave(loop)
        if loop.is_cut:
            return None
        if not choices.next():
            return iter(found)
    return None


def _leave(loop: AnyOrder) -> None:
    """Let go of what still waits, without a word about tasks that were pending."""
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
