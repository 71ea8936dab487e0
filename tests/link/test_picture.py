"""The channel graph as facts and as a drawing."""

from __future__ import annotations

import json
from typing import Any

from link.programs import linked

from leaklint import picture
from leaklint.link import Program
from leaklint.picture import drawn


def facts(program: Program) -> dict[str, list[dict[str, Any]]]:
    """As read back from JSON."""
    found: dict[str, list[dict[str, Any]]] = json.loads(json.dumps(picture.as_json(drawn(program))))
    return found


def dot(program: Program) -> str:
    return picture.dot(drawn(program))


PIPE = """\
import asyncio

async def produce(queue):
    await queue.put(1)

async def main():
    queue = asyncio.Queue(1)
    task = asyncio.create_task(produce(queue))
    await queue.get()
    task.cancel()

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_units_and_channels_are_nodes_and_operations_are_edges() -> None:
    place = {"path": "program.py", "open": None}
    assert facts(linked(PIPE)) == {
        "nodes": [
            {"id": "u0", "type": "unit", "kind": "main", "name": "program", "line": 1, **place},
            {"id": "r1", "type": "resource", "kind": "channel", "name": "queue", "line": 7, **place},
            {"id": "u2", "type": "unit", "kind": "task", "name": "produce", "line": 8, **place},
        ],
        "edges": [
            {"operation": "send", "from": "u2", "to": "r1", "path": "program.py", "line": 4},
            {"operation": "own", "from": "u0", "to": "r1", "path": "program.py", "line": 7},
            {"operation": "spawn", "from": "u0", "to": "u2", "path": "program.py", "line": 8},
            {"operation": "receive", "from": "u0", "to": "r1", "path": "program.py", "line": 9},
            {"operation": "cancel", "from": "u0", "to": "u2", "path": "program.py", "line": 10},
        ],
    }


def test_the_drawing() -> None:
    assert (
        dot(linked(PIPE))
        == r"""digraph leaklint {
  rankdir=LR;
  node [fontname="sans-serif"];
  edge [fontname="sans-serif"];
  subgraph cluster_0 {
    label="program";
    u0 [shape=box, label="main program\nprogram.py:1"];
    r1 [shape=ellipse, label="channel queue\nprogram.py:7"];
    u2 [shape=box, label="task produce\nprogram.py:8"];
  }
  u2 -> r1 [label="send 4"];
  u0 -> r1 [label="own 7", style=dotted];
  u0 -> u2 [label="spawn 8"];
  u0 -> r1 [label="receive 9"];
  u0 -> u2 [label="cancel 10"];
}
"""
    )


def _all_edges(source: str) -> list[tuple[str, str, str]]:
    """(name of the unit or owner, operation, name of what it acts on)"""
    found = facts(linked(source))
    names = {node["id"]: node["name"] for node in found["nodes"]}
    return [(names[edge["from"]], edge["operation"], names[edge["to"]]) for edge in found["edges"]]


def _edges(source: str) -> list[tuple[str, str, str]]:
    return [edge for edge in _all_edges(source) if edge[1] != "own"]


def _owned(source: str) -> list[tuple[str, str]]:
    return [(owner, thing) for owner, operation, thing in _all_edges(source) if operation == "own"]


def test_an_object_owns_what_its_attributes_hold() -> None:
    source = """
        import asyncio

        class Pump:
            def __init__(self, spare):
                self._rows = asyncio.Queue()
                self._locks = [asyncio.Lock()]
                self._spare = spare

            async def start(self):
                self._task = asyncio.create_task(self._run())

            async def _run(self):
                async with self._locks[0]:
                    await self._rows.get()
                await self._spare.wait()

            async def stop(self):
                self._task.cancel()

        async def main():
            spare = asyncio.Event()
            pump = Pump(spare)
            await pump.start()
            await pump.stop()

        asyncio.run(main())
    """
    assert set(_owned(source)) == {("Pump", "Pump._rows"), ("Pump", "Lock"), ("Pump", "Pump._spare"), ("Pump", "Pump._run")}
    (pump,) = (node for node in facts(linked(source))["nodes"] if node["type"] == "object")
    assert (pump["id"][0], pump["kind"], pump["name"], pump["line"], pump["open"]) == ("o", "object", "Pump", 4, None)


def test_what_no_attribute_holds_is_owned_by_who_runs_the_function_that_makes_it() -> None:
    assert _owned(PIPE) == [("program", "queue")]


def test_the_maker_among_the_holders_is_the_owner() -> None:
    assert _owned("""
        import queue

        class Maker:
            def __init__(self):
                self._jobs = queue.Queue()
                self._user = User(self._jobs)

        class User:
            def __init__(self, jobs):
                self._jobs = jobs

            def use(self):
                self._jobs.put(1)
    """) == [("Maker", "Maker._jobs")]


def test_code_out_of_sight_is_one_unit() -> None:
    source = """
        import asyncio

        class Box:
            def __init__(self):
                self._rows = asyncio.Queue()

            async def push(self, row):
                await self._rows.put(row)

            async def pull(self):
                return await self._rows.get()
    """
    assert _edges(source) == [("anyone", "send", "Box._rows"), ("anyone", "receive", "Box._rows")]
    (anyone,) = (node for node in facts(linked(source))["nodes"] if node["kind"] == "anyone")
    assert (anyone["path"], anyone["line"]) == (None, None)


def test_the_two_ends_of_a_pair_are_one_channel() -> None:
    assert _edges("""
        import anyio

        async def main():
            sender, receiver = anyio.create_memory_object_stream(5)
            await sender.send(1)
            await receiver.receive()
    """) == [("anyone", "send", "sender, receiver"), ("anyone", "receive", "sender, receiver")]


def test_an_operation_handed_on_is_done_by_the_unit_made_of_it() -> None:
    assert _edges("""
        import asyncio

        async def main():
            jobs = asyncio.Queue()
            asyncio.create_task(jobs.get())
            await jobs.put(1)
    """) == [("anyone", "spawn", "create_task"), ("create_task", "receive", "jobs"), ("anyone", "send", "jobs")]


def test_what_is_only_made_and_what_nobody_runs_is_left_out() -> None:
    found = facts(
        linked("""
            import queue

            def main():
                queue.Queue()

            def forgotten():
                jobs = queue.Queue()
                jobs.put(1)

            if __name__ == "__main__":
                main()
        """)
    )
    assert [node["name"] for node in found["nodes"]] == ["jobs"]
    assert found["edges"] == []


def test_an_open_resource_is_dashed_and_says_why() -> None:
    program = linked("import queue\n\nJOBS = queue.Queue()\nJOBS.put(1)\n")
    (jobs,) = (node for node in facts(program)["nodes"] if node["type"] == "resource")
    assert jobs["open"] == "`JOBS` is a public name of its module"
    assert 'r1 [shape=ellipse, label="channel JOBS\\nprogram.py:3", style=dashed];' in dot(program)


def test_one_cluster_a_module() -> None:
    source = "import queue\n\nJOBS = queue.Queue()\nJOBS.put(1)\n"
    drawn = dot(linked({"shop/__init__.py": "", "shop/first.py": source, "shop/second.py": source}))
    labels = [line.strip() for line in drawn.splitlines() if line.strip().startswith("label")]
    assert labels == ['label="shop.first";', 'label="shop.second";']


BELTS = """
    import asyncio

    class Belt:
        def __init__(self):
            self.cases = asyncio.Queue(1)

    async def unload(belt):
        await belt.cases.get()

    async def main():
        first = Belt()
        second = Belt()
        await first.cases.put(1)
        await second.cases.put(2)
        await unload(first)
"""


def test_two_instances_of_one_class_have_two_channels() -> None:
    drawing = drawn(linked(BELTS))
    first, second = [node for node in drawing.nodes if node.kind == "channel"]
    assert (first.name, second.name) == ("Belt.cases of Belt at program.py:12", "Belt.cases of Belt at program.py:13")
    assert {edge.operation for edge in drawing.edges if second in (edge.source, edge.target)} == {"own", "send"}


def test_what_is_all_in_sight_somewhere_is_not_drawn_open() -> None:
    box = """
        import queue

        class Box:
            def __init__(self):
                self._jobs = queue.Queue()

            def take(self):
                self._jobs.get()

        def work():
            box = Box()
            box._jobs.put(1)
            box.take()
    """
    assert [node.open for node in drawn(linked(box)).nodes if node.kind == "channel"] == [None]
