"""Which ends of a resource are in sight, and what stands for the others."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from link.programs import linked

from leaklint.knowledge import Knowledge, Standing, survey
from leaklint.link.reasons import Reason, Why
from leaklint.stats import count, table


def known(program: str | Mapping[str, str]) -> list[str]:
    """Every resource with its ends: `channel Outbox._rows: put resolved, get unknown`."""
    return [
        f"{one.kind} {one.name}: {', '.join(f'{end} {standing}' for end, standing in one.ends.items())}" for one in survey(linked(program))
    ]


def test_both_ends_in_sight() -> None:
    assert known("""
        import queue

        class Outbox:
            def __init__(self):
                self._rows = queue.Queue()

            def push(self, row):
                self._rows.put(row)

            def pop(self):
                return self._rows.get()
    """) == ["channel Outbox._rows: put resolved, get resolved"]


def test_an_end_that_nobody_has() -> None:
    assert known("""
        import queue

        class Outbox:
            def __init__(self):
                self._rows = queue.Queue()

            def push(self, row):
                self._rows.put(row)
    """) == ["channel Outbox._rows: put resolved, get unknown"]


def test_an_end_that_code_out_of_sight_may_have() -> None:
    assert known("""
        import queue

        class Outbox:
            def __init__(self):
                self.rows = queue.Queue()

            def push(self, row):
                self.rows.put(row)
    """) == ["channel Outbox.rows: put resolved, get escapes"]


@pytest.mark.parametrize(("attribute", "standing"), [("_rows", "unknown"), ("rows", "escapes")])
def test_the_private_attributes_of_objects_that_others_make(attribute: str, standing: str) -> None:
    found = known(f"""
        import queue

        class Outbox:
            def __init__(self):
                self.{attribute} = queue.Queue()

            def push(self, row):
                self.{attribute}.put(row)

        def sell():
            _outbox = Outbox()
            _outbox.push(1)
    """)
    assert set(found) == {f"channel Outbox.{attribute}: put resolved, get {standing}"}


def test_an_end_in_sight_counts_though_the_object_escapes() -> None:
    assert known("""
        import queue

        class Outbox:
            def __init__(self):
                self.rows = queue.Queue()

            def push(self, row):
                self.rows.put(row)

            def pop(self):
                return self.rows.get()
    """) == ["channel Outbox.rows: put resolved, get resolved"]


def test_a_method_handed_out_uncalled_is_an_end() -> None:
    assert known("""
        import queue
        import threading

        class Outbox:
            def __init__(self, bus):
                self._rows = queue.Queue()
                self._stop = threading.Event()
                bus.listen(self._rows.put, self._stop.set)

            def run(self):
                while not self._stop.is_set():
                    self._rows.get()
    """) == ["channel Outbox._rows: put resolved, get resolved", "event Outbox._stop: set resolved, wait resolved"]


def test_the_ends_of_a_pair_are_one_channel() -> None:
    assert known("""
        import anyio

        async def main():
            sender, receiver = anyio.create_memory_object_stream(5)
            await sender.send(1)
    """) == ["channel sender, receiver: put resolved, get unknown"]


def test_views_of_a_queue_are_the_queue() -> None:
    assert known("""
        import janus

        async def main():
            rows = janus.Queue()
            rows.sync_q.put(1)
            await rows.async_q.get()
    """) == ["channel rows: put resolved, get resolved"]


def test_a_condition_takes_the_lock_that_it_is_made_of() -> None:
    assert known("""
        import threading

        class Box:
            def __init__(self):
                self._lock = threading.Lock()
                self._full = threading.Condition(self._lock)

            def fill(self):
                with self._full:
                    self._full.notify()

            def empty(self):
                with self._full:
                    self._full.wait()
    """) == ["lock Box._lock: acquire resolved, release resolved", "condition Box._full: notify resolved, wait resolved"]


@pytest.mark.parametrize(
    ("end", "standing"),
    [
        ("task.cancel()", "resolved"),
        ("await task", "resolved"),
        ("await asyncio.gather(task)", "resolved"),
        ("await asyncio.wait([task])", "resolved"),
        ("await asyncio.wait_for(task, 1)", "resolved"),
        ("stack.callback(task.cancel)", "resolved"),
        ("print(task.done())", "unknown"),
        ("task.add_done_callback(print)", "unknown"),
    ],
)
def test_ends_of_a_task(end: str, standing: str) -> None:
    assert known(f"""
        import asyncio

        async def work(): ...

        async def main(stack):
            task = asyncio.create_task(work())
            {end}
    """) == [f"task task: end {standing}"]


def test_a_loop_that_runs_a_task_joins_it() -> None:
    assert "task task: end resolved" in known("""
        import asyncio

        async def work(): ...

        def main():
            loop = asyncio.new_event_loop()
            task = loop.create_task(work())
            loop.run_until_complete(task)
    """)


def test_a_group_ends_its_tasks() -> None:
    assert known("""
        import asyncio

        async def work(): ...

        async def main():
            async with asyncio.TaskGroup() as group:
                group.create_task(work())
    """) == ["group group: leave resolved", "task Task: end resolved"]


@pytest.mark.parametrize(
    ("daemon", "loop", "stop", "standing"),
    [
        ("True", "True", "", "resolved"),
        ("False", "True", "", "unknown"),
        ("False", "True", "self._thread.join()", "resolved"),
        ("False", "self._running", "self._running = False", "resolved"),
        ("False", "not self._stop.is_set()", "self._stop.set()", "resolved"),
    ],
)
def test_ends_of_a_thread(daemon: str, loop: str, stop: str, standing: str) -> None:
    found = known(f"""
        import threading

        class Clock:
            def __init__(self):
                self._running = True
                self._stop = threading.Event()
                self._thread = threading.Thread(target=self._run, daemon={daemon})
                self._thread.start()

            def _run(self):
                while {loop}:
                    print("tick")

            def stop(self):
                {stop or "pass"}
    """)
    assert f"thread Clock._thread: end {standing}" in found


def test_a_flag_is_no_end_of_a_task() -> None:
    found = known("""
        import asyncio

        class Clock:
            def __init__(self):
                self._running = True
                self._task = asyncio.create_task(self._run())

            async def _run(self):
                while self._running:
                    await asyncio.sleep(1)

            def stop(self):
                self._running = False
    """)
    assert found == ["task Clock._task: end unknown"]


def test_a_flag_of_another_object_stops_no_thread() -> None:
    found = known("""
        import threading

        class Clock:
            def __init__(self):
                self._running = True
                self._thread = threading.Thread(target=self._run)

            def _run(self):
                while self._running:
                    print("tick")

        class Bell:
            def stop(self):
                self._running = False
    """)
    assert found == ["thread Clock._thread: end unknown"]


def test_a_thread_that_is_sent_none() -> None:
    assert known("""
        import queue
        import threading

        class Writer:
            def __init__(self):
                self._rows = queue.Queue()
                self._thread = threading.Thread(target=self._run)
                self._thread.start()

            def _run(self):
                while (row := self._rows.get()) is not None:
                    print(row)

            def stop(self):
                self._rows.put(None)
    """) == ["channel Writer._rows: put resolved, get resolved", "thread Writer._thread: end resolved"]


def test_a_job_is_no_future_to_set() -> None:
    assert known("""
        from concurrent.futures import ThreadPoolExecutor

        def main():
            with ThreadPoolExecutor() as pool:
                job = pool.submit(print)
            job.result()
    """) == ["executor pool: shutdown resolved", "job job: wait resolved"]


def test_what_exists_already_is_not_counted() -> None:
    assert (
        known("""
        import asyncio

        async def main():
            asyncio.current_task().cancel()
            asyncio.get_running_loop().stop()
    """)
        == []
    )


def test_one_entry_for_what_one_place_makes_for_several_owners() -> None:
    (one,) = survey(
        linked("""
        import queue

        class Outbox:
            def __init__(self):
                self._rows = queue.Queue()

            def push(self, row):
                self._rows.put(row)

            def pop(self):
                return self._rows.get()

        class Shop:
            def __init__(self):
                self._new = Outbox()
                self._old = Outbox()

            def sell(self):
                self._new.push(1)
                self._new.pop()
                self._old.push(2)
    """)
    )
    assert (one.line, one.name, one.in_attribute, one.library, one.standing) == (6, "Outbox._rows", True, "queue", Standing.RESOLVED)


UNKNOWN_QUEUE = Knowledge("a.py", 3, 5, "channel", "queue", "rows", False, {"put": Standing.RESOLVED, "get": Standing.UNKNOWN}, None)
OPEN_EVENT = Knowledge(
    "b.py",
    7,
    1,
    "event",
    "asyncio",
    "Bell.rung",
    True,
    {"set": Standing.ESCAPES, "wait": Standing.RESOLVED},
    Reason(Why.PUBLIC_ATTRIBUTE, "`rung` is a public attribute"),
)


def test_counts_by_kind_and_end() -> None:
    stats = count([UNKNOWN_QUEUE, OPEN_EVENT], Standing.UNKNOWN)
    assert [(row["kind"], row["library"], row["resolved"], row["escapes"], row["unknown"]) for row in stats["resources"]] == [
        ("channel", "queue", 0, 0, 1),
        ("event", "asyncio", 0, 1, 0),
    ]
    assert [(row["kind"], row["end"], row["count"], row["resolved"]) for row in stats["ends"]] == [
        ("channel", "get", 1, 0),
        ("channel", "put", 1, 1),
        ("event", "set", 1, 0),
        ("event", "wait", 1, 1),
    ]
    assert {row["kind"] for row in stats["ends_in_attributes"]} == {"event"}
    assert stats["reasons"] == [{"kind": "event", "reason": "a public attribute", "count": 1}]
    assert [(entry["name"], entry["missing"]) for entry in stats["listed"]] == [("rows", ["get"])]


def test_the_table_names_shares_reasons_and_what_was_asked_for() -> None:
    lines = list(table(count([UNKNOWN_QUEUE, OPEN_EVENT], Standing.ESCAPES)))
    assert "  channel  queue         1       0   0.0 %       0   0.0 %       1 100.0 %" in lines
    assert "     1  a public attribute" in lines
    assert lines[-1] == "b.py:7:1: event Bell.rung: no set (`rung` is a public attribute)"


def test_nothing_to_count() -> None:
    assert list(table(count([]))) == []
