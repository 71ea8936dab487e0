"""Whatever the bytes are, there is a summary: of the program, or of why there is none."""

from __future__ import annotations

import subprocess
import sys
import threading

import msgspec
import pytest

from leaklint import ir
from leaklint.lower import lower
from leaklint.lower.dump import dump

PLACES = {
    b"print 'x'\n": (1, 1),
    b"import asyncio\nexec a in b\n": (2, 1),
    b"import asyncio\nraise A, 'b'\n": (2, 8),
    b"import asyncio\nx = (1\n": (2, 5),
    b"if x:\npass\n": (2, 1),
    b"x = 'abc\n": (1, 5),
    b"x = $\n": (1, 5),
    b"a\n]\n": (2, 1),
    b"{% if x %}\n": (1, 2),
    "# asyncio\nx = é y\n".encode(): (2, 7),
}


@pytest.mark.parametrize("source", PLACES)
def test_place_of_a_problem(source: bytes) -> None:
    summary = lower(source)
    problem = summary.problem
    assert problem is not None
    assert (problem.line, problem.column) == PLACES[source]
    assert "\n" not in problem.message
    assert summary == ir.Summary((), (), (), problem, False, False)
    assert list(dump(summary)) == [f"problem {problem.line}:{problem.column}: {problem.message}"]


PROBLEMS = {
    b"def f(:\n": ir.Problem("invalid syntax", 1, 7),
    b"x = 1\n\0": ir.Problem("source code cannot contain null bytes", 2, 1),
    b"\xff\xfex\0": ir.Problem("source code cannot contain null bytes", 1, 4),
    b"x = 1\ny = '\xe9'\n": ir.Problem("not valid utf-8: invalid continuation byte", 2, 6),
    b"# coding: no-such\n": ir.Problem("unknown encoding: no-such", 1, 1),
    b"# coding: rot13\n": ir.Problem("not a text encoding: rot13", 1, 1),
    b"# coding: utf-7\nx = '+2AA-'\n": ir.Problem("utf-7 text with lone surrogates", 1, 1),
    b"import asyncio\n\n(a): int\n": ir.Problem("libcst cannot parse this, though Python can", 3, 1),
}


@pytest.mark.parametrize("source", PROBLEMS)
def test_message_of_a_problem(source: bytes) -> None:
    assert lower(source).problem == PROBLEMS[source]


@pytest.mark.parametrize("source", [b"", b"\n", b"# only\n# comments", b"\xef\xbb\xbf", b"\f\n", b"   ", b"'''doc'''", b"pass;"])
@pytest.mark.parametrize("mark", [b"", b"  # asyncio"])
def test_nothing_to_say(source: bytes, mark: bytes) -> None:
    summary = lower(source + mark)
    assert summary.problem is None
    assert summary.functions[0].body == ()
    assert len(summary.functions) == 1


LARGE = {
    "brackets": b"x = " + b"[" * 5_000 + b"]" * 5_000,
    "open brackets": b"(" * 5_000,
    "brackets in an f-string": b"f'{" + b"(" * 5_000 + b")" * 5_000 + b"}'",
    "sum": b"x = " + b" + ".join([b"a"] * 5_000),
    "mixed sum": b"x = " + b" + a - ".join([b"a"] * 2_500),
    "not": b"x = " + b"not " * 5_000 + b"a",
    "minus": b"x = " + b"-" * 30_000 + b"a",
    "calls": b"x = a" + b".b()" * 3_000,
    "calls over lines": b"x = (a\n" + b".b()\n" * 3_000 + b")",
    "subscripts": b"x = a" + b"[0]" * 3_000,
    "choices": b"x = " + b"a if b else " * 3_000 + b"c",
    "lambdas": b"x = " + b"lambda: " * 3_000 + b"c",
    "strings": b"x = (" + b"'a'\n" * 5_000 + b")",
    "indents": b"".join(b" " * depth + b"if a:\n" for depth in range(500)) + b" " * 500 + b"pass",
    "elifs": b"if a: b\n" + b"elif c: d\n" * 20_000,
}


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("mark", [b"", b"\n# asyncio\n"])
def test_too_deep_is_a_problem(name: str, mark: bytes) -> None:
    limit, stack = sys.getrecursionlimit(), threading.stack_size()
    summary = lower(LARGE[name] + mark)
    assert summary.problem is not None or summary.is_outline
    assert summary.problem is not None or not mark
    assert (sys.getrecursionlimit(), threading.stack_size()) == (limit, stack)
    msgspec.msgpack.encode(summary)


WIDE = {
    "branches": (b"if a: b()\n" + b"elif c: d()\n" * 300, 301),
    "sum": (b"x = " + b" + ".join([b"a()"] * 300), 300),
    "either": (b"x = " + b" or ".join([b"a()"] * 300), 300),
    "comparisons": (b"x = " + b" < ".join([b"a()"] * 300), 300),
    "calls": (b"x = a" + b".b()" * 90, 90),
    "brackets": (b"x = " + b"[" * 150 + b"a()" + b"]" * 150, 1),
    "parentheses": (b"x = " + b"(" * 199 + b"a" + b")" * 199, 0),
    "one line of a megabyte": (b"x = [" + b"1, " * 300_000 + b"a()]", 1),
    "one string of a megabyte": (b"x = a('" + b"y" * 1_000_000 + b"')", 1),
    "one long template": (b"x = f'" + b"{a()}" * 900 + b"'", 900),
    "strings": (b"x = a(" + b"'a'\n" * 300 + b")", 1),
}


@pytest.mark.parametrize("name", WIDE)
def test_wide_is_lowered(name: str) -> None:
    source, calls = WIDE[name]
    summary = lower(b"import asyncio\n" + source)
    assert summary.problem is None
    assert sum(line.count("call ") for line in dump(summary)) == calls
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(summary), type=ir.Summary) == summary


@pytest.mark.skipif(sys.version_info[:2] == (3, 12), reason="its limit on C recursion stops libcst's code generation")
def test_two_thousand_elifs() -> None:
    summary = lower(b"import asyncio\nif a: b()\n" + b"elif c: d()\n" * 2_000)
    assert summary.problem is None
    assert sum(line.count("call ") for line in dump(summary)) == 2_001


def test_outlines_need_no_parser() -> None:
    script = "import sys; from leaklint.lower import lower; lower(b'x = 1'); sys.exit('libcst' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
