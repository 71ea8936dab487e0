"""What functions do to their parameters and to what they make, whatever is passed at a call."""

from __future__ import annotations

import pytest
from link.programs import linked, named

from leaklint import ir
from leaklint.catalog.grammar import Kind
from leaklint.graph import build
from leaklint.link.effects import Made
from leaklint.link.effects.kinds import Effect
from leaklint.queries.dropped import dropped
from leaklint.queries.query import NoOptions

HEAD = """\
import anyio, asyncio, atexit, concurrent.futures, contextlib, functools, queue, threading
from concurrent.futures import ThreadPoolExecutor

KEPT = set()

def worker(jobs, number=0):
    while True:
        jobs.get()

def stop(task):
    task.cancel()

def same(thing):
    return thing

class Slot:
    def __init__(self, content):
        self.content = content

"""


def effects(source: str, parameter: str, function: str = "f") -> str:
    """The effects on a parameter, in the order of their names."""
    program = linked(HEAD + source)
    return ", ".join(sorted(program.effects.on(named(program, function), parameter)))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("p.cancel()", "cancels"),
        ("p.close()", "closes"),
        ("p.release()", "releases"),
        ("p.acquire()", "acquires"),
        ("p.set()", "signals"),
        ("p.put(1)", "sends to"),
        ("p.put_nowait(1)", "sends to"),
        ("p.get()", "receives from"),
        ("p.get(timeout=1)", "receives from"),
        ("p.start()", "starts"),
        ("p.join()", "joins"),
        ("p.join(5)", "joins"),
        ("p.join(timeout)", "joins"),
        ("p()", "calls"),
        ("p.done()", ""),
        ("next(iter(p))", ""),
        ("p.qsize()", ""),
        ("print(p, len(p))", ""),
        ("p is None or not p or p == 3", ""),
        ("p.frobnicate()", "escapes"),
        ("out_of_sight(p)", "escapes"),
        ("raise p", "escapes"),
        ("with p:\n        pass", "acquires, releases"),
    ],
)
def test_by_the_name_of_a_method(body: str, told: str) -> None:
    assert effects(f"def f(p, timeout=None):\n    {body}\n", "p") == told


@pytest.mark.parametrize("body", ["p.get('key')", "p.get(key, None)", "p.set('key', 1)", "', '.join(p)", "p.join(['a', 'b'])", "p.split()"])
def test_data_has_methods_of_these_names_too(body: str) -> None:
    assert not set(effects(f"def f(p, key):\n    {body}\n", "p").split(", ")) & {"receives from", "signals", "joins"}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("await p", "awaits"),
        ("await p.join()", "awaits"),
        ("await p.get()", "receives from"),
        ("await p.aclose()", "closes"),
        ("await asyncio.wait_for(p, 5)", "awaits"),
        ("await asyncio.gather(*p)", "awaits"),
        ("await asyncio.gather(*p, same(1))", "awaits"),
        ("await asyncio.wait([p])", "awaits"),
        ("await asyncio.shield(p)", "awaits"),
        ("async for _ in p:\n        pass", "receives from"),
        ("[x async for x in p]", "receives from"),
        ("async with p:\n        pass", "acquires, releases"),
        ("async with anyio.create_task_group() as group:\n        group.start_soon(p)", "calls, keeps, starts"),
        ("async with asyncio.timeout(3):\n        await p", "awaits"),
    ],
)
def test_in_a_coroutine(body: str, told: str) -> None:
    assert effects(f"async def f(p):\n    {body}\n", "p") == told


@pytest.mark.parametrize(
    "body",
    [
        "for t in p:\n        t.cancel()",
        "for i, t in enumerate(p):\n        t.cancel()",
        "for t in list(p):\n        t.cancel()",
        "for key, t in p.items():\n        t.cancel()",
        "while p:\n        p.pop().cancel()",
        "[t.cancel() for t in p]",
        "{t: t.cancel() for t in p}",
        "t = p\n    t.cancel()",
        "t, _ = p, 1\n    t.cancel()",
        "first, *_ = p\n    first.cancel()",
        "if t := p:\n        t.cancel()",
        "(p if KEPT else None).cancel()",
        "(p or KEPT).cancel()",
        "p[0].cancel()",
        "own = {}\n    own[1] = p\n    own[1].cancel()",
        "own = []\n    own.append(p)\n    for t in own:\n        t.cancel()",
        "match p:\n        case None:\n            pass\n        case task:\n            task.cancel()",
        "stop(p)",
        "stop(task=p)",
        "stop(*p)",
        "same(p).cancel()",
        "same(same(p)).cancel()",
        "list(map(stop, p))",
        "def inner():\n        p.cancel()\n    inner()",
        "def inner():\n        return p\n    inner().cancel()",
        "(lambda t=p: t.cancel())()",
        "action = lambda t: t.cancel()\n    action(p)",
        "functools.partial(stop, p)()",
    ],
)
def test_ways_to_cancel(body: str) -> None:
    assert "cancels" in effects(f"def f(p):\n    {body}\n", "p").split(", ")


@pytest.mark.parametrize(
    "body",
    ["def inner():\n        p.cancel()", "own = []\n    own.append(p)", "own = {p: 1}", "t = p", "p.cancelled()", "q = p.done\n    q()"],
)
def test_what_does_nothing(body: str) -> None:
    assert effects(f"def f(p):\n    {body}\n", "p") == ""


@pytest.mark.parametrize(
    "body",
    [
        "KEPT.add(p)",
        "KEPT.update([p])",
        "KEPT.x = p",
        "other.x = p",
        "other.append(p)",
        "other[1] = p",
        "other.x[p] = 1",
        "mine = other.tasks\n    mine.add(p)",
        "own = other.tasks = set()\n    own.add(p)",
        "own = []\n    other.all = own\n    own.append(p)",
        "global KEPT\n    KEPT = p",
        "Slot(p)",
        "setattr(other, 'x', p)",
        "queue.Queue().put(p)",
        "KEPT.add(lambda: p)",
        "def inner():\n        print(p)\n    KEPT.add(inner)",
        "atexit.register(p)",
        "other.add_done_callback(p)",
        "ThreadPoolExecutor().submit(worker, p)",
        "asyncio.get_running_loop().call_later(5, stop, p)",
        "KEPT.add(functools.partial(stop, p))",
    ],
)
def test_ways_to_keep(body: str) -> None:
    assert "keeps" in effects(f"def f(p, other):\n    {body}\n", "p").split(", ")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return p", "returns"),
        ("return [p]", "returns"),
        ("return {'p': p}, 1", "returns"),
        ("yield p", "returns"),
        ("yield from p", "awaits, returns"),
        ("own = []\n    own.append(p)\n    return own", "returns"),
        ("return p.cancel", "cancels, returns"),
        ("return lambda: p.cancel()", "cancels, returns"),
        ("def inner():\n        p.cancel()\n    return inner", "cancels, returns"),
        ("return functools.partial(stop, p)", "cancels, returns"),
        ("return same(p)", "returns"),
        ("return p.done()", ""),
        ("return Slot(p)", "keeps, returns"),
        ("return asyncio.create_task(p)", "calls, returns, starts"),
        ("return asyncio.gather(*p)", "awaits, returns"),
        ("asyncio.create_task(p)", "calls, starts"),
        ("task = asyncio.create_task(p)\n    KEPT.add(task)\n    task.add_done_callback(KEPT.discard)", "calls, keeps, starts"),
        ("asyncio.get_running_loop().call_soon(p.cancel)", "cancels, keeps"),
        ("asyncio.run_coroutine_threadsafe(p, KEPT).result()", "calls, joins, keeps, starts"),
        ("threading.Thread(target=worker, args=(p, 1)).start()", "receives from"),
        ("threading.Thread(target=lambda: worker(p)).start()", "receives from"),
        ("t = threading.Thread(target=p)\n    t.start()\n    return t", "returns, starts"),
    ],
)
def test_results_units_and_closures(body: str, told: str) -> None:
    assert effects(f"def f(p):\n    {body}\n", "p") == told


def test_each_item_of_the_arguments_of_a_thread_goes_its_own_way() -> None:
    source = """\
def work(jobs, done):
    jobs.get()
    done.put(1)

def f(jobs, done):
    threading.Thread(target=work, args=(jobs, done)).start()
"""
    for given in (source, source.replace("args=(jobs, done)", "kwargs={'done': done, 'jobs': jobs}")):
        assert effects(given, "jobs") == "receives from"
        assert effects(given, "done") == "sends to"


def test_variadic_and_keyword_only_parameters() -> None:
    source = """\
async def f(log, *tasks, reason, **named):
    for t in tasks:
        t.cancel()
    await asyncio.gather(*tasks)
    for name, t in named.items():
        t.close()
    reason.set()

async def g(a, b):
    await f(print, a, x=b, reason=asyncio.Event())
"""
    assert effects(source, "log") == ""
    assert effects(source, "tasks") == "awaits, cancels"
    assert effects(source, "named") == "closes"
    assert effects(source, "reason") == "signals"
    assert effects(source, "a", "g") == "awaits, cancels"
    assert effects(source, "b", "g") == "closes"


def test_what_is_done_to_a_holder_is_not_done_to_what_it_holds() -> None:
    source = """\
def wrapped(thing):
    return Slot(thing)

def f(p):
    slot = wrapped(p)
    slot.cancel()
    return slot
"""
    assert effects(source, "p") == "keeps, returns"


def test_a_spread_dict_gives_no_parameter_that_is_given_already() -> None:
    source = """\
def run(action, *args, timeout=None, **options):
    action(*args)

def f(action, **options):
    run(action, 1, timeout=3, **options)
"""
    assert effects(source, "action") == "calls"
    assert effects(source, "options") == ""


def test_through_recursion() -> None:
    source = """\
def f(tree, n):
    if n:
        g(tree, n - 1)

def g(tree, n):
    for branch in tree:
        f(branch, n)
    tree.close()
"""
    assert effects(source, "tree") == "closes"
    assert effects(source, "n") == ""


def test_what_a_parameter_does_that_is_called_is_not_known() -> None:
    source = """\
def f(action, task):
    action(task)

f(stop, asyncio.Future())
"""
    assert effects(source, "action") == "calls"
    assert effects(source, "task") == "escapes"


def test_an_async_callee_acts_on_what_its_coroutine_was_made_with() -> None:
    source = """\
async def end(task):
    task.cancel()

def f(task):
    return end(task)

async def g(task):
    await end(task)

async def given(task):
    return task

async def h(task):
    await given(task)
"""
    assert effects(source, "task") == "cancels, returns"
    assert effects(source, "task", "g") == "cancels"
    assert effects(source, "task", "h") == ""


def test_methods_and_inheritance() -> None:
    source = """\
class Background:
    def __init__(self):
        self._tasks = set()

    def keep(self, task):
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

class Hub(Background):
    def keep(self, task):
        super().keep(task)

    def spawn(self, job):
        self.keep(asyncio.create_task(job))
"""
    assert effects(source, "task", "Hub.keep") == "keeps"
    assert effects(source, "job", "Hub.spawn") == "calls, keeps, starts"


WRAPPERS = """\
def drops(job):
    asyncio.create_task(job)

def gives(job):
    return asyncio.create_task(job)

def keeps(job):
    task = asyncio.create_task(job)
    KEPT.add(task)
    task.add_done_callback(KEPT.discard)

def both(job):
    task = gives(job)
    KEPT.add(task)
    return task

async def later(job):
    return gives(job)

async def dropped_later(job):
    await later(job)

async def waits(job):
    await gives(job)

def twice(job):
    return [gives(job), threading.Timer(3, job), queue.Queue()]

def ended(job):
    both(job).cancel()

def itself(job):
    return other(job) or asyncio.create_task(job)

def other(job):
    return itself(job)

def nothing(job):
    print(job)
"""


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("drops", ["task: "]),
        ("gives", ["task: returns"]),
        ("keeps", ["task: keeps"]),
        ("both", ["task: keeps, returns"]),
        ("later", ["task: returns"]),
        ("dropped_later", ["task: "]),
        ("waits", ["task: awaits"]),
        ("twice", ["task: returns", "timer: returns", "channel: returns"]),
        ("ended", ["task: cancels, keeps"]),
        ("itself", ["task: returns", "task: returns"]),
        ("other", ["task: returns"]),
        ("nothing", []),
    ],
)
def test_what_becomes_of_what_is_made(function: str, told: list[str]) -> None:
    program = linked(HEAD + WRAPPERS)
    assert [_said(made) for made in program.effects.made(named(program, function))] == told


def _said(made: Made) -> str:
    return f"{', '.join(sorted(made.kinds))}: {', '.join(sorted(made.effects))}"


def test_the_new_objects_that_a_function_returns() -> None:
    program = linked(HEAD + WRAPPERS)
    (made,) = program.effects.result(named(program, "both"))
    assert (made.kinds, made.effects) == ({Kind.TASK}, {Effect.KEEPS, Effect.RETURNS})
    assert program.effects.result(named(program, "keeps")) == ()


def test_one_argument_of_a_call() -> None:
    program = linked(
        HEAD
        + """\
def use(task, log, jobs):
    task.cancel()
    jobs.put(log)

def f(a, b, c):
    use(a, c, jobs=b)
"""
    )
    (record,) = program.calls_of(named(program, "use"))
    assert program.effects.of_argument(record, ir.Name("a")) == frozenset()  # another expression that looks the same
    assert isinstance(record.node, ir.Call)
    a, c, b = (argument.value for argument in record.node.arguments)
    assert program.effects.of_argument(record, a) == {Effect.CANCELS}
    assert program.effects.of_argument(record, c) == {Effect.KEEPS}
    assert program.effects.of_argument(record, b) == {Effect.SENDS_TO}
    assert program.effects.of_argument(record, record.actuals[0].variable) == {Effect.CANCELS}


def test_the_result_of_a_call() -> None:
    program = linked(HEAD + WRAPPERS)
    (record,) = program.calls_of(named(program, "both"))
    assert program.effects.of_result(record) == {Effect.CANCELS}


PAGES = """\
import asyncio

class Pages:
    async def forgotten(self, urls):
        tasks = []
        for url in urls:
            tasks.append(asyncio.create_task(self.fetch(url)))

    async def counted(self, urls):
        tasks = {url: asyncio.create_task(self.fetch(url)) for url in urls}
        print(len(tasks))

    async def noted(self, url):
        note(asyncio.create_task(self.fetch(url)))

    async def awaited(self, urls):
        tasks = [asyncio.create_task(self.fetch(url)) for url in urls]
        await asyncio.gather(*tasks)

    async def returned(self, urls):
        tasks = []
        for url in urls:
            tasks.append(asyncio.create_task(self.fetch(url)))
        return tasks

    async def kept(self, url):
        self.latest = [asyncio.create_task(self.fetch(url))]

    async def outwaited(self, urls):
        tasks = [asyncio.create_task(self.fetch(url)) for url in urls]
        await asyncio.sleep(len(tasks))

    async def ended(self, url):
        end(asyncio.create_task(self.fetch(url)))

    async def fetch(self, url):
        await asyncio.sleep(1)

def note(task):
    print(task)

def end(task):
    task.cancel()

async def main():
    pages = Pages()
    await pages.forgotten(["a"])
    await pages.counted(["a"])
    await pages.noted("a")
    await pages.awaited(["a"])
    await pages.returned(["a"])
    await pages.kept("a")
    await pages.outwaited(["a"])
    await pages.ended("a")
    await asyncio.sleep(5)

asyncio.run(main())
"""


def test_tasks_that_no_effect_saves_are_dropped() -> None:
    leaks = dropped(build(linked(PAGES)), NoOptions())
    assert sorted(leak.function for leak in leaks) == ["Pages.counted", "Pages.forgotten", "Pages.noted"]


def test_long_chains_of_calls_and_aliases() -> None:
    chain = "".join(f"def f{n}(x): return f{n + 1}(x)\n" for n in range(2_000)) + "def f2000(x): x.acquire()\n"
    assert effects(chain, "x", "f0") == "acquires"
    factories = "".join(f"def f{n}(x): return f{n + 1}(x)\n" for n in range(2_000)) + "def f2000(x): return queue.Queue(x)\n"
    program = linked(HEAD + factories)
    assert [_said(made) for made in program.effects.result(named(program, "f0"))] == ["channel: returns"]
    aliases = "def f(x0):\n" + "".join(f"    x{n + 1} = x{n}\n" for n in range(2_000)) + "    x2000.cancel()\n"
    assert effects(aliases, "x0") == "cancels"
