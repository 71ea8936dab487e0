"""What the program knows of a function's control flow: which awaits give way, what its blocks swallow, what its calls raise."""

from __future__ import annotations

from textwrap import dedent

import pytest
from link.programs import linked, named

from leaklint.graph import build
from leaklint.paths import Edge, Exit

HEAD = "import asyncio\nimport contextlib\nfrom contextlib import contextmanager, asynccontextmanager, suppress\n"


def ends(source: str, name: str = "f") -> set[Exit]:
    """How a function of the program can end."""
    graph = build(linked(HEAD + dedent(source)))
    return {node.exit_kind for node in graph.paths(named(graph.program, name)).nodes if node.exit_kind is not None}


COROUTINES = {
    "one that waits": ("async def g():\n    await asyncio.sleep(1)\n", True),
    "one that never waits": ("async def g():\n    return 1\n", False),
    "one that awaits one that never waits": ("async def h():\n    pass\n\nasync def g():\n    await h()\n", False),
    "one that awaits one that waits": ("async def h():\n    await asyncio.sleep(1)\n\nasync def g():\n    await h()\n", True),
    "two that await each other and never wait": (
        "async def h(n):\n    if n:\n        await g(n - 1)\n\nasync def g(n=3):\n    await h(n)\n", False,
    ),
    "two that await each other, one of which waits": (
        "async def h(n):\n    await asyncio.sleep(1)\n    await g(n)\n\nasync def g(n=3):\n    await h(n)\n", True,
    ),
    "one out of sight": ("import elsewhere\ng = elsewhere.g\n", True),
    "one with a block that may wait": ("async def g():\n    async with asyncio.Lock():\n        pass\n", True),
}  # fmt: skip


@pytest.mark.parametrize("name", COROUTINES)
def test_a_cancellation_arrives_only_where_an_await_gives_way(name: str) -> None:
    source, waits = COROUTINES[name]
    assert (Exit.CANCEL in ends(f"{source}\nasync def f():\n    await g()\n\nasyncio.run(f())\n")) is waits


BLOCKS = {
    "a class whose exit says nothing": ("class B:\n    def __enter__(self): ...\n    def __exit__(self, *told):\n        pass\n", False),
    "a class whose exit says no": ("class B:\n    def __enter__(self): ...\n    def __exit__(self, *told):\n        return False\n", False),
    "a class whose exit may say yes": (
        "class B:\n    def __enter__(self): ...\n    def __exit__(self, kind, *told):\n        return kind is KeyError\n", True,
    ),
    "a generator that lets pass": ("@contextmanager\ndef B():\n    try:\n        yield\n    finally:\n        print()\n", False),
    "a generator that raises again": ("@contextmanager\ndef B():\n    try:\n        yield\n    except KeyError:\n        raise\n", False),
    "a generator that swallows": ("@contextmanager\ndef B():\n    try:\n        yield\n    except KeyError:\n        print()\n", True),
    "a generator that swallows something else": (
        "@contextmanager\ndef B():\n    try:\n        yield\n    except OSError:\n        print()\n", False,
    ),
    "a library's": ("B = lambda: suppress(KeyError)\n", True),
}  # fmt: skip


@pytest.mark.parametrize("name", BLOCKS)
def test_what_a_block_swallows(name: str) -> None:
    source, swallows = BLOCKS[name]
    assert (Exit.RETURN in ends(f"{source}\ndef f():\n    with B():\n        raise KeyError\n\nf()\n")) is swallows


def test_exceptions_of_the_program_go_by_their_classes() -> None:
    source = """
        class Refused(Exception): ...
        class Late(Refused): ...

        def ask(n):
            if n:
                raise Late(n)

        def f(n):
            try:
                ask(n)
            except {caught}:
                pass
    """
    assert ends(source.format(caught="Refused")) == {Exit.RETURN}
    assert ends(source.format(caught="Late")) == {Exit.RETURN}
    assert ends(source.format(caught="KeyError")) == {Exit.RETURN, Exit.RAISE}


def test_a_generator_is_closed_at_its_yield_and_a_block_meets_what_is_raised_in_it() -> None:
    graph = build(linked(f"{HEAD}def f():\n    yield 1\n\n@contextmanager\ndef block():\n    yield 1\n"))
    edges = {
        name: {edge for node in graph.paths(named(graph.program, name)).nodes for edge, _ in node.successors} - {Edge.NEXT}
        for name in ("f", "block")
    }
    assert edges == {"f": {Edge.CLOSE}, "block": {Edge.RAISE, Edge.CANCEL}}
