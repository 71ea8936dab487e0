"""The drawing for Mermaid."""

from __future__ import annotations

from picture.shop import drawing

from leaklint.picture import mermaid
from leaklint.picture.drawing import Drawing, Edge, Node, NodeType


def test_a_module_is_a_subgraph_and_all_between_two_nodes_is_one_arrow() -> None:
    lines = [line.strip() for line in mermaid(drawing()).splitlines()]
    assert lines[0] == "flowchart LR"
    assert [line for line in lines if line.startswith("subgraph")] == ['subgraph m1["shop.main"]', 'subgraph m2["shop.orders"]']
    assert lines.count("end") == 2
    (seller,) = (line.split("[")[0] for line in lines if "task sell" in line)
    (main,) = (line.split("[")[0] for line in lines if "main shop.main" in line)
    assert f'{main} -->|"spawn 12 · cancel 14"| {seller}' in lines


def test_what_is_received_comes_from_the_channel() -> None:
    lines = [line.strip() for line in mermaid(drawing()).splitlines()]
    (queue,) = (line.split("(")[0] for line in lines if "channel Orders._queue" in line)
    (main,) = (line.split("[")[0] for line in lines if "main shop.main" in line)
    assert f'{queue} -->|"receive 14"| {main}' in lines


def test_no_letter_of_a_name_is_syntax() -> None:
    odd = 'a "b" <c> #d; `e` %%{init}%% \\ *f*\n'
    node = Node("u0", NodeType.UNIT, "task", odd, "x.py", 1, "it is public")
    text = mermaid(Drawing((node,), (Edge("x.py", 2, "wait", node, node),), {"x.py": odd}))
    escaped = "a #quot;b#quot; #lt;c#gt; #35;d; #96;e#96; #37;#37;{init}#37;#37; #92; #42;f#42; "
    assert f'u0["task {escaped}<br/>x.py:1"]:::open' in text
    assert f'subgraph m0["{escaped}"]' in text
