"""What runs on its own, who runs a function, and what ends or bounds a wait."""

from __future__ import annotations

import pytest
from link.programs import linked, named, operations, runners, units

from leaklint.catalog.grammar import Does
from leaklint.link.owners import Owner, OwnerKind, Owners


def test_tasks() -> None:
    assert units("""
        import asyncio

        async def tick():
            pass

        class Clock:
            async def run(self):
                pass

        async def main():
            loop = asyncio.get_running_loop()
            asyncio.create_task(tick())
            asyncio.ensure_future(Clock().run())
            loop.create_task(tick())
    """) == ["task tick", "task Clock.run", "task tick"]


def test_a_task_runs_what_it_was_given_and_not_its_maker() -> None:
    source = """
        import asyncio

        async def _tick():
            pass

        async def _main():
            task = asyncio.create_task(_tick())
            await task

        asyncio.run(_main())

        if __name__ == "__main__":
            pass
    """
    assert runners(source, "_tick") == ["task _tick"]
    assert runners(source, "_main") == ["main"]


def test_a_helper_runs_where_it_is_called_from() -> None:
    source = """
        import asyncio

        async def _one():
            await _both()

        async def _two():
            await _both()

        async def _both():
            pass

        async def _main():
            first = asyncio.create_task(_one())
            second = asyncio.create_task(_two())
            await first
            await second

        if __name__ == "__main__":
            asyncio.run(_main())
    """
    assert runners(source, "_both") == ["task _one", "task _two"]


def test_a_public_function_may_be_run_by_anyone() -> None:
    source = """
        import asyncio

        async def serve():
            await _step()

        async def _step():
            await asyncio.Event().wait()
    """
    assert runners(source, "_step") == ["anyone"]


def test_a_thread_with_a_target_and_its_arguments() -> None:
    source = """
        import queue
        import threading

        def work(source, *, log):
            source.get()
            log.put(1)

        def main():
            jobs = queue.Queue()
            lines = queue.Queue()
            thread = threading.Thread(target=work, args=(jobs,), kwargs={"log": lines}, daemon=True)
            thread.start()
            jobs.put(1)
            thread.join()
    """
    assert units(source) == ["thread work (daemon)"]
    assert operations(source) == ["receive jobs", "send lines", "spawn thread", "send jobs", "join thread"]


def test_a_thread_made_daemon_before_its_start() -> None:
    assert units("""
        import threading

        def work():
            pass

        def main():
            thread = threading.Thread(target=work)
            thread.daemon = True
            thread.start()
    """) == ["thread work (daemon)"]


def test_a_thread_subclass() -> None:
    source = """
        import queue
        import threading

        class Worker(threading.Thread):
            def __init__(self, jobs):
                super().__init__(daemon=True)
                self._jobs = jobs

            def run(self):
                self._jobs.get()

        def main():
            jobs = queue.Queue()
            worker = Worker(jobs)
            worker.start()
            worker.join()
    """
    assert units(source) == ["thread Worker.run (daemon)"]
    assert operations(source) == ["receive Worker._jobs", "spawn Worker", "join Worker"]


def test_a_thread_that_is_never_started_has_no_spawn() -> None:
    program = linked("""
        import threading

        def main():
            threading.Thread(target=print)
    """)
    (unit,) = program.units
    assert unit.spawns == ()


def test_a_process() -> None:
    assert units("""
        import multiprocessing

        def work(jobs):
            jobs.get()

        def main():
            jobs = multiprocessing.Queue()
            multiprocessing.Process(target=work, args=(jobs,)).start()
    """) == ["process work"]


def test_jobs_on_an_executor() -> None:
    source = """
        import queue
        from concurrent.futures import ThreadPoolExecutor

        def work(jobs):
            jobs.get()

        def main():
            jobs = queue.Queue()
            with ThreadPoolExecutor(4) as pool:
                future = pool.submit(work, jobs)
                future.result()
    """
    assert units(source) == ["job work"]
    assert "receive jobs" in operations(source)


def test_timers_and_callbacks() -> None:
    assert units("""
        import asyncio
        import threading

        def ring():
            pass

        def main():
            asyncio.get_running_loop().call_later(5, ring)
            threading.Timer(5, ring).start()
    """) == ["callback ring", "timer ring"]


def test_a_done_callback() -> None:
    assert operations("""
        import asyncio
        import threading

        async def tick():
            pass

        async def main():
            ended = threading.Event()
            task = asyncio.create_task(tick())
            task.add_done_callback(lambda _: ended.set())
    """) == ["register task", "signal ended"]


def test_a_task_group_joins_what_it_spawns() -> None:
    source = """
        import asyncio

        async def _push(jobs):
            await jobs.put(1)

        async def main():
            jobs = asyncio.Queue()
            async with asyncio.TaskGroup() as group:
                group.create_task(_push(jobs))
            await jobs.get()
    """
    assert units(source) == ["task _push"]
    assert operations(source) == ["send jobs", "join group", "spawn group", "receive jobs"]


def test_nurseries() -> None:
    assert units("""
        import anyio
        import trio

        async def tick(seconds):
            pass

        async def first():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(tick, 1)

        async def second():
            async with anyio.create_task_group() as group:
                group.start_soon(tick, 1)
    """) == ["task tick", "task tick"]


def test_a_spawn_in_a_helper() -> None:
    """The project's own `spawn` is no more than what it does with its parameter."""
    source = """
        import asyncio

        class App:
            def spawn(self, work):
                task = asyncio.create_task(work)
                return task

        async def tick():
            pass

        async def main(app: App):
            task = app.spawn(tick())
            task.cancel()
    """
    assert units(source) == ["task tick"]
    assert operations(source) == ["cancel task"]


def test_a_helper_that_cancels_what_it_is_given() -> None:
    assert operations("""
        import asyncio

        async def cancel_and_wait(*tasks):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        async def tick():
            pass

        async def main():
            first = asyncio.create_task(tick())
            second = asyncio.create_task(tick())
            await cancel_and_wait(first, second)
    """) == ["cancel first", "cancel second", "join first", "join second", "join first, second"]


def test_gather_runs_the_coroutines_it_is_given() -> None:
    assert operations("""
        import asyncio

        async def _push(jobs):
            await jobs.put(1)

        async def _pull(jobs):
            await jobs.get()

        async def main():
            jobs = asyncio.Queue()
            await asyncio.gather(_push(jobs), _pull(jobs))
    """) == ["send jobs", "receive jobs"]


def test_a_list_of_tasks_is_joined_one_by_one() -> None:
    assert operations("""
        import asyncio

        async def tick():
            pass

        async def main():
            tasks = [asyncio.create_task(tick()) for _ in range(3)]
            for task in tasks:
                await task
    """) == ["join task"]


def _blocking(source: str) -> dict[int, bool]:
    """Line → whether the receive or wait there can last for ever."""
    program = linked(source)
    return {
        action.at.line: program.blocks(action)
        for action in program.actions
        if action.does in (Does.RECEIVE, Does.WAIT, Does.ACQUIRE) and not action.method.startswith("__")
    }


def test_a_timeout_bounds_a_wait() -> None:
    assert _blocking("""
        import queue
        import threading

        def main():
            jobs = queue.Queue()
            jobs.get()
            jobs.get(timeout=5)
            jobs.get(timeout=None)
            jobs.get(block=False)
            jobs.get(True, 5)
            jobs.get_nowait()
            lock = threading.Lock()
            lock.acquire()
            lock.acquire(False)
            done = threading.Event()
            done.wait()
            done.wait(5)
    """) == {7: True, 8: False, 9: True, 10: False, 11: False, 12: False, 14: True, 15: False, 17: True, 18: False}


def test_a_timeout_handed_on_by_a_parameter_bounds_a_wait() -> None:
    assert _blocking("""
        import queue

        def take(jobs: queue.Queue, seconds):
            assert seconds
            jobs.get(timeout=seconds)

        def main():
            take(queue.Queue(), 5)
    """) == {6: False}


def test_wait_for_bounds_the_operation_it_is_given() -> None:
    assert _blocking("""
        import asyncio

        async def main():
            jobs = asyncio.Queue()
            await asyncio.wait_for(jobs.get(), 5)
            await asyncio.wait_for(jobs.get(), timeout=None)
            await jobs.get()
    """) == {6: False, 7: True, 8: True}


def test_a_timeout_block_bounds_what_is_in_it() -> None:
    assert _blocking("""
        import asyncio

        async def main():
            jobs = asyncio.Queue()
            async with asyncio.timeout(5):
                await jobs.get()
            await jobs.get()
    """) == {7: False, 8: True}


def test_a_cancel_scope_with_a_deadline_bounds_what_is_in_it() -> None:
    assert _blocking("""
        import trio

        async def main():
            done = trio.Event()
            with trio.move_on_after(5):
                await done.wait()
            await done.wait()
    """) == {7: False, 8: True}


def test_an_operation_handed_on_is_deferred() -> None:
    program = linked("""
        import asyncio

        async def main():
            jobs = asyncio.Queue()
            later = asyncio.create_task(jobs.get())
            await jobs.get()
            item = jobs.get()
            await item
    """)
    assert {a.at.line: a.deferred for a in program.actions if a.does is Does.RECEIVE} == {6: True, 7: False, 8: False}


def test_what_a_script_reaches_is_live_and_nothing_else() -> None:
    program = linked("""
        import threading

        def main():
            threading.Thread(target=work).start()

        def work():
            step()

        def step():
            pass

        def forgotten():
            pass

        if __name__ == "__main__":
            main()
    """)
    assert {program.node(function).qualname for function in program.live} == {"<module>", "main", "work", "step"}


def test_in_a_package_everything_public_is_live() -> None:
    program = linked({"shop/__init__.py": "", "shop/till.py": "import queue\n\ndef open():\n    _check()\n\ndef _check():\n    pass\n"})
    assert program.openness.callable[named(program, "open")].text == "it is public"
    assert {named(program, "open"), named(program, "_check")} <= program.live
    assert named(program, "_check") not in program.openness.callable


def test_what_runs_inside_what_else() -> None:
    program = linked("""
        import queue

        class Box:
            @property
            def size(self):
                return 1

            def __enter__(self):
                return self

            def __exit__(self, *error):
                pass

            def __iter__(self):
                yield 1

        def main():
            with Box() as box:
                for one in box:
                    print(box.size)
    """)
    inner = {program.node(function).qualname for function in program.reached([named(program, "main")])}
    assert inner == {"main", "Box.size", "Box.__enter__", "Box.__exit__", "Box.__iter__"}


_NAMES = """
import asyncio, atexit, concurrent.futures, multiprocessing, signal, threading, weakref

def work(*given):
    pass

async def tick(*given):
    pass
"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("class W(multiprocessing.Process):\n    def run(self): work()\ndef main(): W().start()", ["process W.run"]),
        ("def main(): multiprocessing.get_context('spawn').Process(target=work).start()", ["process work"]),
        ("class T(threading.Timer):\n    def run(self): tick\ndef main(): T(5, None).start()", ["timer T.run"]),
        ("async def main(): await asyncio.get_running_loop().run_in_executor(None, work, 1)", ["job work"]),
        ("async def main(): await asyncio.to_thread(work, 1)", ["job work"]),
        ("def main(): concurrent.futures.ThreadPoolExecutor().map(work, [1])", ["job work"]),
        ("def main(loop: asyncio.AbstractEventLoop): asyncio.run_coroutine_threadsafe(tick(), loop)", ["task tick"]),
        ("def main(loop: asyncio.AbstractEventLoop): loop.add_signal_handler(2, work)", ["handler work"]),
        ("signal.signal(2, work)\nsignal.signal(3, signal.SIG_DFL)", ["handler work"]),
        ("@atexit.register\ndef close(): pass\natexit.register(work)", ["handler close", "handler work"]),
        ("threading._register_atexit(work)", ["handler work"]),
        ("class A:\n    def __init__(self): weakref.finalize(self, work)", ["handler work"]),
        ("def main(loop: asyncio.AbstractEventLoop): loop.add_reader(0, work)", ["callback work"]),
        ("def main(loop: asyncio.AbstractEventLoop): loop.call_soon(work)", ["callback work"]),
        ("def main(loop: asyncio.AbstractEventLoop): loop.call_soon_threadsafe(work)", ["callback work"]),
        ("async def main(): await asyncio.start_server(tick, 'host', 1)", ["callback tick"]),
        (
            "async def main(loop: asyncio.AbstractEventLoop): await loop.create_server(lambda: asyncio.Protocol(), 'host', 1)",
            ["callback main.<locals>.<lambda>"],
        ),
        ("import anyio\nasync def main():\n    async with anyio.create_task_group() as g: await g.start(tick)", ["task tick"]),
        ("import anyio.to_thread\nasync def main(): await anyio.to_thread.run_sync(work)", ["job work"]),
        (
            "from anyio.from_thread import start_blocking_portal\ndef main():\n"
            "    with start_blocking_portal() as portal: portal.start_task_soon(tick)",
            ["task tick"],
        ),
        ("import trio\nasync def main():\n    async with trio.open_nursery() as n: await n.start(tick)", ["task tick"]),
    ],
)
def test_what_libraries_start(source: str, expected: list[str]) -> None:
    assert units(_NAMES + source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("async def main():\n    async with asyncio.TaskGroup() as g: g.create_task(tick())", Owner(OwnerKind.GROUP, "g")),
        ("def main():\n    pool = concurrent.futures.ThreadPoolExecutor()\n    pool.submit(work)", Owner(OwnerKind.EXECUTOR, "pool")),
        ("class A:\n    def start(self): self._task = asyncio.create_task(tick())", Owner(OwnerKind.ATTRIBUTE, "A._task")),
        ("_thread = threading.Thread(target=work)\n_thread.start()", Owner(OwnerKind.GLOBAL, "_thread")),
        (
            "class A:\n    def __init__(self): self._all = set()\n    def start(self): self._all.add(asyncio.create_task(tick()))",
            Owner(OwnerKind.CONTAINER, "A._all"),
        ),
        ("async def main():\n    task = asyncio.create_task(tick())\n    await task", Owner(OwnerKind.LOCAL, "task")),
        ("async def main(): asyncio.create_task(tick())", Owner(OwnerKind.DROPPED)),
        ("async def main(): await asyncio.gather(tick())", Owner(OwnerKind.AWAITED)),
        ("def main(loop: asyncio.AbstractEventLoop): loop.call_soon(work)", Owner(OwnerKind.LIBRARY)),
    ],
)
def test_who_owns_it(source: str, expected: Owner) -> None:
    program = linked(_NAMES + source)
    (unit,) = program.units
    assert Owners(program).of(unit) == expected


def test_a_function_that_returns_a_task_gives_it_to_its_caller() -> None:
    program = linked({"shop/__init__.py": "", "shop/till.py": _NAMES + "def start(): return asyncio.create_task(tick())"})
    (unit,) = program.units
    assert Owners(program).of(unit) == Owner(OwnerKind.RETURNED, "returned from `start`")


def test_ways_to_make_a_daemon() -> None:
    assert units("""
        import threading

        class Background(threading.Thread):
            daemon = True

        class Bell(Background):
            def run(self):
                pass

        def work():
            pass

        def main():
            Bell().start()
            thread = threading.Thread(target=work)
            thread.setDaemon(True)
            thread.start()
    """) == ["thread Bell.run (daemon)", "thread work (daemon)"]
