"""The rarer ways of an object through a program: special methods called by hand, classes as values, weak references, `map`."""

from __future__ import annotations

import pytest
from link.programs import linked, operations, owned


def test_a_submodule_imported_by_its_own_package() -> None:
    assert owned(
        {
            "shop/__init__.py": "",
            "shop/tools/__init__.py": "from . import ending\n",
            "shop/tools/ending.py": """
                import asyncio

                async def end(task):
                    task.cancel()
            """,
            "shop/main.py": """
                import asyncio
                from . import tools

                async def run():
                    task = asyncio.create_task(asyncio.sleep(1))
                    await tools.ending.end(task)
            """,
        }
    ) == ["cancel 6"]


@pytest.mark.parametrize(
    "tasks",
    [
        "map(asyncio.create_task, [work(1), work(2)])",
        "list(map(asyncio.create_task, [work(1), work(2)]))",
        "list(map(lambda number: asyncio.create_task(work(number)), [1, 2]))",
        "[*map(start, (1, 2))]",
    ],
)
def test_what_map_gives_is_what_the_function_gives(tasks: str) -> None:
    source = f"""
        import asyncio

        async def work(number):
            pass

        def start(number):
            return asyncio.create_task(work(number))

        async def main():
            for task in {tasks}:
                task.cancel()
    """
    assert operations(source)[-1] == "cancel task"


def test_special_methods_called_by_hand() -> None:
    assert operations("""
        import anyio
        import threading

        class Pool:
            def __init__(self):
                self._group = anyio.create_task_group()
                self._lock = threading.Lock()

            async def __aenter__(self):
                self._lock.__enter__()
                await self._group.__aenter__()
                return self

            async def __aexit__(self, *error):
                self._lock.__exit__(*error)
                return await self._group.__aexit__(*error)
    """) == ["acquire Pool._lock", "release Pool._lock", "join Pool._group"]


def test_the_class_of_an_object_is_called() -> None:
    for again in ("type(self)", "self.__class__"):
        source = f"""
            import queue

            class Box:
                def __init__(self, rows):
                    self._rows = rows

                def again(self):
                    return {again}(queue.Queue())

                def push(self):
                    self._rows.put(1)
        """
        assert owned(source) == ["send 9"]


def test_a_class_attribute_through_the_object_and_its_class() -> None:
    for way in ("self._lock", "type(self)._lock", "self.__class__._lock", "Meter._lock"):
        source = f"""
            import threading

            class Meter:
                _lock = threading.Lock()

                def use(self):
                    {way}.acquire()
        """
        assert owned(source) == ["acquire 5"]


def test_the_class_in_new_is_the_one_that_is_called() -> None:
    assert owned("""
        import threading

        class Shape:
            _lock: threading.Lock

            def __new__(cls, size):
                cls._lock.acquire()
                return super().__new__(cls)

        class Circle(Shape):
            _lock = threading.Lock()

        def make():
            return Circle(3)
    """) == ["acquire 12"]


def test_weak_references() -> None:
    assert owned("""
        import queue
        import threading
        import weakref

        class Bus:
            def __init__(self):
                self._rows = queue.Queue()
                self._more = queue.Queue()
                threading.Thread(target=Bus._run, args=(weakref.ref(self),)).start()

            def drainer(self):
                weak = weakref.ref(self._rows)

                def drain():
                    rows = weak()
                    if rows is not None:
                        rows.get()

                return drain

            @staticmethod
            def _run(weak):
                self = weak()
                self._more.get()
    """)[-2:] == ["receive 8", "receive 9"]


def test_a_partial_that_is_given_away_has_its_own_arguments() -> None:
    assert owned("""
        import queue
        from functools import partial
        import elsewhere

        class Server:
            def _write(self, rows):
                rows.put(1)

            def handle(self):
                rows = queue.Queue()
                return elsewhere.answer(partial(self._write, rows))
    """) == ["send 11"]


def test_a_type_that_is_only_claimed() -> None:
    assert owned("""
        import queue
        from typing import cast

        def main():
            rows = cast("queue.Queue[int]", queue.Queue())
            rows.put(1)
    """) == ["send 6"]


def test_what_is_sent_into_a_generator_comes_out_of_its_yield() -> None:
    assert owned("""
        import queue

        def pump():
            rows = yield queue.Queue()
            rows.put(1)

        def main():
            pumping = pump()
            pumping.send(None).get()
            pumping.send(queue.Queue())
    """) == ["send 11", "receive 5"]


def test_an_async_generator_driven_by_hand() -> None:
    assert owned("""
        import asyncio

        async def pump():
            rows = yield asyncio.Queue()
            await rows.put(1)

        async def main():
            pumping = pump()
            first = await pumping.__anext__()
            await first.get()
            await pumping.asend(asyncio.Queue())
    """) == ["send 12", "receive 5"]


def test_operators_run_the_methods_of_a_class() -> None:
    program = linked("""
        import threading

        class Table:
            def __init__(self):
                self._lock = threading.Lock()

            def __contains__(self, key):
                with self._lock:
                    return True

            def __delitem__(self, key):
                self._lock.acquire()

            def __setitem__(self, key, value):
                self._lock.release()

        def main():
            table = Table()
            if 3 in table:
                del table[3]
    """)
    run = [program.node(a.function).name for a in program.actions if a.function in program.live and a.does in ("acquire", "release")]
    assert run == ["__contains__", "__contains__", "__delitem__"]
