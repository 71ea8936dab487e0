"""What is kept together and read apart: dicts with constant keys, tuples, named tuples, namespaces, and the ways through containers."""

from __future__ import annotations

import pytest
from link.programs import operations, owned


def test_a_dict_display_with_constant_keys() -> None:
    assert owned("""
        import queue

        def main():
            ways = {
                "in": queue.Queue(),
                "out": queue.Queue(),
            }
            ways["in"].put(1)
            ways["out"].get()
    """) == ["send 6", "receive 7"]


def test_a_typed_dict() -> None:
    assert owned("""
        import queue
        from typing import TypedDict

        class Ways(TypedDict):
            inner: queue.Queue
            outer: queue.Queue

        def main():
            ways = Ways(
                inner=queue.Queue(),
                outer=queue.Queue(),
            )
            ways["inner"].put(1)
            ways["outer"].get()
    """) == ["send 11", "receive 12"]


def test_a_dict_of_keywords() -> None:
    assert owned("""
        import queue

        def main():
            ways = dict(
                inner=queue.Queue(),
                outer=queue.Queue(),
            )
            ways["inner"].put(1)
            ways["outer"].get()
    """) == ["send 6", "receive 7"]


def test_keys_that_are_names_of_constants() -> None:
    assert owned(
        {
            "keys.py": """
                IN = "in"
                OUT = "out"
            """,
            "start.py": """
                import queue
                import keys
                from keys import IN

                LOST = "lost"

                def main():
                    ways = {
                        IN: queue.Queue(),
                        keys.OUT: queue.Queue(),
                        LOST: queue.Queue(),
                    }
                    ways["in"].put(1)
                    ways[keys.OUT].get()
                    ways[LOST].join()
            """,
        }
    ) == ["send 10", "receive 11", "wait 12"]


def test_a_local_name_is_no_constant() -> None:
    assert owned("""
        import queue

        KEY = "in"

        def main(KEY):
            ways = {
                "in": queue.Queue(),
                "out": queue.Queue(),
            }
            ways[KEY] = queue.Queue()
            ways["out"].get()
    """) == ["receive 9", "receive 11"]


def test_what_is_put_in_later_under_a_constant_key() -> None:
    assert owned("""
        import queue

        def main(name):
            ways = {"in": None}
            ways["in"] = queue.Queue()
            ways["out"] = queue.Queue()
            ways[name] = queue.Queue()
            ways["in"].put(1)
            ways["out"].get()
            ways[name].join()
    """) == ["send 6", "send 8", "receive 7", "receive 8", "wait 6", "wait 7", "wait 8"]


def test_methods_with_constant_keys() -> None:
    assert owned("""
        import queue

        def main():
            ways = {"in": None, "out": None, "more": None}
            ways.update(out=queue.Queue())
            ways.setdefault("in", queue.Queue())
            ways.get("in").put(1)
            ways.pop("out").get()
            ways.get("more", queue.Queue()).join()
    """) == ["send 7", "receive 6", "wait 10"]


def test_iterating_a_record_gives_all_of_it() -> None:
    assert owned("""
        import queue

        def main():
            ways = {
                "in": queue.Queue(),
                "out": queue.Queue(),
            }
            for way in ways.values():
                way.put(1)
            for name, way in ways.items():
                way.get()
            for way in sorted(ways.values(), key=str):
                way.join()
    """) == ["send 6", "send 7", "receive 6", "receive 7", "wait 6", "wait 7"]


def test_a_record_in_the_attribute_of_an_object() -> None:
    assert operations("""
        import asyncio

        class Job:
            def __init__(self, loop: asyncio.AbstractEventLoop):
                self._info = {"timer": loop.call_later(5, self.stop), "done": asyncio.Event()}

            def stop(self):
                self._info["timer"].cancel()
                self._info["done"].set()
    """) == ["arm loop", "cancel TimerHandle", "signal Event"]


def test_an_attribute_of_a_dict_is_none_of_its_elements() -> None:
    assert (
        owned("""
        import queue

        def main(name):
            ways = {"in": queue.Queue()}
            ways[name] = queue.Queue()
            ways.unfinished.put(1)
    """)
        == []
    )


@pytest.mark.parametrize(
    "made",
    [
        'namedtuple("Ways", ["inner", "outer"])',
        'collections.namedtuple("Ways", ("inner", "outer"))',
        'namedtuple("Ways", "inner, outer")',
    ],
)
def test_named_tuples_made_by_a_call(made: str) -> None:
    source = f"""
        import collections
        import queue
        from collections import namedtuple
        from typing import NamedTuple

        Ways = {made}

        def main():
            ways = Ways(
                queue.Queue(),
                outer=queue.Queue(),
            )
            ways.inner.put(1)
            ways.outer.get()
    """
    assert owned(source) == ["send 11", "receive 12"]


@pytest.mark.parametrize(
    "read",
    [
        "inner, outer = ways.inner, ways.outer",
        "inner, outer = ways",
        "inner, outer = ways[0], ways[1]",
        "(inner, outer), rest = ways, None",
    ],
)
def test_a_class_of_named_tuples(read: str) -> None:
    source = f"""
        import queue
        from typing import NamedTuple

        class Ways(NamedTuple):
            inner: queue.Queue
            outer: queue.Queue

        def main():
            ways = Ways(
                queue.Queue(),
                queue.Queue(),
            )
            {read}
            inner.put(1)
            outer.get()
    """
    assert owned(source) == ["send 11", "receive 12"]


def test_iterating_a_named_tuple() -> None:
    assert owned("""
        import queue
        from typing import NamedTuple

        class Ways(NamedTuple):
            inner: queue.Queue
            outer: queue.Queue

        def main():
            for way in Ways(queue.Queue(), None):
                way.put(1)
    """) == ["send 10"]


def test_a_namespace() -> None:
    assert owned("""
        import queue
        from types import SimpleNamespace

        def main():
            ways = SimpleNamespace(
                inner=queue.Queue(),
                outer=queue.Queue(),
            )
            ways.later = queue.Queue()
            ways.inner.put(1)
            ways.outer.get()
            ways.later.join()
    """) == ["send 7", "receive 8", "wait 10"]


def test_tuples_by_index() -> None:
    assert owned("""
        import queue

        def both():
            return (
                queue.Queue(),
                queue.Queue(),
            )

        def main():
            ways = both()
            ways[0].put(1)
            ways[1].get()
            inner, outer = both()
            inner.join()
            outer.task_done()
    """) == ["send 6", "receive 7", "wait 6", "drain 7"]


def test_star_unpacking() -> None:
    assert owned("""
        import queue

        def main():
            ways = (
                queue.Queue(),
                queue.Queue(),
                queue.Queue(),
            )
            first, *rest = ways
            first.put(1)
            rest[0].get()
            *others, last = ways
            last.join()
    """) == ["send 6", "receive 7", "receive 8", "wait 8"]


def test_swapped_names() -> None:
    assert owned("""
        import queue

        def main():
            inner = queue.Queue()
            outer = queue.Queue()
            inner, outer = outer, inner
            inner.put(1)
    """) in (["send 6"], ["send 5", "send 6"])


def test_a_dict_of_pairs() -> None:
    assert owned("""
        import queue

        def pairs(names):
            for name in names:
                yield name, queue.Queue()

        def main(names):
            ways = dict(pairs(names))
            ways["in"].put(1)
            more = dict([("in", queue.Queue())])
            more["in"].get()
            for name, way in dict(pairs(names)).items():
                way.join()
    """) == ["send 6", "receive 11", "wait 6"]


def test_slices() -> None:
    assert owned("""
        import queue

        def main():
            ways = []
            ways[:] = [queue.Queue() for _ in range(3)]
            for way in ways[1:]:
                way.put(1)
            ways[0:1][0].get()
    """) == ["send 6", "receive 6"]


@pytest.mark.parametrize(
    "copy", ["list(ways)", "tuple(ways)", "set(ways)", "sorted(ways)", "reversed(ways)", "ways.copy()", "[*ways]", "ways[:]"]
)
def test_copies_of_a_list(copy: str) -> None:
    source = f"""
        import queue

        def main():
            ways = [queue.Queue()]
            for way in {copy}:
                way.put(1)
    """
    assert owned(source) == ["send 5"]


@pytest.mark.parametrize("copy", ["dict(ways)", "ways.copy()", "{**ways}", "ways | {}"])
def test_copies_of_a_dict(copy: str) -> None:
    source = f"""
        import queue

        def main(name):
            ways = {{name: queue.Queue()}}
            for way in ({copy}).values():
                way.put(1)
    """
    assert owned(source) == ["send 5"]


def test_the_keys_of_a_dict_may_be_what_matters() -> None:
    assert owned("""
        import asyncio

        async def work():
            pass

        async def main():
            numbers = {}
            for number in range(3):
                task = asyncio.create_task(work())
                numbers[task] = number
            for task in numbers.keys():
                task.cancel()
            for task in numbers:
                await task
    """) == ["cancel 10", "join 10"]


@pytest.mark.parametrize("base", ["dict", "UserDict", "collections.OrderedDict"])
def test_a_class_derived_from_a_dict(base: str) -> None:
    source = f"""
        import collections
        import queue
        from collections import UserDict

        class Table({base}):
            def fill(self, name):
                self[name] = queue.Queue()

            def drain(self):
                for way in self.values():
                    way.get()

        def main(name):
            table = Table()
            table.fill(name)
            table.drain()
            table[name].put(1)
    """
    assert owned(source) == ["receive 8 of 15", "send 8 of 15"]


@pytest.mark.parametrize("base", ["list", "collections.UserList", "deque"])
def test_a_class_derived_from_a_list(base: str) -> None:
    source = f"""
        import collections
        import queue
        from collections import deque

        class Row({base}):
            def each(self):
                for way in self:
                    way.put(1)

        def main():
            row = Row([queue.Queue()])
            row.append(queue.Queue())
            row.each()
            row[0].get()
    """
    assert owned(source) == ["send 12", "send 13", "receive 12", "receive 13"]


def test_a_dict_that_makes_what_is_missing() -> None:
    assert owned("""
        import queue
        from collections import defaultdict

        class Table(dict):
            def __missing__(self, name):
                way = self[name] = queue.Queue()
                return way

        def main(name):
            Table()[name].put(1)
            defaultdict(queue.Queue)[name].get()
    """) == ["send 7 of 11", "receive 12"]


def test_a_heap_of_pairs() -> None:
    assert owned("""
        import asyncio
        import heapq

        def main(loop: asyncio.AbstractEventLoop):
            heap = []
            heapq.heappush(heap, (1, loop.call_later(5, print)))
            when, timer = heapq.heappop(heap)
            timer.cancel()
            heap[0][1].cancel()
    """) == ["cancel 7", "cancel 7"]


def test_attributes_spelled_in_a_loop() -> None:
    assert operations("""
        import queue

        class Hub:
            def __init__(self):
                for name in ("left", "right"):
                    setattr(self, name, queue.Queue())
                self.other = queue.Queue()

            def stop(self):
                for name in ["left", "right"]:
                    getattr(self, name).put(None)
                way = getattr(self, "missing", self.other)
                way.get()
    """) == ["send Hub.left", "receive Hub.other"]


def test_adding_to_a_container_makes_no_alias() -> None:
    assert owned("""
        import queue

        def main(unknown):
            ways = [queue.Queue()]
            more = [queue.Queue()]
            ways += more
            ways.append(queue.Queue())
            for way in ways:
                way.put(1)
            for way in more:
                way.get()
            unknown += more
            for way in unknown:
                way.join()
            several = {queue.Queue()}
            several |= set(more)
            for way in several:
                way.task_done()
    """) == ["send 5", "send 6", "send 8", "receive 6", "wait 6", "drain 6", "drain 16"]
