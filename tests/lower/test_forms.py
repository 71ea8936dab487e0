"""Every construct of the language, as the dump shows it."""

from __future__ import annotations

from textwrap import dedent

import msgspec
import pytest
from lower.shapes import nodes

from leaklint import ir
from leaklint.lower import lower
from leaklint.lower.dump import dump

MARK = "import asyncio\n"  # the screen lets the file pass


def shown(source: str) -> list[str]:
    summary = lower((MARK + source).encode())
    assert summary.problem is None
    assert not summary.is_outline
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(summary), type=ir.Summary) == summary
    sites = [node.site for node in nodes(summary) if hasattr(node, "site")]
    assert len(sites) == len(set(sites))
    return list(dump(summary))[1:]


EXPRESSIONS = {
    "a.b.c": "a.b.c",
    "None, True, 1, 2.5, 3j, ..., b'x', 'y'": "(None, True, 1, 2.5, 3j, ..., b'x', 'y')",
    "rb'x' BR'y'": "b'xy'",
    "'a' \"b\" r'\\c'": "'ab\\\\c'",
    "'\\ud800'": "'\\\\ud800'",
    "'bytes' 'b'": "'bytesb'",
    "f(a, *b, k=c, **d)": "call f(a, *b, k=c, **d)",
    "f(k=c, *b)": "call f(k=c, *b)",
    "f(x for x in y)": "call f(generator(x for x in y))",
    "[x async for x in y if x if z]": "list(x async for x in y if x if z)",
    "{x for x in y for z in x}": "set(x for x in y for z in x)",
    "{k: v for k, v in y}": "dict(k: v for (k, v) in y)",
    "[1, *a], {2, *b}, (3,), ()": "([1, *a], {2, *b}, (3,), ())",
    "{'k': 1, **m}": "{'k': 1, **m}",
    "a[0], a[1:2], a[::2], a[1, 2], a[1,], a[*b], a[:, 1]": "(a[0], a[1:2], a[::2], a[(1, 2)], a[(1,)], a[(*b,)], a[(:, 1)])",
    "not -a ** ~b": "not (-(a ** (~b)))",
    "a + b + c - d": "(a + b + c) - d",
    "a - (b - c)": "a - (b - c)",
    "a or b or (c or d) and e": "a or b or ((c or d) and e)",
    "(a and b) and (c and d)": "a and b and c and d",
    "a < b <= c != d is not e not in f": "a < b <= c != d is not e not in f",
    "x if y else z": "x if y else z",
    "(n := f())": "(n := call f())",
    "lambda a, /, b=1, *c, d, **e: a": "lambda(a, /, b=1, *c, d, **e): a",
    "lambda *, k: 0": "lambda(*, k): 0",
    "f'{a!r:>{w}} {b=}' 'tail'": "template(!ra, w, !rb)",
    "f'plain'": "template()",
    "t'{a}'": "template(a)",
    "a @ b % c // d / e << f >> g & h ^ i | j": "((((((((a @ b) % c) // d) / e) << f) >> g) & h) ^ i) | j",
}


@pytest.mark.parametrize("source", EXPRESSIONS)
def test_expression(source: str) -> None:
    assert shown(f"x = {source}\n") == [f"bind x = {EXPRESSIONS[source]} @2"]


STATEMENTS = {
    "a = self.b = x": ["bind a = self.b = x @2"],
    "a, *b = c[0] = x": ["bind (a, *b) = c[0] = x @2"],
    "a: int\nb: int = 1": ["declare a: int @2", "bind b: int = 1 @3"],
    "a += 1; a @= b": ["augment a += 1 @2", "augment a @= b @2"],
    "type X[T] = list[T]": ["bind X = list[T] @2"],
    "del a, b[0]\ndel (c, d)": ["del a, b[0] @2", "del c, d @3"],
    "assert a, 'm'\nraise\nraise A from b": ["assert a, 'm' @2", "raise @3", "raise A from b @4"],
    "import a.b, c as d, e.f as g": ["import a.b, c as d, e.f as g @2"],
    "from . import x\nfrom ..m.n import (y as z, w,)\nfrom p import *": [
        "import .x @2", "import ..m.n.y as z, ..m.n.w @3", "import p.* @4",
    ],
    "pass; ...": ["... @2"],
    "if a: b()\nelif c: d()\nelse: e()": [
        "if a @2", "  call b() @2", "else", "  if c @3", "    call d() @3", "  else", "    call e() @4",
    ],
    "while a:\n  break\nelse:\n  b": ["loop-while a @2", "  break @3", "else", "  b @5"],
    "for a, b in c:\n  continue\nelse: d": ["loop-for (a, b) in c @2", "  continue @3", "else", "  d @4"],
    "try: a\nexcept (B, C) as e: d\nexcept: f\nelse: g\nfinally: h": [
        "try @2", "  a @2", "except (B, C) as e @3", "  d @3", "except @4", "  f @4", "else", "  g @5", "finally", "  h @6",
    ],
    "try: a\nexcept* B: c": ["try @2", "  a @2", "except* B @3", "  c @3"],
    "with (a as b, c()): d": ["with a as b, call c() @2", "  d @2"],
    "async def f():\n  async with a: await b\n  async for c in d: yield c": [
        "async def f() generator @2", "  async with a @3", "    await b @3", "  async loop-for c in d @4",
        "    yield c @4",
    ],
    "def f():\n  global a\n  x = yield from b\n  def g():\n    nonlocal x\n    return\n  return (yield)": [
        "def f() generator @2", "  global a", "  bind x = yield from b @4", "  def f.<locals>.g() @5", "    nonlocal x", "    return @7",
        "  return yield @8",
    ],
    "@d(1)\nclass A[T](B, *C, metaclass=M, **k):\n  'doc'\n  x: int = 0\n  @p\n  def m(self, a: 'Q' = 1) -> int:\n    'doc'": [
        "@call d(1)", "class A(B, *C, metaclass=M, **k) @3", "  bind x: int = 0 @5", "  @p", "  def A.m(self, a: 'Q'=1) -> int @7",
    ],
    "def f[T: int](a, /, b, *c: T, d=1, **e): pass\ndef g(*, k): 'doc'": ["def f(a, /, b, *c: T, d=1, **e) @2", "def g(*, k) @3"],
    "match a, b:\n  case [A.b, -1, *r] | {'k': None, **r}: x\n  case P(q, z=R() as w) if g: y\n  case None | _: z\n  case n: pass": [
        "match (a, b) @2",
        "  case tests A.b, -1, 'k', None binds r @3", "    x @3",
        "  case tests P, R binds q, w if g @4", "    y @4",
        "  case tests None irrefutable @5", "    z @5",
        "  case binds n irrefutable @6",
    ],
    "class A:\n  f = lambda self: (lambda: self)\n  class B:\n    def m(self): return lambda: 0": [
        "class A() @2",
        "  bind f = lambda(self): lambda(): self @3", "  class A.B() @4", "    def A.B.m(self) @5", "      return lambda(): 0 @5",
    ],
}  # fmt: skip


@pytest.mark.parametrize("source", STATEMENTS)
def test_statement(source: str) -> None:
    assert shown(source + "\n") == STATEMENTS[source]
    assert shown(source) == STATEMENTS[source], "the last line needs no end"


def test_definitions_know_where_they_stand() -> None:
    source = """\
        import asyncio
        class A:
            def m(self):
                class B(A):
                    def n(self, key=lambda: 0): return lambda: (yield)
        """
    summary = lower(dedent(source).encode())
    names = [function.qualname for function in summary.functions]
    assert names == ["<module>", "A.m", "A.m.<locals>.B.n", "A.m.<locals>.B.<lambda>", "A.m.<locals>.B.n.<locals>.<lambda>"]
    assert [function.parent for function in summary.functions] == [None, 0, 1, 1, 2]
    assert [function.owner for function in summary.functions] == [None, 0, 1, 1, None]
    assert [function.is_generator for function in summary.functions] == [False, False, False, False, True]
    assert [(cls.qualname, cls.parent, cls.owner) for cls in summary.classes] == [("A", 0, None), ("A.m.<locals>.B", 1, None)]


def test_sites_ascend_with_the_source() -> None:
    source = MARK + "async def f():\n  with a(b()) as c, d():\n    await e(g(), [h() for i in j() for k in l()], m() if n() else o())\n"
    found = [node for node in nodes(lower(source.encode())) if isinstance(node, (ir.Call, ir.Await, ir.WithItem))]
    located = sorted((node.site, (node.at.line, node.at.column)) for node in found)
    assert len(located) == 14
    assert [place for _, place in located] == sorted(place for _, place in located)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("if __name__ == '__main__':\n  main()", True),
        ("if '__main__' == __name__:\n  main()", True),
        ("if __name__ != '__main__':\n  main()", False),
        ("if __main__ == '__name__':\n  main()", False),
        ("def f():\n  if __name__ == '__main__':\n    main()", False),
    ],
)
def test_starts_program(source: str, expected: bool) -> None:
    assert lower(source.encode()).starts_program is expected
    assert lower((MARK + source).encode()).starts_program is expected


def test_a_long_row_of_elifs_stays_shallow() -> None:
    count = 300
    source = MARK + "if x == 0: f(0)\n" + "".join(f"elif x == {i}: f({i})\n" for i in range(1, count)) + "else: f(-1)\n"
    summary = lower(source.encode())
    assert sum(isinstance(node, ir.Call) for node in nodes(summary)) == count + 1

    def depth(statement: ir.Stmt) -> int:
        return 1 + max(map(depth, statement.orelse + statement.body), default=0) if isinstance(statement, ir.Branch) else 1

    assert depth(summary.functions[0].body[1]) < 80
