"""What `dump --program` tells, and that the order of the files changes nothing."""

from __future__ import annotations

from itertools import permutations

from link.programs import linked, models, modules

from leaklint.link import link
from leaklint.link.dump import dump
from leaklint.picture import as_json, dot, drawn

OUTBOX = {
    "rows.py": """\
import asyncio

class Outbox:
    def __init__(self, size):
        self._rows = asyncio.Queue(size)

    async def push(self, row):
        await self._rows.put(row)

    async def drain(self, sink):
        while (row := await self._rows.get()) is not None:
            await sink.write(row)
""",
    "export.py": """\
import asyncio
from rows import Outbox

async def export(table, sink):
    box = Outbox(16)
    task = asyncio.create_task(scan(table, box))
    await box.drain(sink)
    await task

async def scan(table, box):
    async for row in table:
        await box.push(row)
    await box.push(None)
""",
    "lines.py": """\
import threading
from rows import Outbox

class Lines(threading.Thread):
    daemon = True

    def run(self):
        with LOCK:
            pass

LOCK = threading.Lock()
BOX = Outbox(3)
""",
}


def test_a_program_of_two_files() -> None:
    files = {path: OUTBOX[path] for path in ("rows.py", "export.py")}
    assert list(dump(linked(files))) == [
        "export.py:4 function export: receives from table",
        "export.py:6 object task task made in export, closed",
        "export.py:6 unit task scan, made in export, started here, runs scan@export.py:10",
        "export.py:6 operation spawn in export: asyncio.create_task",
        "export.py:8 operation join in export: asyncio.Task.__await__ on task@export.py:6, waits until-done",
        "export.py:10 function scan: receives from table",
        "rows.py:5 object channel Outbox._rows made in Outbox.__init__ of Outbox@export.py:5, capacity size, closed",
        "rows.py:5 object channel Outbox._rows made in Outbox.__init__, capacity size, open: code out of sight may make a `Outbox` too",
        "rows.py:5 operation make in Outbox.__init__ of Outbox@export.py:5: asyncio.Queue on Outbox._rows@rows.py:5 of Outbox@export.py:5",
        "rows.py:5 operation make in Outbox.__init__: asyncio.Queue on Outbox._rows@rows.py:5",
        "rows.py:8 operation send in Outbox.push of Outbox@export.py:5: "
        "asyncio.Queue.put on Outbox._rows@rows.py:5 of Outbox@export.py:5, waits while-full",
        "rows.py:8 operation send in Outbox.push: asyncio.Queue.put on Outbox._rows@rows.py:5, waits while-full",
        "rows.py:11 operation receive in Outbox.drain of Outbox@export.py:5: "
        "asyncio.Queue.get on Outbox._rows@rows.py:5 of Outbox@export.py:5, waits while-empty",
        "rows.py:11 operation receive in Outbox.drain: asyncio.Queue.get on Outbox._rows@rows.py:5, waits while-empty",
    ]


def test_openness_tells_its_reason() -> None:
    lines = list(dump(linked("import queue\n\nJOBS = queue.Queue(maxsize=2 * 8)\n")))
    assert lines[0] == "program.py:3 object channel JOBS made in <module>, capacity 2 * 8, open: `JOBS` is a public name of its module"


def test_a_thread_tells_where_it_is_made_and_where_started() -> None:
    lines = list(
        dump(
            linked("""\
import threading

def work():
    pass

def main():
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    threading.Thread(target=print)
""")
        )
    )
    assert [line for line in lines if " unit " in line] == [
        "program.py:7 unit thread work, daemon, made in main, started at program.py:8, runs work@program.py:3",
        "program.py:9 unit thread Thread, made in main, never started, runs what is out of sight",
    ]


def test_bounded_deferred_and_dead() -> None:
    lines = list(
        dump(
            linked("""\
import asyncio

async def main():
    jobs = asyncio.Queue()
    await asyncio.wait_for(jobs.get(), 5)
    asyncio.create_task(jobs.join())

def forgotten():
    asyncio.Queue().put_nowait(1)

if __name__ == "__main__":
    asyncio.run(main())
""")
        )
    )
    told = dict.fromkeys(line.partition(" operation ")[2] for line in lines)
    assert "receive in main: asyncio.Queue.get on jobs@program.py:4, waits while-empty, bounded" in told
    assert "bound in main: asyncio.wait_for on asyncio.Queue.get, waits until-done, bounded" in told
    assert "wait in main: asyncio.Queue.join on jobs@program.py:4, waits until-drained, deferred" in told
    assert "send in forgotten: asyncio.Queue.put_nowait on Queue@program.py:9, never runs" in told
    assert "program.py:6 unit task create_task, made in main, started here, runs asyncio.Queue.join" in lines


def test_the_order_of_the_files_changes_nothing() -> None:
    known = {
        ("\n".join(dump(program)), dot(drawn(program)), str(as_json(drawn(program))))
        for order in permutations(OUTBOX)
        for program in [link(modules({path: OUTBOX[path] for path in order}), models())]
    }
    assert len(known) == 1
