"""Flags, counts and lists that units agree on: tests of them are followed, and not guessed."""

from __future__ import annotations

import pytest
from explore.test_judge import found, judged

from leaklint.explore.judge import Finding

MAILBOX = """
    import threading

    class Mailbox:
        def __init__(self):
            self._letters = []
            self._changed = threading.Condition()

        def put(self, letter):
            with self._changed:
                self._letters.append(letter)
                self._changed.notify()

        def take(self):
            with self._changed:
                while not self._letters:
                    self._changed.wait()
                return self._letters.pop(0)

    def main():
        box = Mailbox()
        reader = threading.Thread(target=box.take)
        reader.start()
        box.put("a letter")
        reader.join()
"""


def test_who_is_notified_finds_what_was_put_there() -> None:
    assert found(MAILBOX, "wait") == [Finding.REFUTED]


def test_nobody_notifies() -> None:
    assert found(MAILBOX.replace("                self._changed.notify()\n", ""), "wait") == [Finding.PROVEN]


def test_without_a_predicate_the_notification_may_come_too_early() -> None:
    program = MAILBOX.replace(
        "                while not self._letters:\n                    self._changed.wait()\n", "                self._changed.wait()\n"
    )
    (judgement,) = judged(program, "wait")
    assert judgement.finding is Finding.PROVEN
    assert judgement.result is not None


def test_a_predicate_as_a_lambda() -> None:
    program = MAILBOX.replace(
        "while not self._letters:\n                    self._changed.wait()", "self._changed.wait_for(lambda: self._letters)"
    )
    assert found(program, "wait_for") == [Finding.REFUTED]
    assert found(program.replace("lambda: self._letters", "lambda: len(self._letters) > 1"), "wait_for") == [Finding.PROVEN]


def test_one_notification_for_two_who_wait() -> None:
    program = """
        import asyncio

        class Gate:
            def __init__(self):
                self._open = False
                self._moved = asyncio.Condition()

            async def pass_through(self):
                async with self._moved:
                    while not self._open:
                        await self._moved.wait()

            async def lift(self):
                async with self._moved:
                    self._open = True
                    self._moved.notify()

        async def main():
            gate = Gate()
            walkers = [asyncio.create_task(gate.pass_through()) for _ in range(2)]
            await asyncio.sleep(1)
            await gate.lift()
            await asyncio.gather(*walkers)
    """
    assert found(program, "wait") == [Finding.PROVEN]
    assert found(program.replace("notify()", "notify_all()"), "wait") == [Finding.REFUTED]
    assert found(program.replace("notify()", "notify(2)"), "wait") == [Finding.REFUTED]


FINISHED = """
    import asyncio

    END = None

    async def feed(queue):
        await queue.put(1)
        await queue.put(END)

    async def main():
        queue = asyncio.Queue()
        feeders = [asyncio.create_task(feed(queue)) for _ in range(2)]
        finished = 0
        while finished < 2:
            if await queue.get() is END:
                finished += 1
        await asyncio.gather(*feeders)
"""


def test_the_sentinels_are_counted() -> None:
    assert found(FINISHED, "get") == [Finding.REFUTED]


def test_more_sentinels_are_waited_for_than_there_are_feeders() -> None:
    assert found(FINISHED.replace("finished < 2", "finished != 3"), "get") == [Finding.PROVEN]


def test_a_flag_that_nobody_sets() -> None:
    program = """
        import asyncio

        class Pump:
            def __init__(self):
                self.running = True
                self.orders = asyncio.Queue()

            async def run(self):
                while self.running:
                    await self.orders.get()

            def stop(self):
                self.running = False

        async def main():
            pump = Pump()
            pump.stop()
            await pump.run()
    """
    assert found(program, "get") == [Finding.REFUTED]
    assert found(program.replace("            pump.stop()\n", ""), "get") == [Finding.PROVEN]


@pytest.mark.parametrize("runners", ["3", "len(names)"])
def test_what_is_counted_is_not_scaled(runners: str) -> None:
    """Where the number of units depends on data, a count of them proves nothing."""
    program = f"""
        import queue
        import threading

        class Race:
            def __init__(self, names):
                self.times = queue.Queue()
                self.left = {runners}
                self.lock = threading.Lock()

            def run(self):
                self.times.put(1)
                with self.lock:
                    self.left -= 1
                    if self.left == 0:
                        self.times.put(None)

            def result(self):
                for _ in range({runners if runners == "3" else "self.left"}):
                    threading.Thread(target=self.run).start()
                while self.times.get() is not None:
                    pass

        def main(names):
            Race(names).result()
    """
    assert found(program, "get") == [Finding.REFUTED if runners == "3" else Finding.LIKELY]
