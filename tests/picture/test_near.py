"""The neighbourhood of a name or of a place."""

from __future__ import annotations

from link.programs import linked
from picture.shop import drawing, shop

from leaklint.graph import build
from leaklint.picture import Drawing, drawn
from leaklint.picture.near import around, at_place, connected, named

LINE = """
import queue
import threading

A = queue.Queue()
B = queue.Queue()
C = queue.Queue()

def first():
    A.put(1)

def second():
    B.put(A.get())

def third():
    C.put(B.get())

if __name__ == "__main__":
    threading.Thread(target=first).start()
    threading.Thread(target=second).start()
    threading.Thread(target=third).start()
"""


def names(drawing: Drawing) -> set[str]:
    return {node.name for node in drawing.nodes}


def test_a_whole_name_or_its_last_part_goes_before_a_part_of_a_name() -> None:
    whole = drawing()
    assert [node.name for node in named(whole, "Orders._queue")] == ["Orders._queue"]
    assert [node.name for node in named(whole, "_queue")] == ["Orders._queue"]
    assert {node.name for node in named(whole, "ORDERS._")} == {"Orders._queue", "Orders._done"}
    assert named(whole, "nothing") == []


def test_two_steps_from_a_channel_are_its_users_and_what_these_use() -> None:
    whole = drawn(linked(LINE))
    near = around(whole, named(whole, "A"))
    assert names(near) == {"A", "first", "second", "B", "program"}
    done = {(edge.source.name, edge.operation, edge.target.name) for edge in near.edges}
    assert ("second", "send", "B") in done
    assert ("third", "receive", "B") not in done


def test_no_way_leads_through_code_out_of_sight() -> None:
    source = """
        import queue

        class Box:
            def __init__(self):
                self._left = queue.Queue()
                self._right = queue.Queue()

            def fill(self):
                self._left.put(1)

        class Jar:
            def __init__(self):
                self._rows = queue.Queue()

            def fill(self):
                self._rows.put(1)
    """
    whole = drawn(linked(source))
    assert names(around(whole, named(whole, "_left"))) == {"anyone", "Box._left", "Box"}


def test_a_place_stands_for_what_is_made_and_what_is_used_there() -> None:
    whole = drawing()
    assert {node.name for node in at_place(whole, "shop/main.py", 12)} == {"anyone", "sell", "shop.main"}
    assert {node.name for node in at_place(whole, "orders.py", 6)} == {"Orders._queue", "Orders"}
    assert at_place(whole, "shop/main.py", 1000) == []
    assert at_place(whole, "ain.py", 12) == []


def test_what_is_connected_has_one_number() -> None:
    program = "import queue\n\nA = queue.Queue()\nB = queue.Queue()\n\ndef main():\n    A.put(1)\n\ndef other():\n    B.put(1)\n"
    whole = drawn(linked(program))
    assert {node["component"] for node in connected(whole)["nodes"]} == {0}
    apart = around(whole, [*named(whole, "A"), *named(whole, "B")], hops=0)
    assert {node["name"]: node["component"] for node in connected(apart)["nodes"]} == {"A": 0, "B": 1}


def test_the_graph_gives_the_same_to_networkx() -> None:
    graph = build(shop())
    assert set(graph.network) == {node.id for node in graph.drawing.nodes}
    assert graph.network.number_of_edges() == len(graph.drawing.edges)
    assert {kind for _, kind in graph.network.nodes(data="type")} == {"unit", "resource", "object"}
