"""How often a call is come to: in turns of a loop, for each call from out of sight, or a fixed number of times."""

from __future__ import annotations

from textwrap import dedent

import pytest
from link.programs import linked

from leaklint.finding import Growth
from leaklint.graph import build
from leaklint.queries.wording import grows

_HEAD = "import asyncio, queue, threading, time\ndef job(*items): ...\n"


def told(source: str) -> str:
    """How the only unit that is started multiplies, in the words of a headline."""
    graph = build(linked(_HEAD + dedent(source)))
    (made,) = {
        call.record.site: call.record for call in graph.program.state.library.values() if job_of(graph.program.entries(call))
    }.values()
    often = graph.recurrence([made])
    assert (often.growth is Growth.ONCE) == (grows(graph, often, "one", made.function) == "")
    return grows(graph, often, "one", made.function).removeprefix(": one more one ")


def job_of(entries: tuple[object, ...]) -> bool:
    return len(entries) == 1 and getattr(entries[0], "index", None) == 1


START = "threading.Thread(target=job).start()"
MAIN = "\nif __name__ == '__main__':\n    main()\n"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (f"{START}\n", ""),
        (f"def main():\n    {START}\n{MAIN}", ""),
        (f"def main():\n    for name in 'abc':\n        {START}\n{MAIN}", ""),
        (f"def main():\n    while True:\n        {START}\n        time.sleep(1)\n{MAIN}", "in every turn of the loop at line 4"),
        (
            f"def go():\n    {START}\ndef main():\n    while True:\n        go()\n        time.sleep(1)\n{MAIN}",
            "in every turn of the loop at line 6",
        ),
        (f"def go():\n    {START}\ndef main():\n    while True:\n        return go()\n{MAIN}", ""),
        (
            f"def main():\n    is_on = False\n    while True:\n        if not is_on:\n            is_on = True\n            {START}\n"
            f"        time.sleep(1)\n{MAIN}",
            "",
        ),
        (
            f"def main():\n    is_on = False\n    while True:\n        if not is_on:\n            is_on = True\n            {START}\n"
            f"        else:\n            is_on = False\n        time.sleep(1)\n{MAIN}",
            "in every turn of the loop at line 5",
        ),
        (f"def go():\n    {START}\ndef main():\n    for name in 'abc':\n        go()\n{MAIN}", "for each call of `go`"),
        (f"def go():\n    {START}\ndef main():\n    go()\n    go()\n{MAIN}", "for each call of `go`"),
        (f"def fetch(url):\n    _go()\ndef _go():\n    {START}\n", "for each call of `fetch`"),
        (f"class Cache:\n    def __init__(self):\n        {START}\n", "for each `Cache` that is made"),
        (
            f"class Box:\n    def open(self):\n        {START}\ndef main():\n    box = Box()\n    box.open()\n{MAIN}",
            "",
        ),
        (
            f"async def serve(reader, writer):\n    {START}\n"
            f"async def main():\n    await asyncio.start_server(serve, port=1)\nif __name__ == '__main__':\n    asyncio.run(main())\n",
            "for each connection",
        ),
        (
            f"def beat():\n    {START}\n    threading.Timer(5, beat).start()\ndef main():\n    beat()\n{MAIN}",
            "for each call of `beat`",
        ),
        (
            f"def take(items):\n    while (item := items.get()) is not None:\n        {START}\n"
            f"def main():\n    items = queue.Queue()\n    items.put(1)\n    take(items)\n{MAIN}",
            "in every turn of the loop at line 4",
        ),
    ],
)
def test_growth(source: str, words: str) -> None:
    assert told(source) == words
