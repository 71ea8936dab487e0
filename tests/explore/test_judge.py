"""What the explorer makes of programs: proven with a schedule, refuted, or left undecided; however the program is written."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from link.programs import linked

from leaklint.explore.judge import Explorer, Finding, Judgement
from leaklint.explore.witness import told
from leaklint.graph import build


def judged(program: str | Mapping[str, str], method: str) -> list[Judgement]:
    """The judgement of each operation of that name which may wait for ever, in the order of place."""
    graph = build(linked(program))
    explorer = Explorer(graph)
    waits = [a for a in graph.program.actions if a.method == method and a.function in graph.program.live and graph.program.blocks(a)]
    return [explorer.of(action) for action in waits]


def found(program: str | Mapping[str, str], method: str) -> list[Finding]:
    return [judgement.finding for judgement in judged(program, method)]


FIRST_ANSWER = """
    import asyncio

    async def ask(mirror, answers):
        await asyncio.sleep(mirror)
        await answers.put(mirror)

    async def fastest(mirrors):
        answers = asyncio.Queue(1)
        tasks = [asyncio.create_task(ask(mirror, answers)) for mirror in mirrors]
        return await answers.get(), tasks
"""


def test_two_of_three_answers_have_no_room() -> None:
    """One fits into the queue, one is taken."""
    (judgement,) = judged(FIRST_ANSWER, "put")
    assert judgement.finding is Finding.PROVEN
    assert judgement.built is not None
    assert judgement.result is not None
    events = told(build(linked(FIRST_ANSWER)), judgement.built, judgement.result)
    assert [event.sentence for event in events][:4] == ["`fastest` starts `ask`"] * 3 + ["`fastest` waits for something in `answers`"]
    assert str(events[-1]) == (
        "`ask` 3 waits for ever in `put` for room in `answers` (program.py:6:11); `answers`: full, 1 of 1; `ask` 3 waits to put; "
        "who takes from it: `fastest` has returned"
    )


def test_room_for_all_refutes_it() -> None:
    assert found(FIRST_ANSWER.replace("Queue(1)", "Queue()"), "get") == [Finding.REFUTED]


def test_a_capacity_that_depends_on_the_data_decides_nothing() -> None:
    (judgement,) = judged(FIRST_ANSWER.replace("Queue(1)", "Queue(len(mirrors))"), "put")
    assert (judgement.finding, judgement.reason) == (Finding.UNDECIDED, "a channel of unknown capacity")


SENTINELS = """
    import queue
    import threading

    def work(jobs):
        while (job := jobs.get()) is not None:
            print(job)

    def run(rows):
        jobs = queue.Queue(2)
        workers = [threading.Thread(target=work, args=(jobs,)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for row in rows:
            jobs.put(row)
        {end}
        for worker in workers:
            worker.join()
"""


def test_a_sentinel_for_each_worker() -> None:
    program = SENTINELS.format(end="for _ in workers: jobs.put(None)")
    assert found(program, "get") + found(program, "put") == [Finding.REFUTED] * 3


def test_one_sentinel_for_two_workers() -> None:
    program = SENTINELS.format(end="jobs.put(None)")
    assert found(program, "get") == [Finding.PROVEN]


def test_what_only_an_exception_brings_about_is_likely() -> None:
    program = """
        import queue
        import threading

        def check(rows):
            for _ in range(3):
                parse(rows.get())

        def parse(row):
            import somewhere
            return somewhere.parse(row)

        def run():
            rows = queue.Queue(1)
            checker = threading.Thread(target=check, args=(rows,))
            checker.start()
            rows.put("1")
            rows.put("2")
            rows.put("3")
    """
    assert found(program, "put") == [Finding.REFUTED, Finding.REFUTED, Finding.LIKELY]


_CREW = """
    import asyncio

    async def steer(orders):
        while True:
            print(await orders.get())

    async def row():
        await asyncio.sleep(1)
        {end}

    async def cross(orders):
        async with asyncio.TaskGroup() as crew:
            crew.create_task(steer(orders))
            crew.create_task(row())

    async def main():
        orders = asyncio.Queue()
        crossing = asyncio.create_task(cross(orders))
        await orders.put("north")
        await asyncio.sleep(3)
        {then}

    asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("end", "then", "expected"),
    [
        ("pass", "crossing.cancel()", Finding.REFUTED),  # whose group it is cancels those in it
        ("raise OSError", "await crossing", Finding.REFUTED),  # who fails cancels the others
        ("pass", "await crossing", Finding.PROVEN),
    ],
)
def test_a_unit_of_a_group_ends_with_the_group(end: str, then: str, expected: Finding) -> None:
    assert found(_CREW.format(end=end, then=then), "get") == [expected]


def test_locks_in_two_orders() -> None:
    program = """
        import threading

        def left(one, other):
            with one:
                with other:
                    pass

        def run():
            cup, plate = threading.Lock(), threading.Lock()
            first = threading.Thread(target=left, args=(cup, plate))
            second = threading.Thread(target=right, args=(cup, plate))
            first.start()
            second.start()

        def right(one, other):
            with other:
                with one:
                    pass
    """
    assert found(program, "__enter__") == [Finding.REFUTED, Finding.PROVEN, Finding.REFUTED, Finding.PROVEN]
    assert set(found(program.replace("with other:\n                with one:", "with one:\n                with other:"), "__enter__")) == {
        Finding.REFUTED
    }


def test_a_wait_that_holds_the_event_loop() -> None:
    """The task that would set the event shares the loop with the one that waits for it."""
    program = """
        import asyncio
        import threading

        async def ring(bell):
            await asyncio.sleep(1)
            bell.set()

        async def run():
            bell = threading.Event()
            ringing = asyncio.create_task(ring(bell))
            bell.wait()
            await ringing
    """
    assert found(program, "wait") == [Finding.PROVEN]
    assert found(program.replace("threading.Event", "asyncio.Event").replace("bell.wait()", "await bell.wait()"), "wait") == [
        Finding.REFUTED
    ]


HELPERS = {
    "as it is": FIRST_ANSWER,
    "renamed": FIRST_ANSWER.replace("answers", "box").replace(" ask(", " inquire(").replace("(ask(", "(inquire(").replace("mirror", "host"),
    "behind a helper": FIRST_ANSWER.replace("        await answers.put(mirror)", "        await hand_in(answers, mirror)").replace(
        "    async def ask(", "    async def hand_in(box, thing):\n        await box.put(thing)\n\n    async def ask("
    ),
    "beside other code": FIRST_ANSWER
    + """
    async def other():
        letters = asyncio.Queue()
        await letters.put(1)
        return await letters.get()
    """,
}


@pytest.mark.parametrize("program", HELPERS.values(), ids=HELPERS.keys())
def test_the_way_it_is_written_changes_nothing(program: str) -> None:
    assert found(program, "put")[0] is Finding.PROVEN


def test_neither_does_splitting_it_into_files() -> None:
    asking, _, fastest = FIRST_ANSWER.partition("    async def fastest")
    files = {"asking.py": asking, "race.py": f"    import asyncio\n    from asking import ask\n\n    async def fastest{fastest}"}
    assert found(files, "put") == [Finding.PROVEN]
