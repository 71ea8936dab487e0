"""How units end: every kind of way out, and the look-alikes that are none."""

from __future__ import annotations

from textwrap import dedent

import pytest
from link.programs import linked

from leaklint.catalog.grammar import Waits
from leaklint.exits import ExitKind, Verdict
from leaklint.graph import build
from leaklint.roster import Row, roster

_HEAD = """
import asyncio, atexit, queue, socket, threading, weakref
from concurrent.futures import ThreadPoolExecutor

"""
_MAIN = "\nif __name__ == '__main__':\n    main()\n"


def rows(source: str) -> list[Row]:
    """The units of a script, whose `main` is all that runs it."""
    return list(roster(build(linked(_HEAD + dedent(source) + _MAIN))))


def ways(source: str) -> set[ExitKind]:
    """The ways out of the only unit of a script."""
    (row,) = rows(source)
    return {way.kind for way in row.exits}


def hindrances(source: str) -> list[str]:
    """Why the only unit of a script, which has no way out, has none."""
    (row,) = rows(source)
    assert row.verdict is Verdict.NO_EXIT
    assert not row.exits
    return [one.message for one in row.hindrances]


def thread(body: str, rest: str = "", more: str = "") -> str:
    """A class whose thread runs `body`, and whose `stop` does `rest`."""
    return (
        "class Worker:\n"
        "    def __init__(self):\n"
        "        self._items = queue.Queue()\n"
        "        self._running = True\n"
        "        self._stop = threading.Event()\n"
        "        self._thread = threading.Thread(target=self._run)\n"
        "        self._thread.start()\n"
        f"    def _run(self):\n{_indented(body)}"
        "    def add(self, item):\n"
        "        self._items.put(bytes(item))\n"
        f"    def stop(self):\n{_indented(rest or 'pass')}{more}"
        "def main():\n"
        "    worker = Worker()\n"
        "    worker.add(5)\n"
        "    worker.stop()\n"
    )


def _indented(body: str) -> str:
    return "".join(f"        {line}\n" for line in dedent(body).strip().splitlines())


# --- what it runs


def test_a_body_without_an_endless_loop_returns() -> None:
    assert ways(thread("for number in range(10):\n    print(number)")) == {ExitKind.RETURNS}


def test_an_endless_loop_has_no_exit() -> None:
    assert hindrances(thread("while True:\n    print(self._items.get())")) == []


def test_a_loop_in_what_it_calls_has_no_exit() -> None:
    more = "    def _turn(self):\n        while True:\n            self._items.get()\n"
    assert hindrances(thread("self._turn()\nprint('never')", more=more)) == []


@pytest.mark.parametrize(
    "body",
    [
        "while True:\n    item = self._items.get()\n    if item is None:\n        break\n    print(item)",
        "while (item := self._items.get()) is not None:\n    print(item)",
        "while True:\n    item = self._items.get()\n    try:\n        if item is None:\n            return\n"
        "    finally:\n        self._items.task_done()",
        "for item in iter(self._items.get, None):\n    print(item)",
    ],
)
def test_a_sentinel(body: str) -> None:
    assert ways(thread(body, "self._items.put(None)")) == {ExitKind.SENTINEL}


def test_a_sentinel_that_nobody_sends_is_no_exit() -> None:
    body = "while True:\n    item = self._items.get()\n    if item is None:\n        break"
    assert hindrances(thread(body)) == ["nobody in sight sends to `Worker._items` what makes `item is None` true"]


def test_any_item_but_one_is_no_sentinel() -> None:
    body = "while True:\n    item = self._items.get()\n    if item is not None:\n        return"
    assert ways(thread(body)) == {ExitKind.CONDITION}


def test_a_queue_that_is_shut_down() -> None:
    body = "try:\n    while True:\n        print(self._items.get())\nexcept queue.ShutDown:\n    print('done')"
    assert ExitKind.CLOSED in ways(thread(body, "self._items.shutdown()"))


def test_a_flag_with_a_wake_up() -> None:
    body = "while self._running:\n    print(self._items.get())"
    assert ways(thread(body, "self._running = False\nself._items.put(None)")) == {ExitKind.FLAG}


def test_a_flag_alone_wakes_nobody() -> None:
    body = "while self._running:\n    print(self._items.get())"
    assert hindrances(thread(body, "self._running = False")) == [
        "`Worker.stop` sets `_running`, and does not wake `Worker._items.get` (program.py:14)"
    ]


@pytest.mark.parametrize(
    "body",
    [
        "while self._running:\n    try:\n        print(self._items.get(timeout=1))\n    except queue.Empty:\n        continue",
        "while True:\n    try:\n        print(self._items.get(timeout=1))\n    except queue.Empty:\n"
        "        if not self._running:\n            break",
    ],
)
def test_a_flag_with_a_bounded_wait(body: str) -> None:
    assert ways(thread(body, "self._running = False")) == {ExitKind.FLAG}


def test_a_flag_that_nobody_sets_is_no_exit() -> None:
    assert hindrances(thread("while not self._stop.is_set():\n    print('tick')")) == [
        "nobody in sight sets `Worker._stop`, which its loop tests"
    ]


@pytest.mark.parametrize("test", ["not self._stop.wait(5)", "not self._stop.is_set()", "self._goes_on()", "self.busy"])
def test_an_event_behind_whatever_asks_for_it(test: str) -> None:
    more = (
        "    def _goes_on(self):\n        return not self._stop.is_set()\n"
        "    @property\n    def busy(self):\n        return not self._stop.is_set()\n"
    )
    assert ways(thread(f"while {test}:\n    print('tick')", "self._stop.set()", more)) == {ExitKind.FLAG}


def test_a_wait_that_gives_up() -> None:
    body = "while True:\n    try:\n        print(self._items.get(timeout=1))\n    except queue.Empty:\n        break"
    assert ways(thread(body)) == {ExitKind.TIMEOUT}


def test_a_loop_with_a_condition_of_its_own() -> None:
    assert ways(thread("while True:\n    if len(self._items.queue) > 9:\n        return")) == {ExitKind.CONDITION}


def test_a_loop_that_an_error_ends() -> None:
    body = "while True:\n    try:\n        socket.gethostbyname('host')\n    except OSError:\n        break"
    assert ways(thread(body)) == {ExitKind.RAISES}


def test_a_socket_that_is_closed_under_its_reader() -> None:
    found = rows("""
        class Door:
            def __init__(self):
                self._socket = socket.socket()
                self._thread = threading.Thread(target=self._answer)
                self._thread.start()

            def _answer(self):
                while True:
                    visitor, _ = self._socket.accept()
                    visitor.close()

            def close(self):
                self._socket.close()

        def main():
            Door().close()
    """)
    assert [[way.kind for way in row.exits] for row in found] == [[ExitKind.CLOSED]]
    assert found[0].exits[0].message == "`Door._socket.accept` raises when `Door._socket` is closed in `Door.close`"


def test_a_wait_that_nobody_ends_is_no_exit() -> None:
    assert hindrances(thread("self._stop.wait()\nprint('stopped')")) == ["nobody in sight ends the wait in `Worker._stop.wait`"]


def test_a_generator_ends_the_loop_over_it() -> None:
    more = (
        "    def _each(self):\n        while (item := self._items.get()) is not None:\n            yield item\n"
        "    def _all(self):\n        while True:\n            yield self._items.get()\n"
    )
    assert ways(thread("for item in self._each():\n    print(item)", "self._items.put(None)", more)) == {ExitKind.SENTINEL}
    assert hindrances(thread("for item in self._all():\n    print(item)", "self._items.put(None)", more)) == []


def test_a_sentinel_that_a_hook_at_the_exit_sends() -> None:
    (row, hook) = rows("""
        _items = queue.Queue()

        def _work():
            while (item := _items.get()) is not None:
                print(item)

        def _end():
            _items.put(None)

        def main():
            threading.Thread(target=_work).start()
            atexit.register(_end)
    """)
    assert [way.kind for way in row.exits] == [ExitKind.FINALIZER]
    assert [way.kind for way in hook.exits] == [ExitKind.RETURNS]


# --- from outside

_TICK = "async def tick():\n    while True:\n        await asyncio.sleep(1)\n\n"


def task(start: str, stop: str = "pass", tick: str = _TICK) -> str:
    """A class whose task ticks for ever, unless `stop` ends it."""
    return (
        f"{tick}class Clock:\n"
        f"    async def start(self):\n{_indented(start)}"
        f"    async def stop(self):\n{_indented(stop)}"
        "async def run():\n    clock = Clock()\n    await clock.start()\n    await clock.stop()\n"
        "    await asyncio.Event().wait()\n"
        "def main():\n    asyncio.get_event_loop().run_until_complete(run())\n"
    )


def test_a_task_that_nobody_cancels() -> None:
    assert hindrances(task("self._task = asyncio.create_task(tick())")) == []


def test_a_task_that_its_owner_cancels() -> None:
    assert ways(task("self._task = asyncio.create_task(tick())", "self._task.cancel()")) == {ExitKind.CANCELLED}


def test_a_task_that_a_helper_cancels() -> None:
    tick = f"{_TICK}def cancel_all(tasks):\n    for task in tasks:\n        task.cancel()\n\n"
    start = "self._tasks = {asyncio.create_task(tick())}"
    assert ways(task(start, "cancel_all(self._tasks)", tick)) == {ExitKind.CANCELLED}


def test_tasks_of_one_helper_are_told_apart_by_their_names() -> None:
    tick = f"{_TICK}{_TICK.replace('tick', 'tock')}def spawn(work):\n    return asyncio.create_task(work)\n\n"
    found = rows(task("self._one = spawn(tick())\nself._two = spawn(tock())", "self._one.cancel()", tick))
    assert {row.name: row.verdict for row in found} == {"tick": Verdict.ENDS, "tock": Verdict.NO_EXIT}
    assert {row.name: row.owner.name for row in found} == {"tick": "Clock._one", "tock": "Clock._two"}


def test_a_group_that_is_cancelled() -> None:
    source = f"""
{_TICK}
import anyio

async def run():
    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        group.cancel_scope.cancel()

def main():
    anyio.run(run)
"""
    assert ways(source) == {ExitKind.GROUP}
    assert hindrances(source.replace("        group.cancel_scope.cancel()\n", "")) == []


def test_the_end_of_the_program() -> None:
    (row,) = rows(
        f"{_TICK}async def run():\n    task = asyncio.create_task(tick())\n    await asyncio.sleep(9)\n"
        + "def main():\n    asyncio.run(run())\n"
    )
    assert ([way.kind for way in row.exits], row.verdict) == ([ExitKind.PROGRAM_END], Verdict.WITH_PROCESS)


def test_a_daemon_ends_with_the_process() -> None:
    (row,) = rows(thread("while True:\n    print(self._items.get())").replace("target=self._run", "target=self._run, daemon=True"))
    assert ([way.kind for way in row.exits], row.verdict) == ([ExitKind.DAEMON], Verdict.WITH_PROCESS)


def test_a_thread_that_is_never_started() -> None:
    assert ways(thread("while True:\n    pass").replace("        self._thread.start()\n", "")) == {ExitKind.NEVER_STARTED}


def test_code_out_of_sight_may_end_it() -> None:
    program = linked(
        {"shop/__init__.py": "", "shop/clock.py": f"import asyncio\n\n{_TICK}async def start():\n    return asyncio.create_task(tick())\n"}
    )
    (row,) = roster(build(program))
    assert ([way.kind for way in row.exits], row.verdict) == ([ExitKind.ESCAPES], Verdict.OPEN)


# --- timers

_TIMER = """
class Clock:
    def __init__(self):
        self._left = 3

    def ring(self):
        print("ring")

    def again(self):
        self._timer = threading.Timer(1, self.again)
        self._timer.start()

    def some_more(self):
        self._left -= 1
        if self._left:
            threading.Timer(1, self.some_more).start()

def main():
    clock = Clock()
"""


def test_a_timer_fires_once() -> None:
    assert ways(f"{_TIMER}    threading.Timer(1, clock.ring).start()\n") == {ExitKind.FIRES_ONCE}


def test_a_timer_that_arms_itself_for_ever() -> None:
    (row,) = [row for row in rows(f"{_TIMER}    clock.again()\n") if row.name == "Clock.again"]
    assert row.verdict is Verdict.NO_EXIT


def test_a_timer_that_arms_itself_on_some_ways_only() -> None:
    (row,) = [row for row in rows(f"{_TIMER}    clock.some_more()\n") if row.name == "Clock.some_more"]
    assert [way.kind for way in row.exits] == [ExitKind.CONDITION]


def test_waits_without_a_bound() -> None:
    (row,) = rows(
        thread(
            "while (item := self._items.get()) is not None:\n    self.add(item)\n    self._items.get(timeout=1)", "self._items.put(None)"
        )
    )
    assert [(wait.operation, wait.waits, wait.line) for wait in row.blocks] == [("Worker._items.get", Waits.WHILE_EMPTY, 13)]


def test_a_helper_starts_what_it_is_given() -> None:
    """Seen apart from its callers it would start something out of sight."""
    (row,) = rows(f"""
{_TICK}
def in_background(function):
    def start(*args):
        return asyncio.create_task(function(*args))
    return start

@in_background
async def refresh(page):
    await asyncio.sleep(1)

def main():
    refresh(1)
""")
    assert row.name == "refresh"
