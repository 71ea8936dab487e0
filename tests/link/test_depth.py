"""Deep and long programs go through linking, the graph and every query on the usual stack."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from link.programs import models, modules

from leaklint.catalog import load_catalog
from leaklint.graph import build
from leaklint.link import link
from leaklint.queries import QUERIES
from leaklint.queries.query import NoOptions

START = "import threading\n"
HEAD = START + "lock = threading.Lock()\nflag = True\ndef f(x):\n"
LEVELS = 60
"""Blocks inside one another; CPython refuses more than 100."""


@contextmanager
def usual_stack() -> Iterator[None]:
    """The recursion limit that a plain interpreter starts with, counted from here."""
    depth, frame = 0, sys._getframe()
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000 + depth)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def nested(head: str, inside: str, tail: str = "") -> str:
    lines = ["    " * (level + 1) + head for level in range(LEVELS)]
    lines.append("    " * (LEVELS + 1) + inside)
    if tail:
        lines += ["    " * (level + 1) + tail for level in reversed(range(LEVELS))]
    return HEAD + "\n".join(lines) + "\nf(1)\n"


def stairs(head: str, inside: str) -> str:
    """Definitions inside one another, numbered."""
    return "\n".join("    " * (n + 1) + head.format(n) for n in range(LEVELS)) + "\n" + "    " * (LEVELS + 1) + inside + "\n"


def rows(line: str, count: int) -> str:
    """The line with n and n + 1 for n from 0."""
    return "".join(line.format(n, n + 1) for n in range(count))


def calls(count: int) -> str:
    """Functions that hand a lock on from one to the next."""
    return START + rows("def f{0}(x): return f{1}(x)\n", count) + f"def f{count}(x): x.acquire()\nf0(threading.Lock())\n"


PROGRAMS = {
    "if": nested("if x:", "lock.acquire()"),
    "if and else": nested("if x:", "lock.acquire()", "else: x.append(1)"),
    "for": nested("for x in x:", "lock.acquire()"),
    "while": nested("while flag:", "lock.acquire()"),
    "with": nested("with lock:", "return lock.acquire()"),
    "try and finally": nested("try:", "return lock.acquire()", "finally: lock.release()"),
    "try and except": nested("try:", "lock.acquire()", "except ValueError: lock.release()"),
    "functions": HEAD + stairs("def g{}():", "lock.acquire()"),
    "classes": HEAD + stairs("class C{}:", "own = threading.Lock()"),
    "many statements": HEAD + "    lock.acquire()\n    x.append(1)\n" * 1_000 + "f([])\n",
    "many branches": HEAD + "    if x: lock.acquire()\n" + rows("    elif x == {}: lock.release()\n", 500) + "f(1)\n",
    "a long sum": HEAD + "    lock.acquire()\n    return " + " + ".join(f"x{n}" for n in range(900)) + "\nf(1)\n",
    "a long list": HEAD + "    x = [" + ", ".join(f"lock.acquire({n})" for n in range(3_000)) + "]\nf(1)\n",
    "calls in a row": HEAD + "    x" + ".next()" * 90 + "\n    lock.acquire()\nf(1)\n",
    "calls in calls": HEAD + "    " + "x(" * 150 + "lock.acquire()" + ")" * 150 + "\nf(1)\n",
    "a chain of names": START + "x0 = threading.Lock()\n" + rows("x{1} = x{0}\n", 400) + "x400.acquire()\n",
    "a chain of calls": calls(100),
    "a chain of classes": START + "class C0: lock = threading.Lock()\n" + rows("class C{1}(C{0}): pass\n", 200) + "C200().lock.acquire()\n",
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_usual_stack_is_enough(name: str) -> None:
    (module,) = modules({"program.py": PROGRAMS[name]})
    assert module.summary.problem is None
    assert not module.summary.is_outline
    with usual_stack():
        graph = build(link([module], models()))
        for card in load_catalog().cards.values():
            if card.query in QUERIES:
                query = QUERIES[card.query]
                list(query.run(graph, _options(query.options, card.options)))
        locks = [a for a in graph.program.actions if a.method == "acquire"]
        assert all(graph.paths(function).nodes for function in sorted(graph.program.live))
    assert locks or name == "classes"


def _options(kind: type[NoOptions], given: dict[str, bool | int | str | tuple[str, ...]]) -> NoOptions:
    return msgspec.convert(given, kind)


def test_calls_can_be_followed_from_their_first() -> None:
    (module,) = modules({"program.py": calls(300)})
    with usual_stack():
        graph = build(link([module], models()))
        assert graph.paths(min(graph.program.live)).nodes
