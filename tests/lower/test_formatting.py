"""A summary depends on the bytes alone, and apart from its spans not on how they are laid out."""

from __future__ import annotations

import ast
import gc
import re
import tokenize
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lower.shapes import without

from leaklint.lower import lower

LIBRARY = Path(ast.__file__).parent
FILES = ["asyncio/queues.py", "asyncio/streams.py", "queue.py", "sched.py", "threading.py", "concurrent/futures/_base.py"]


def stretched(text: str, gap: int) -> str:
    """The same program with empty lines, comments, wider gaps inside brackets, and parentheses around returned values."""
    lines = text.split("\n")
    depth = 0
    inserts: list[tuple[int, int, str]] = []
    for token in tokenize.generate_tokens(StringIO(text).readline):
        if token.type == tokenize.OP and token.string in "([{":
            depth += 1
            inserts.append((*token.end, "\n" * gap + " " * gap))
        elif token.type == tokenize.OP and token.string in ")]}":
            depth -= 1
        elif token.type == tokenize.OP and token.string == "," and depth:
            inserts.append((*token.end, "  # comment\n "))
        elif token.type == tokenize.NEWLINE:
            inserts.append((*token.start, "  # comment"))
            inserts.append((*token.end, "\n" * gap))
    for line, column, insert in reversed(inserts):
        row = lines[line - 1]
        lines[line - 1] = row[:column] + insert + row[column:]
    return re.sub(r"^( *)return (\w+)  # comment$", r"\1return ((\2))  # comment", "\n".join(lines), flags=re.MULTILINE)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("gap", [1, 3])
def test_layout_changes_spans_only(name: str, gap: int) -> None:
    text = (LIBRARY / name).read_text(encoding="utf-8")
    before, after = lower(text.encode()), lower(stretched(text, gap).encode())
    assert before.problem is None
    assert after.problem is None
    assert not before.is_outline
    assert before != after
    assert without(before, "at") == without(after, "at")


@settings(database=None, deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet="asyncio.run(\n:;\t\f'\"\\#[]{}=,*f \r", max_size=60).map(str.encode))
def test_any_bytes_have_one_summary(source: bytes) -> None:
    summary = lower(source)
    assert summary == lower(source)
    assert (summary.problem is None) == bool(summary.functions)


def test_line_ends_do_not_matter() -> None:
    text = 'import asyncio\nasync def f():\n    x = """a\nb"""  # noqa\n    await g()\n'
    assert lower(text.replace("\n", "\r\n").encode()) == lower(text.encode()) == lower(text.replace("\n", "\r").encode())


def test_the_collector_is_left_as_it_was() -> None:
    assert gc.isenabled()
    lower(b"import asyncio")
    assert gc.isenabled()
    gc.disable()
    try:
        lower(b"import asyncio\n(")
        assert not gc.isenabled()
    finally:
        gc.enable()
