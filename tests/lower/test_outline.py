"""An outline tells of a file what the full summary tells, as far as other files can see it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from lower.shapes import resolved

from leaklint import ir
from leaklint.lower import lower
from leaklint.lower.dump import dump
from leaklint.lower.outline import outline
from leaklint.lower.parsing import parse

LIBRARY = Path(ast.__file__).parent
FILES = [
    "abc.py", "argparse.py", "ast.py", "calendar.py", "collections/__init__.py", "dataclasses.py", "decimal.py", "difflib.py", "enum.py",
    "http/__init__.py", "inspect.py", "json/decoder.py", "shutil.py", "shelve.py", "statistics.py", "typing.py", "unittest/mock.py",
]  # fmt: skip


def definitions(summary: ir.Summary) -> list[object]:
    """All that is not inside a function."""
    functions = [
        (
            f.qualname,
            f.kind,
            *(resolved(part, summary) for part in (f.parameters, f.decorators, f.returns)),
            f.is_async,
            f.is_generator,
            f.at,
        )
        for f in summary.functions
        if "<locals>" not in f.qualname and f.kind == "def"
    ]
    classes = [
        (c.qualname, *(resolved(part, summary) for part in (c.bases, c.keywords, c.decorators)), c.at)
        for c in summary.classes
        if "<locals>" not in c.qualname
    ]
    return [functions, classes]


def bindings(summary: ir.Summary) -> set[object]:
    """Those of the module and of its classes, wherever in the body they stand."""
    bodies = [summary.functions[0].body, *(cls.body for cls in summary.classes if "<locals>" not in cls.qualname)]
    found: set[object] = set()
    while bodies:
        for statement in bodies.pop():
            if isinstance(statement, (ir.Bind, ir.Declare, ir.Augment, ir.Import)):
                found.add(resolved(statement, summary))
            for part in ("body", "orelse", "final"):
                bodies.append(getattr(statement, part, ()))
            for arm in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
                bodies.append(arm.body)
    return found


@pytest.mark.parametrize("name", FILES)
def test_like_the_full_summary(name: str) -> None:
    text = (LIBRARY / name).read_text(encoding="utf-8")
    short, full = outline(text), parse(text)
    assert short is not None
    assert isinstance(full, ir.Summary)
    assert short.is_outline
    assert not full.is_outline
    assert definitions(short) == definitions(full)
    assert bindings(short) == bindings(full)
    assert short.starts_program == full.starts_program
    assert all(function is not None for function in short.functions)


SOURCE = '''\
"""Doc."""
import os
try:
    from a import b
except ImportError:
    b = None
LIMIT: int = int("0x10", 16) + 0x10
class A(b.Base, key=1):
    x: int
    if os.name == "nt":
        y = [f(n) for n in range(3)]
    def __init__(self, q, *, r=lambda: 1):
        """Doc."""
        self.q = q or Default()
        self.rows = []
        name = await_it = make(q)
        numbers = [1]
        self.q.send(1)
        if q:
            self.late: T = None
        left, right = q
        def inner(): return 1
        return name
    def rows_of(self):
        global SEEN
        SEEN = self.rows
        for row in self.rows:
            yield row
    async def both(self):
        from c import d
        first = await d.open()
        return [first]
def wrap():
    def inner(): yield
    return inner
def escaped(): return lambda: (yield)
register(A)
'''


def test_what_is_kept() -> None:
    summary = lower(SOURCE.encode())
    assert list(dump(summary)) == [
        "outline",
        "import os @2",
        "import a.b @4",
        "bind b = None @6",
        "bind LIMIT: int = call int('0x10', 16) + 0x10 @7",
        "class A(b.Base, key=1) @8",
        "  declare x: int @9",
        "  bind y = list(call f(n) for n in call range(3)) @11",
        "  def A.__init__(self, q, *, r=lambda(): 1) @12",
        "    bind self.q = q or call Default() @14",
        "    bind self.rows = [] @15",
        "    bind name = await_it = call make(q) @16",
        "    bind self.late: T = None @20",
        "    bind (left, right) = q @21",
        "    return name @23",
        "  def A.rows_of(self) generator @24",
        "    global SEEN",
        "    bind SEEN = self.rows @26",
        "  async def A.both(self) @29",
        "    import c.d @30",
        "    bind first = await call d.open() @31",
        "def wrap() @33",
        "  return inner @35",
        "def escaped() @36",
    ]


def test_nothing_depends_on_the_version_inside_templates() -> None:
    summary = lower(b"x = f'{f(1)}' + f'''\n{g(y, 0x1)}'''\n")
    calls = [line for line in dump(summary) if "call" in line]
    assert calls == ["bind x = template(call f(1)) + template(call g(y, 1)) @1"]
    value = summary.functions[0].body[0]
    assert isinstance(value, ir.Bind)
    assert isinstance(value.value, ir.Operation)
    first, second = value.value.operands
    assert isinstance(first, ir.Template)
    assert isinstance(second, ir.Template)
    spans = [part.at for template in (first, second) for part in template.parts if isinstance(part, ir.Call)]
    assert spans == [ir.Span(1, 5, 1, 14), ir.Span(1, 17, 2, 15)]


def test_what_python_cannot_parse_is_lowered_in_full() -> None:
    summary = lower(b"lazy import a\n")
    assert summary.problem is None
    assert not summary.is_outline
    assert list(dump(summary)) == ["import a @1"]
