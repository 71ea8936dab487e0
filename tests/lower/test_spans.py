"""Spans are those of the standard library's `ast`, counted in characters from 1."""

from __future__ import annotations

import ast
import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest
from lower.shapes import nodes

from leaklint import ir
from leaklint.lower import lower

LIBRARY = Path(ast.__file__).parent
FILES = [
    "argparse.py", "ast.py", "asyncio/base_events.py", "asyncio/tasks.py", "concurrent/futures/thread.py", "contextlib.py",
    "dataclasses.py", "inspect.py", "logging/__init__.py", "multiprocessing/pool.py", "queue.py", "subprocess.py", "threading.py",
    "typing.py", "unittest/mock.py",
]  # fmt: skip

KINDS: dict[type[ast.AST], str] = {
    ast.Call: "Call", ast.Await: "Await", ast.Yield: "Yield", ast.YieldFrom: "Yield", ast.Lambda: "Function",
    ast.ListComp: "Comprehension", ast.SetComp: "Comprehension", ast.DictComp: "Comprehension", ast.GeneratorExp: "Comprehension",
    ast.FunctionDef: "Function", ast.AsyncFunctionDef: "Function", ast.ClassDef: "Class", ast.Assign: "Bind", ast.AugAssign: "Augment",
    ast.Return: "Return", ast.Raise: "Raise", ast.Assert: "Assert", ast.Delete: "Delete", ast.Break: "Jump", ast.Continue: "Jump",
    ast.Import: "Import", ast.ImportFrom: "Import", ast.If: "Branch", ast.While: "While", ast.For: "For", ast.AsyncFor: "For",
    getattr(ast, "TypeAlias", ast.Assign): "Bind",
    ast.Try: "Try", ast.ExceptHandler: "Handler", ast.With: "With", ast.AsyncWith: "With", ast.Match: "Match",
}  # fmt: skip


def expected(text: str) -> Counter[tuple[str, ir.Span]]:
    lines = text.split("\n")
    spans: Counter[tuple[str, ir.Span]] = Counter()

    def column(line: int, offset: int) -> int:
        return len(lines[line - 1].encode()[:offset].decode()) + 1

    def add(kind: str, node: ast.expr | ast.stmt | ast.excepthandler) -> None:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start, end = column(node.lineno, node.col_offset), column(node.end_lineno, node.end_col_offset)
        spans[kind, ir.Span(node.lineno, start, node.end_lineno, end)] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
    for node in ast.walk(tree):
        match node:
            case ast.AnnAssign():
                add("Declare" if node.value is None else "Bind", node)
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef() if ast.get_docstring(node) is not None:
                docstring = node.body.pop(0)
                assert isinstance(docstring, ast.Expr)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    add("WithItem", item.context_expr)
            case ast.Lambda():
                add("Return", node)
        if type(node) in KINDS:
            assert isinstance(node, (ast.expr, ast.stmt, ast.excepthandler))
            add(KINDS[type(node)], node)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            add("Evaluate", node)
    return spans


def found(summary: ir.Summary) -> Counter[tuple[str, ir.Span]]:
    kinds = {*KINDS.values(), "Declare", "Evaluate", "WithItem"}
    spans = Counter((type(node).__name__, getattr(node, "at", None)) for node in nodes(summary) if type(node).__name__ in kinds)
    spans["Function", summary.functions[0].at] -= 1
    return +spans


def lines_of_templates(text: str) -> set[int]:
    """Before Python 3.12 `ast` misplaces what stands inside an f-string."""
    if sys.version_info >= (3, 12):
        return set()
    templates = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.JoinedStr)]
    return {line for node in templates for line in range(node.lineno, (node.end_lineno or 0) + 1)}


@pytest.mark.parametrize("name", FILES)
def test_like_ast(name: str) -> None:
    text = (LIBRARY / name).read_text(encoding="utf-8") + "\nimport asyncio\n"
    left_out = lines_of_templates(text)
    wanted, got = expected(text), found(lower(text.encode()))
    different = (wanted - got) + (got - wanted)
    assert {key for key in different if key[1].line not in left_out} == set()
    assert len(got) > 100


SHAPES = [
    "x = (\n  (y) for y in z\n)",
    "f ( (y) for y in z )",
    "with (\n a, b\n): pass",
    "with (a, b) as c: pass",
    "with ((yield)): pass",
    "with (open(x) as f, g((h))): pass",
    "if a:\n  b;\nelse:\n  c ; ",
    "é = f('ü', g(ö)) ; ñ(  )",
    "\tif_ = 1\nif a:\n\tb(c)".lstrip(),
    "@d(1)\n@e\nasync def f(): await (g)",
    "if a: b\nelif c(): d\nelif e:\n  f",
    "x = (yield)",
    "(a)(b)(c).d(e)",
    "a = \\\n  b(c)",
    "match (x):\n  case f(1): y()",
    "from a import (\n  b,\n)",
    "\f\nf(x)\n\f\nclass A:\n  pass  # comment",
]


@pytest.mark.parametrize("source", SHAPES)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_shapes_like_ast(source: str, newline: str) -> None:
    body = "import asyncio\n" + source
    if "yield" in source or "await" in source:
        body = "import asyncio\nasync def around():\n" + "".join(f"  {line}\n" for line in source.split("\n"))
    summary = lower(body.replace("\n", newline).encode())
    assert summary.problem is None
    assert found(summary) == expected(body)


def test_byte_order_mark_takes_no_column() -> None:
    assert lower(b"\xef\xbb\xbfasyncio.run(f)") == lower(b"asyncio.run(f)")


def test_cookie() -> None:
    text = "# coding: latin-1\nimport asyncio\nx = f('\xe9', g())\n"
    assert lower(text.encode("latin-1")) == lower(text.replace("latin-1", "utf-8").encode())
