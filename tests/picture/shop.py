"""A small program with a finding, drawn in the tests."""

from __future__ import annotations

from link.programs import linked

from leaklint.finding import Confidence, Finding, Growth, TraceStep
from leaklint.link import Program
from leaklint.picture import Drawing, drawn

FILES = {
    "shop/__init__.py": "",
    "shop/orders.py": """\
import asyncio


class Orders:
    def __init__(self):
        self._queue = asyncio.Queue(8)
        self._done = asyncio.Event()

    async def put(self, order):
        await self._queue.put(order)

    async def serve(self):
        while not self._done.is_set():
            await self._queue.get()
""",
    "shop/main.py": """\
import asyncio

from shop.orders import Orders


async def sell(orders):
    await orders.put(1)


async def main():
    orders = Orders()
    seller = asyncio.create_task(sell(orders))
    await orders.serve()
    seller.cancel()


asyncio.run(main())
""",
}

FINDING = Finding(
    path="shop/orders.py",
    line=14,
    column=19,
    end_line=14,
    end_column=36,
    code="LK304",
    name="consumer-never-stops",
    message="nothing ends <this> `loop` & that",
    function="Orders.serve",
    confidence=Confidence.LIKELY,
    growth=Growth.ONCE,
    trace=(TraceStep("shop/main.py", 12, 14, "the seller starts here"), TraceStep("shop/orders.py", 14, 19, "mend: end it")),
)


def shop() -> Program:
    return linked(FILES)


def drawing() -> Drawing:
    return drawn(shop())


def lines_of(path: str) -> list[str]:
    return FILES[path].split("\n")
