"""What is told of a schedule: who does what, how things stand then, and why nobody wakes the last."""

from __future__ import annotations

from link.programs import linked

from leaklint.explore.judge import Explorer, Finding
from leaklint.explore.witness import told
from leaklint.graph import build
from leaklint.witness import Event, Sort, Way


def witness(program: str, method: str) -> tuple[Event, ...]:
    """Of the first operation of that name that is proven to wait for ever."""
    graph = build(linked(program))
    explorer = Explorer(graph)
    waits = [a for a in graph.program.actions if a.method == method and a.function in graph.program.live and graph.program.blocks(a)]
    proof = next(j for j in map(explorer.of, waits) if j.finding is Finding.PROVEN)
    assert proof.built is not None
    assert proof.result is not None
    return told(graph, proof.built, proof.result)


def sentences(events: tuple[Event, ...]) -> list[str]:
    return [event.sentence for event in events]


def test_every_event_has_its_place_and_its_thing() -> None:
    events = witness(
        """
        import asyncio

        async def fill(box):
            await box.put(1)

        async def pack():
            box = asyncio.Queue(1)
            task = asyncio.create_task(fill(box))
            await box.put(2)
            await task
        """,
        "put",
    )
    assert sentences(events) == [
        "`pack` starts `fill`",
        "`pack` puts something into `box`",
        "`pack` waits for the end of `fill`",
        "`fill` waits for room in `box`",
        "`pack` waits for ever in `await` for the end of `fill`",
        "`fill` waits for ever in `put` for room in `box`",
    ]
    start, put, _, wait, *_, stuck = events
    assert (start.unit.path, start.unit.line) == ("", 0)
    assert start.to == stuck.unit
    assert (stuck.unit.path, stuck.unit.line) == ("program.py", 9)
    assert (put.path, put.line, put.column) == ("program.py", 10, 11)
    assert put.to == stuck.to
    assert put.after is not None
    assert (put.after.held, put.after.room) == (1, 1)
    assert wait.way is Way.WAITS
    assert stuck.after is not None
    assert stuck.after.waiting == ("`fill` waits to put",)
    assert [event.why for event in events if event.way is Way.STUCK] == ["`fill` waits for ever too", "nobody takes from it"]


LOCKS = """
    import threading

    def left(one, other):
        with one:
            with other:
                pass

    def right(one, other):
        with other:
            with one:
                pass

    def run():
        cup, plate = threading.Lock(), threading.Lock()
        first = threading.Thread(target=left, args=(cup, plate))
        second = threading.Thread(target=right, args=(cup, plate))
        first.start()
        second.start()
"""


def test_a_lock_is_told_with_who_has_it() -> None:
    events = witness(LOCKS, "__enter__")
    stuck = [event for event in events if event.way is Way.STUCK]
    assert [(event.unit.name, event.after.by if event.after else ()) for event in stuck] == [("left", ("`right`",)), ("right", ("`left`",))]
    assert [event.why for event in stuck] == ["who has it: `right` waits for ever too", "who has it: `left` waits for ever too"]
    assert stuck[0].does == "waits for ever in `with` for `plate`"


def test_one_element_that_stands_for_many_is_not_counted() -> None:
    events = witness(
        """
        import queue

        def keep(rows):
            kept = queue.Queue(50)
            for row in rows:
                kept.put(row)
        """,
        "put",
    )
    assert sentences(events) == [
        "`keep` fills `kept`",
        "`keep` waits for room in `kept`",
        "`keep` waits for ever in `put` for room in `kept`",
    ]
    assert {event.after.level for event in events if event.after is not None} == {"full"}


def test_sentinels_ends_and_twins_are_told() -> None:
    events = witness(
        """
        import queue
        import threading

        def work(jobs):
            while (job := jobs.get()) is not None:
                print(job)

        def run(rows):
            jobs = queue.Queue()
            workers = [threading.Thread(target=work, args=(jobs,)) for _ in range(2)]
            for worker in workers:
                worker.start()
            jobs.put(None)
        """,
        "get",
    )
    assert "`run` puts `None` into `jobs`" in sentences(events)
    assert {"`work` 1 takes `None` from `jobs`", "`work` 2 takes `None` from `jobs`"} & set(sentences(events))
    assert [event.unit.name for event in events if event.way is Way.ENDS] == ["run", "work"]
    assert events[-1].why.startswith("who puts into it or closes it: `run` has returned")


def test_who_has_been_woken_goes_on_so_that_the_end_can_be_understood() -> None:
    """The first of two that put is woken by the only one that takes; the second is stuck before the first has put."""
    events = witness(
        """
        import asyncio

        async def put(box):
            await box.put(1)
            await asyncio.sleep(1)

        async def take(box):
            await box.get()

        async def run():
            box = asyncio.Queue(1)
            await box.put(0)
            tasks = [asyncio.create_task(put(box)) for _ in range(2)]
            last = asyncio.create_task(take(box))
            await asyncio.sleep(1)
            return tasks, last
        """,
        "put",
    )
    stuck = [event for event in events if event.way is Way.STUCK]
    assert [event.after.level for event in stuck if event.after is not None] == ["full, 1 of 1"]


def test_an_event_has_no_room() -> None:
    events = witness(
        """
        import threading

        def run():
            bell = threading.Event()
            bell.wait()
        """,
        "wait",
    )
    assert [event.after.sort for event in events if event.after is not None] == [Sort.EVENT, Sort.EVENT]
    assert str(events[-1]).endswith("`bell`: not set; `run` waits for it; nobody sets it")
