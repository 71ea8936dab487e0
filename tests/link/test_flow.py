"""Which object an operation acts on: the ways a queue, lock or task travels from where it is made to where it is used."""

from __future__ import annotations

from link.programs import linked, operations, traced


def test_a_local() -> None:
    assert operations("""
        import queue

        def main():
            jobs = queue.Queue()
            jobs.put(1)
            jobs.get()
    """) == ["send jobs", "receive jobs"]


def test_two_locals_are_two_objects() -> None:
    assert operations("""
        import queue

        def main():
            jobs, results = queue.Queue(), queue.Queue()
            jobs.put(1)
            results.get()
    """) == ["send jobs", "receive results"]


def test_an_attribute_used_in_other_methods() -> None:
    assert operations("""
        import asyncio

        class Outbox:
            def __init__(self):
                self._rows = asyncio.Queue()

            async def push(self, row):
                await self._rows.put(row)

            async def drain(self):
                await self._rows.get()
    """) == ["send Outbox._rows", "receive Outbox._rows"]


def test_an_attribute_of_another_object() -> None:
    assert operations("""
        import asyncio

        class Outbox:
            def __init__(self):
                self.rows = asyncio.Queue()

        class Writer:
            def __init__(self):
                self.box = Outbox()

            async def run(self):
                await self.box.rows.get()
    """) == ["receive Outbox.rows"]


def test_a_class_attribute_shared_by_all_instances() -> None:
    assert traced("""
        import threading

        class Registry:
            _lock = threading.Lock()

            def add(self):
                with self._lock:
                    pass

            @classmethod
            def clear(cls):
                cls._lock.acquire()
    """) == ["acquire 5", "release 5", "acquire 5"]


def test_a_module_global() -> None:
    assert operations("""
        import queue

        JOBS = queue.Queue()

        def push(job):
            JOBS.put(job)

        def work():
            return JOBS.get()
    """) == ["send JOBS", "receive JOBS"]


def test_a_global_bound_in_a_function() -> None:
    assert operations("""
        import queue

        _jobs = None

        def start():
            global _jobs
            _jobs = queue.Queue()

        def push(job):
            _jobs.put(job)
    """) == ["send _jobs"]


def test_a_parameter() -> None:
    assert operations("""
        import queue

        def push(target, job):
            target.put(job)

        def main():
            jobs = queue.Queue()
            push(jobs, 1)
    """) == ["send jobs"]


def test_parameters_by_keyword_default_and_stars() -> None:
    assert operations("""
        import queue

        SPARE = queue.Queue()

        def by_keyword(*, target):
            assert target
            target.put(1)

        def by_default(target=SPARE):
            assert target
            target.get()

        def by_star(*targets):
            for target in targets:
                target.task_done()

        def by_name(**targets):
            targets["first"].join()

        def main():
            by_default()
            jobs = queue.Queue()
            by_keyword(target=jobs)
            by_star(jobs)
            by_name(first=jobs)
    """) == ["send jobs", "receive SPARE", "drain jobs", "wait jobs"]


def test_arguments_unpacked_at_the_call() -> None:
    assert operations("""
        import queue

        def move(source, target):
            target.put(source.get())

        def main():
            first = queue.Queue()
            second = queue.Queue()
            ends = (first, second)
            move(*ends)
    """) == ["send second", "receive first"]


def test_a_constructor_argument() -> None:
    assert operations("""
        import queue

        class Worker:
            def __init__(self, jobs):
                self._jobs = jobs

            def step(self):
                self._jobs.get()

        def main():
            Worker(queue.Queue()).step()
    """) == ["receive Worker._jobs"]


def test_a_closure() -> None:
    assert operations("""
        import queue

        def main():
            jobs = queue.Queue()

            def push(job):
                jobs.put(job)

            push(1)
    """) == ["send jobs"]


def test_a_nonlocal() -> None:
    assert operations("""
        import queue

        def main():
            jobs = None

            def start():
                nonlocal jobs
                jobs = queue.Queue()

            start()
            jobs.get()
    """) == ["receive jobs"]


def test_a_returned_object() -> None:
    assert operations("""
        import queue

        def make():
            return queue.Queue()

        def main():
            jobs = make()
            jobs.put(1)
    """) == ["send jobs"]


def test_an_object_returned_by_a_coroutine() -> None:
    assert operations("""
        import asyncio

        async def make():
            return asyncio.Queue()

        async def main():
            jobs = await make()
            await jobs.get()
    """) == ["receive jobs"]


def test_an_object_yielded_by_a_generator() -> None:
    assert operations("""
        import queue

        def many():
            yield queue.Queue()

        def main():
            for jobs in many():
                jobs.put(1)
    """) == ["send jobs"]


def test_a_context_manager_written_as_a_generator() -> None:
    assert operations("""
        import queue
        from contextlib import contextmanager

        @contextmanager
        def opened():
            yield queue.Queue()

        def main():
            with opened() as jobs:
                jobs.put(1)
    """) == ["send jobs"]


def test_lists_dicts_and_sets() -> None:
    assert operations("""
        import queue
        import threading

        START = threading.Event()
        EVENTS = {START}

        class Hub:
            def __init__(self):
                self._queues = {}
                self._locks = []

            def add(self, key):
                jobs = self._queues[key] = queue.Queue()
                lock = threading.Lock()
                self._locks.append(lock)

            def use(self, key):
                self._queues[key].put(1)
                self._queues.get(key).get()
                for one in self._queues.values():
                    one.join()
                for key, one in self._queues.items():
                    one.task_done()
                for lock in self._locks:
                    lock.acquire()
                for event in EVENTS:
                    event.set()
    """) == ["send jobs", "receive jobs", "wait jobs", "drain jobs", "acquire lock", "signal START"]


def test_a_setdefault() -> None:
    assert operations("""
        import threading

        LOCKS = {}

        def lock_for(key):
            lock = LOCKS.setdefault(key, threading.Lock())
            with lock:
                pass
    """) == ["acquire lock", "release lock"]


def test_a_list_made_by_a_comprehension() -> None:
    assert operations("""
        import queue

        def main():
            shards = [queue.Queue() for _ in range(4)]
            for shard in shards:
                shard.put(None)
    """) == ["send shard"]


def test_a_property() -> None:
    assert operations("""
        import queue

        class Box:
            def __init__(self):
                self._jobs = queue.Queue()

            @property
            def jobs(self):
                return self._jobs

        def main():
            Box().jobs.put(1)
    """) == ["send Box._jobs"]


def test_a_lazy_getter() -> None:
    assert operations("""
        import asyncio

        class Client:
            _lock = None

            def _get_lock(self):
                if self._lock is None:
                    self._lock = asyncio.Lock()
                return self._lock

            async def call(self):
                async with self._get_lock():
                    pass
    """) == ["acquire Client._lock", "release Client._lock"]


def test_a_cached_property() -> None:
    assert operations("""
        import threading
        from functools import cached_property

        class Client:
            @cached_property
            def lock(self):
                return threading.Lock()

            def call(self):
                self.lock.acquire()
    """) == ["acquire Lock"]


def test_a_dataclass_field_with_a_default_factory() -> None:
    assert traced("""
        import asyncio
        from dataclasses import dataclass, field

        @dataclass
        class Session:
            name: str
            inbox: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
            done: asyncio.Event = field(default_factory=lambda: asyncio.Event())

        async def main():
            session = Session("a")
            await session.inbox.put(b"")
            session.done.set()
    """) == ["send 8", "signal 9"]


def test_a_dataclass_field_given_by_position_and_keyword() -> None:
    assert operations("""
        import queue
        from dataclasses import dataclass

        @dataclass
        class Ends:
            source: queue.Queue
            target: queue.Queue

        def main():
            first = queue.Queue()
            second = queue.Queue()
            ends = Ends(first, target=second)
            ends.source.get()
            ends.target.put(1)
    """) == ["receive Ends.source", "send Ends.target"]


def test_a_named_tuple() -> None:
    assert operations("""
        import queue
        from typing import NamedTuple

        class Ends(NamedTuple):
            source: queue.Queue
            target: queue.Queue

        def main():
            ends = Ends(queue.Queue(), queue.Queue())
            ends.target.put(1)
    """) == ["send Ends.target"]


def test_a_partial() -> None:
    assert operations("""
        import queue
        from functools import partial

        def push(target, job):
            target.put(job)

        def main():
            jobs = queue.Queue()
            later = partial(push, jobs)
            later(1)
    """) == ["send jobs"]


def test_a_lambda() -> None:
    assert operations("""
        import queue

        def main():
            jobs = queue.Queue()
            push = lambda job: jobs.put(job)
            push(1)
    """) == ["send jobs"]


def test_inheritance() -> None:
    assert operations("""
        import queue

        class Base:
            def __init__(self):
                self._jobs = queue.Queue()

        class Worker(Base):
            def step(self):
                self._jobs.get()

        Worker().step()
    """) == ["receive Base._jobs", "receive Worker._jobs"]


def test_a_base_class_that_uses_what_its_subclass_makes() -> None:
    assert operations("""
        import queue

        class Base:
            def step(self):
                self.open().get()

        class Worker(Base):
            def __init__(self):
                self._jobs = queue.Queue()

            def open(self):
                return self._jobs

        Worker().step()
    """) == ["receive Worker._jobs"]


def test_super() -> None:
    assert operations("""
        import queue

        class Base:
            def __init__(self, jobs):
                self._jobs = jobs

            def push(self, job):
                self._jobs.put(job)

        class Loud(Base):
            def __init__(self, size):
                super().__init__(queue.Queue(size))

            def push(self, job):
                super().push(job)

        Loud(3).push(1)
    """) == ["send Base._jobs", "send Loud._jobs"]


def test_a_subclass_of_a_library_channel() -> None:
    assert operations("""
        import asyncio

        class Inbox(asyncio.Queue):
            async def take(self):
                return await self.get()

        async def main():
            await Inbox().put(1)
    """) == ["receive Inbox", "send Inbox"]


def test_imports_relative_star_and_re_exported() -> None:
    jobs = """
        import queue

        JOBS = queue.Queue()
    """
    assert operations(
        {
            "shop/__init__.py": "from .jobs import JOBS as WORK\n",
            "shop/jobs.py": jobs,
            "shop/absolute.py": "import queue\nimport shop.jobs\nshop.jobs.JOBS.put(1)\n",
            "shop/re_exported.py": "import queue\nfrom shop import WORK\nWORK.get()\n",
            "shop/relative.py": "import queue\nfrom . import jobs\njobs.JOBS.task_done()\n",
            "shop/starred.py": "import queue\nfrom .jobs import *\nJOBS.join()\n",
        }
    ) == ["send JOBS", "receive JOBS", "drain JOBS", "wait JOBS"]


def test_library_names_imported_in_every_way() -> None:
    assert operations("""
        import asyncio as aio
        import multiprocessing.connection
        from queue import Queue as Channel
        from threading import *

        try:
            from queue import SimpleQueue
        except ImportError:
            SimpleQueue = Channel

        def main():
            first = aio.Queue()
            first.put_nowait(1)
            second = Channel()
            second.put(1)
            third = Lock()
            third.acquire()
            fourth = SimpleQueue()
            fourth.get()
    """) == ["send first", "send second", "acquire third", "receive fourth", "receive fourth"]


def test_a_parameter_annotation_is_evidence() -> None:
    assert operations("""
        import asyncio

        class Outbox:
            def __init__(self):
                self._rows = asyncio.Queue()

            async def push(self, row):
                await self._rows.put(row)

        async def fill(box: "Outbox | None"):
            await box._rows.get()
    """) == ["send Outbox._rows", "receive Outbox._rows"]


def test_an_attribute_annotation_is_evidence() -> None:
    assert operations("""
        import asyncio

        class Outbox:
            def __init__(self):
                self.rows = asyncio.Queue()

        class Writer:
            box: Outbox

            async def run(self):
                await self.box.rows.get()
    """) == ["receive Outbox.rows"]


def test_two_names_in_one_assignment() -> None:
    assert operations("""
        import queue

        class Feed:
            def open(self):
                jobs = self._jobs = queue.Queue()
                jobs.put(1)

            def next(self):
                return self._jobs.get()
    """) == ["send Feed._jobs", "receive Feed._jobs"]


def test_a_walrus() -> None:
    assert operations("""
        import queue

        def main(ready):
            if ready and (jobs := queue.Queue()):
                jobs.put(1)
    """) == ["send jobs"]


def test_tuple_targets() -> None:
    assert traced("""
        import queue

        def both():
            source = queue.Queue()
            target = queue.Queue()
            return source, target

        def main():
            left, right = both()
            left.get()
            right.put(1)
            (first, *rest) = [left]
            first.task_done()
            for one, other in [(left, right)]:
                other.join()
    """) == ["receive 5", "send 6", "drain 5", "wait 6"]


def test_a_conditional_choice() -> None:
    assert operations("""
        import queue

        def main(size):
            jobs = queue.Queue(size) if size else queue.SimpleQueue()
            jobs.put(1)
    """) == ["send jobs", "send jobs"]


def test_either_of_two() -> None:
    assert operations("""
        import queue

        SPARE = queue.Queue()

        def push(jobs=None):
            target = jobs or SPARE
            target.put(1)
    """) == ["send SPARE"]


def test_what_was_sent_comes_out_of_the_channel() -> None:
    assert traced("""
        import queue

        def main():
            requests = queue.Queue()
            reply = queue.Queue()
            requests.put(reply)
            received = requests.get()
            received.put(1)
    """) == ["send 5", "receive 5", "send 6"]


def test_a_bound_method_handed_out() -> None:
    assert operations("""
        import queue

        def each(rows, give):
            for row in rows:
                give(row)

        def main(rows):
            jobs = queue.Queue()
            each(rows, jobs.put_nowait)
    """) == ["send jobs"]


def test_a_callback_kept_in_an_attribute() -> None:
    assert operations("""
        import threading

        class Feed:
            def __init__(self, on_end):
                self._on_end = on_end

            def end(self):
                self._on_end()

        def main():
            ended = threading.Event()
            Feed(ended.set).end()
    """) == ["signal ended"]


def test_a_callable_instance() -> None:
    assert operations("""
        import queue

        class Push:
            def __init__(self):
                self.jobs = queue.Queue()

            def __call__(self, job):
                self.jobs.put(job)

        Push()(1)
    """) == ["send Push.jobs"]


def test_a_decorated_function_still_does_what_it_does() -> None:
    assert operations("""
        import functools
        import queue

        def logged(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return function(*args, **kwargs)
            return wrapper

        @logged
        def push(target, job):
            target.put(job)

        def main():
            jobs = queue.Queue()
            push(jobs, 1)
    """) == ["send jobs"]


def test_a_method_called_through_its_class() -> None:
    assert operations("""
        import queue

        def main():
            jobs = queue.Queue()
            queue.Queue.put(jobs, 1)
    """) == ["send jobs"]


def test_the_two_ends_of_a_memory_stream_are_one_channel() -> None:
    """What goes in at one comes out at the other."""
    assert traced("""
        import anyio
        import queue

        async def main():
            sender, receiver = anyio.create_memory_object_stream(5)
            reply = queue.Queue()
            await sender.send(reply)
            got = await receiver.receive()
            got.put(1)
    """) == ["send 6", "receive 6", "send 7"]


def test_a_clone_is_the_same_end() -> None:
    assert traced("""
        import trio

        async def main():
            sender, receiver = trio.open_memory_channel(0)
            async with sender.clone() as other:
                await other.send(1)
    """) == ["close 5", "send 5"]


def test_iterating_a_receiver_receives() -> None:
    program = linked("""
        import anyio

        async def main():
            sender, receiver = anyio.create_memory_object_stream(5)
            async for item in receiver:
                print(item)
    """)
    (receive,) = (action for action in program.actions if action.does == "receive")
    assert (receive.at.line, [program.describe(obj) for obj in receive.subjects]) == (6, ["receiver"])


def test_a_wrapper_that_only_calls_stands_for_what_it_wraps() -> None:
    """One decorator on two methods does not make each of them do what the other does."""
    assert operations("""
        import functools
        import queue

        def counted(method):
            @functools.wraps(method)
            def run(*args):
                return method(*args)
            return run

        class Shop:
            def __init__(self):
                self._orders = queue.Queue()
                self._bills = queue.Queue()

            @counted
            def order(self, item):
                self._orders.put(item)

            @counted
            def bill(self, item):
                self._bills.put(item)

        def main():
            shop = Shop()
            shop.order(1)
    """) == ["send Shop._orders", "send Shop._bills"]


def test_what_a_decorator_gives_takes_the_place_of_the_function() -> None:
    program = linked("""
        import asyncio

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
    (unit,) = (unit for unit in program.units if unit.entries)  # anyone may decorate something else
    assert unit.name == "refresh"
    assert "in_background.<locals>.start" in {program.node(f).qualname for f in program.live}


def test_a_decorator_out_of_sight_gives_what_it_gets() -> None:
    assert operations("""
        import queue
        from web import route

        jobs = queue.Queue()

        @route("/")
        def add(job):
            jobs.put(job)

        def main():
            add(1)
            jobs.get()
    """) == ["send jobs", "receive jobs"]


def test_a_decorator_that_gives_back_what_it_gets_merges_nothing() -> None:
    """`callback` marks functions and returns them: each name still means its own function."""
    assert operations("""
        import queue

        def callback(function):
            function.is_callback = True
            return function

        jobs, bills = queue.Queue(), queue.Queue()

        @callback
        def add(job):
            jobs.put(job)

        @callback
        def bill(job):
            bills.put(job)

        def main():
            add(1)
    """) == ["send jobs", "send bills"]
    program = linked("""
        import threading

        def callback(function):
            return function

        @callback
        def first():
            pass

        @callback
        def second():
            first()
    """)
    names = {program.node(f).qualname: {program.node(c).qualname for c in callees} for f, callees in program.calls.items()}
    assert names["second"] == {"first"}
