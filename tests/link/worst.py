"""Programs that are as bad for the analysis as programs get, each grown to the size that is asked for.

In each of them one send has no receiver: it is on the line that ends in `# lost`. All other channels have both ends.
"""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent, indent

Files = dict[str, str]
"""Path → source."""

_HEAD = "import asyncio\nimport functools\nimport queue\n\n_lost = queue.Queue(9)\n\n\ndef lose(row):\n    _lost.put(row)  # lost\n\n\n"


def _program(*blocks: str) -> Files:
    return {"program.py": _HEAD + "\n\n".join(dedent(block).strip("\n") + "\n" for block in blocks)}


def _each(count: int, block: str) -> str:
    """The block once for each number from 0, which stands in `<n>`, the next one in `<n+1>`."""
    text = dedent(block).strip("\n") + "\n"
    return "\n".join(text.replace("<n>", str(n)).replace("<n+1>", str(n + 1)) for n in range(count))


def big_class(lines: int) -> Files:
    """A class of so many lines."""
    head = """
        class Ledger:
            def __init__(self):
                self._rows = queue.Queue(9)

            def take(self):
                return self._rows.get()
    """
    method = """
        def row_<n>(self, value):
            if value > <n>:
                self._rows.put(value)
            return value
    """
    return _program(dedent(head) + "\n" + indent(_each(lines // 5, method), "    "))


def many_queues(count: int) -> Files:
    """So many queues in one module."""
    block = """
        _jobs_<n> = queue.Queue(9)

        def put_<n>(job):
            _jobs_<n>.put(job)

        def take_<n>():
            return _jobs_<n>.get()
    """
    return _program(_each(count, block))


def call_chain(depth: int) -> Files:
    """A queue that is handed through so many functions to the one that sends, and given back to the one that receives."""
    bottom = f"""
        def _step_{depth}(jobs):
            jobs.put(1)
            return jobs

        def work():
            _step_0(queue.Queue(9)).get()
    """
    return _program(_each(depth, "def _step_<n>(jobs):\n    return _step_<n+1>(jobs)\n"), bottom)


def mutual_recursion(count: int) -> Files:
    """Functions that all call each other."""
    calls = "".join(f"    _turn_{n}(jobs, left - 1)\n" for n in range(count))
    ends = """
        def work():
            jobs = queue.Queue(9)
            _turn_0(jobs, 5)
            jobs.get()
    """
    return _program(_each(count, f"def _turn_<n>(jobs, left):\n    if left:\n        jobs.put(<n>)\n{calls}"), ends)


def import_cycle(count: int) -> Files:
    """Files that each import the next, the last the first; the two ends of a channel are half the cycle apart."""
    files = {"ring/__init__.py": ""}
    for n in range(count):
        after = (n + 1) % count
        files[f"ring/part_{n}.py"] = f"import queue\nfrom ring import part_{after}\nfrom ring.part_{after} import _lost, _rows\n"
    files["ring/part_0.py"] = "import queue\nfrom ring import part_1\n\n_rows = queue.Queue(9)\n_lost = queue.Queue(9)\n"
    files["ring/part_1.py"] += "\n\ndef put(row):\n    _rows.put(row)\n    _lost.put(row)  # lost\n"
    files[f"ring/part_{count // 2}.py"] += "\n\ndef take():\n    return _rows.get()\n"
    return files


def long_sum(length: int) -> Files:
    """One expression of so many terms."""
    terms = " + ".join("1" for _ in range(length - 1))
    return _program(f"def work(jobs=queue.Queue(9)):\n    jobs.put({terms} + jobs.get())\n")


def long_row(length: int) -> Files:
    """One call after another on what the last one gave."""
    head = """
        class Query:
            def __init__(self, rows):
                self._rows = rows

            def also(self):
                self._rows.put(1)
                return self
    """
    return _program(head, f"def work():\n    rows = queue.Queue()\n    Query(rows){'.also()' * length}\n    rows.get()\n")


def many_subclasses(count: int) -> Files:
    """A class with so many below it."""
    head = """
        class _Base:
            def __init__(self):
                self._jobs = queue.Queue(9)

            def push(self, job):
                self._jobs.put(job)

            def run(self):
                self._handle(self._jobs.get())
    """
    return _program(head, _each(count, "class _Kind_<n>(_Base):\n    def _handle(self, job):\n        self.push(job)\n"))


def dispatcher(count: int) -> Files:
    """One function that is given a queue in so many places: more than it is worth to tell apart."""
    head = """
        def _send(jobs, job):
            assert job
            jobs.put(job)
    """
    block = """
        _jobs_<n> = queue.Queue(9)

        def post_<n>(job):
            _send(_jobs_<n>, job)
    """
    return _program(head, _each(count, block))


def table(count: int) -> Files:
    """So many queues in one list."""
    rows = "".join(f"    queue.Queue({n + 1}),\n" for n in range(count))
    ends = """
        def work():
            for jobs in _table:
                jobs.put(1)
            for jobs in _table:
                jobs.get()
    """
    return _program(f"_table = [\n{rows}]\n", ends)


def kept_tasks(count: int) -> Files:
    """So many tasks in the hands of one function."""
    head = """
        _tasks = set()

        def _keep(task):
            _tasks.add(task)
            task.add_done_callback(_tasks.discard)
            return task

        async def stop():
            for task in list(_tasks):
                task.cancel()
            await asyncio.gather(*_tasks)
    """
    block = """
        async def _job_<n>():
            await asyncio.sleep(<n>)

        async def start_<n>():
            _keep(asyncio.create_task(_job_<n>()))
    """
    return _program(head, _each(count, block))


def self_made(count: int) -> Files:
    """A class that makes itself, through factories, in containers that hold themselves."""
    head = """
        class _Node:
            def __init__(self, parent):
                self._inbox = queue.Queue(9)
                self._parent = parent
                self._children = []
                self._children.append(self._children)

            def grow(self):
                child = _Node(self)
                self._children.append(child)
                self._children.append([self._children, child])
                return child

            def up(self):
                self._parent._inbox.put(self._inbox.get())
    """
    methods = _each(count, "def make_<n>(self):\n    return type(self)(self.make_<n+1>()) if self._parent else _Node(self)\n")
    last = f"def make_{count}(self):\n    return self.make_0().grow().make_0()\n"
    end = """
        def work():
            root = _Node(None)
            root.grow().grow().make_0().up()
    """
    return _program(dedent(head) + "\n" + indent(methods + "\n" + last, "    "), end)


def decorated(count: int) -> Files:
    """So many functions under three decorators each."""
    head = """
        _rows = queue.Queue(9)

        def plain(function):
            @functools.wraps(function)
            def call(*args, **kwargs):
                return function(*args, **kwargs)
            return call

        def named(name):
            def decorate(function):
                @functools.wraps(function)
                def call(*args):
                    print(name)
                    return function(*args)
                return call
            return decorate

        def in_turn(function):
            def call(*args):
                _rows.put(args)
                result = function(*args)
                _rows.get()
                return result
            return call
    """
    return _program(head, _each(count, "@plain\n@named('f<n>')\n@in_turn\ndef work_<n>(row):\n    return row\n"))


def doubling(depth: int) -> Files:
    """Factories and classes that each call the next one twice."""
    factory = """
        def _make_<n>():
            return [*_make_<n+1>(), *_make_<n+1>()]
    """
    cls = """
        class _Pair_<n>:
            def __init__(self):
                self._left = _Pair_<n+1>()
                self._right = _Pair_<n+1>()

            def run(self):
                self._left.run()
                self._right.run()
    """
    ends = f"""
        def _make_{depth}():
            return [queue.Queue(9)]

        class _Pair_{depth}:
            def __init__(self):
                self._jobs = queue.Queue(9)

            def run(self):
                self._jobs.put(1)
                self._jobs.get()

        def work():
            for jobs in _make_0():
                jobs.put(1)
                jobs.get()
            _Pair_0().run()
    """
    return _program(_each(depth, factory), _each(depth, cls), ends)


def branches(count: int) -> Files:
    """A function of so many names, each given in a branch of its own."""
    rows = "".join(f"    if argument == {n}:\n        jobs_{n} = queue.Queue(9)\n        jobs_{n}.put({n})\n" for n in range(count))
    takes = "".join(f"    jobs_{n}.get()\n" for n in range(count))
    return _program(f"def work(argument):\n{rows}{takes}")


def makers(count: int) -> Files:
    """Classes that all make each other."""
    made = ", ".join(f"_Maker_{n}()" for n in range(count))
    block = f"""
        class _Maker_<n>:
            def __init__(self):
                self._jobs = queue.Queue(9)
                self._made = []

            def push(self, job):
                self._jobs.put(job)

            def make(self):
                self._made = [{made}]
                for one in self._made:
                    one.push(self._jobs.get())
    """
    return _program(_each(count, block), "def work():\n    _Maker_0().make()\n")


PROGRAMS: dict[str, tuple[Callable[[int], Files], int]] = {
    "big class": (big_class, 5_000),
    "many queues": (many_queues, 300),
    "call chain": (call_chain, 200),
    "mutual recursion": (mutual_recursion, 40),
    "import cycle": (import_cycle, 50),
    "long sum": (long_sum, 2_000),
    "long row of calls": (long_row, 2_000),
    "many subclasses": (many_subclasses, 500),
    "dispatcher": (dispatcher, 1_000),
    "table": (table, 1_000),
    "kept tasks": (kept_tasks, 1_000),
    "makes itself": (self_made, 30),
    "decorated": (decorated, 1_000),
    "make each other": (makers, 40),
    "doubling": (doubling, 40),
    "branches": (branches, 1_000),
}
"""Name → the program and the size that counts as worst."""
