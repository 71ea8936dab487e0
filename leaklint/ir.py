"""What one file tells the world: the summary that crosses from `lower` to `link`.

A summary knows no library and no other file. It records "call `q.put(item)`", never "send", and it is a pure function of the
file's bytes, so it can be cached by their hash and exchanged between processes. Bodies are trees: sequences, branches, loops,
`try` and `with` keep their structure. Every construct that the parser accepts has a form here; nothing is dropped silently.

Numbers: lines and columns start at 1 and count characters; ends are exclusive. A `site` numbers the calls, awaits, with items,
loops and comprehensions of one file in the order of their first character: (module, site) names a place in the whole program.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, Union

from msgspec import Struct

SUMMARY_VERSION = 3
"""Part of every cache key: raise it whenever the same bytes would give another summary."""


class Span(Struct, frozen=True, array_like=True, gc=False):
    line: int
    column: int
    end_line: int
    end_column: int


class _Node(Struct, frozen=True, tag=True, array_like=True, gc=False):
    """A node of a body; tagged by its class name, stored as an array."""


# --- expressions -------------------------------------------------------------------------------------------------------


class Name(_Node, frozen=True):
    id: str


class Constant(_Node, frozen=True):
    """A literal. `text` is its source, except for str (the value, at most 200 characters); bytes keep their source."""

    kind: Literal["none", "bool", "int", "float", "complex", "str", "bytes", "ellipsis"]
    text: str


class Attribute(_Node, frozen=True):
    base: Expr
    name: str


class Argument(Struct, frozen=True, array_like=True, gc=False):
    """One argument of a call: `value`, `keyword=value`, `*value` (star 1) or `**value` (star 2)."""

    value: Expr
    keyword: str | None = None
    star: int = 0


class Call(_Node, frozen=True):
    function: Expr
    arguments: tuple[Argument, ...]
    at: Span
    site: int


class Await(_Node, frozen=True):
    value: Expr
    at: Span
    site: int


class Yield(_Node, frozen=True):
    """`yield value`, or `yield from value` when `delegates`."""

    value: Expr | None
    delegates: bool
    at: Span


class Lambda(_Node, frozen=True):
    """A lambda; its body is `Summary.functions[function]`, a single `Return`."""

    function: int


class Display(_Node, frozen=True):
    kind: Literal["tuple", "list", "set"]
    items: tuple[Expr, ...]


class Mapping(_Node, frozen=True):
    """A dict display; `**other` has the key None."""

    items: tuple[tuple[Expr | None, Expr], ...]


class Starred(_Node, frozen=True):
    value: Expr


class Clause(Struct, frozen=True, array_like=True, gc=False):
    """One `for target in iterable if …` of a comprehension."""

    target: Expr
    iterable: Expr
    conditions: tuple[Expr, ...]
    is_async: bool
    site: int


class Comprehension(_Node, frozen=True):
    """`element` for list, set and generator; for dict `key` is the key and `element` the value."""

    kind: Literal["list", "set", "dict", "generator"]
    key: Expr | None
    element: Expr
    clauses: tuple[Clause, ...]
    at: Span


class Subscript(_Node, frozen=True):
    base: Expr
    index: Expr


class Slice(_Node, frozen=True):
    lower: Expr | None
    upper: Expr | None
    step: Expr | None


class Operation(_Node, frozen=True):
    """Unary (`not`, `-`, `+`, `~`), binary (`+`, `|`, …) and boolean (`and`, `or`; chains are flat) operators, as written; `!r` is that of
    an f-string, for `!a` and `{x=}` too."""

    operator: str
    operands: tuple[Expr, ...]


class Comparison(_Node, frozen=True):
    """`left op right op right …`; operators as written: `==`, `is not`, `not in`, …"""

    left: Expr
    operators: tuple[str, ...]
    rights: tuple[Expr, ...]


class Choice(_Node, frozen=True):
    """`then if test else otherwise`."""

    test: Expr
    then: Expr
    otherwise: Expr


class Walrus(_Node, frozen=True):
    target: Name
    value: Expr


class Template(_Node, frozen=True):
    """An f-string or t-string: the expressions inside, in order (format specs included); implicit concatenation joins them."""

    parts: tuple[Expr, ...]


Expr: TypeAlias = Union[
    Name, Constant, Attribute, Call, Await, Yield, Lambda, Display, Mapping, Starred, Comprehension,
    Subscript, Slice, Operation, Comparison, Choice, Walrus, Template,
]  # fmt: skip


# --- statements --------------------------------------------------------------------------------------------------------


class Bind(_Node, frozen=True):
    """`a = self.b = value`, `a: T = value`. A target is a Name, Attribute, Subscript, Starred or a Display of targets."""

    targets: tuple[Expr, ...]
    value: Expr
    annotation: Expr | None
    at: Span


class Declare(_Node, frozen=True):
    """`target: T` without a value."""

    target: Expr
    annotation: Expr
    at: Span


class Augment(_Node, frozen=True):
    """`target op= value`; `operator` without the `=`."""

    target: Expr
    operator: str
    value: Expr
    at: Span


class Evaluate(_Node, frozen=True):
    """An expression statement; docstrings are left out."""

    value: Expr
    at: Span


class Return(_Node, frozen=True):
    value: Expr | None
    at: Span


class Raise(_Node, frozen=True):
    exception: Expr | None
    cause: Expr | None
    at: Span


class Assert(_Node, frozen=True):
    test: Expr
    message: Expr | None
    at: Span


class Delete(_Node, frozen=True):
    targets: tuple[Expr, ...]
    at: Span


class Jump(_Node, frozen=True):
    kind: Literal["break", "continue"]
    at: Span


class Scope(_Node, frozen=True):
    kind: Literal["global", "nonlocal"]
    names: tuple[str, ...]


class Imported(Struct, frozen=True, array_like=True, gc=False):
    """`local` is the name bound here. `import a.b` binds `a` to module `a` (module "a.b", name None, local "a");
    `import a.b as c` binds `c` to module `a.b`; `from ..m import n as l` has level 2, module "m", name "n", local "l";
    a star import has name and local "*"."""

    local: str
    module: str
    name: str | None
    level: int


class Import(_Node, frozen=True):
    names: tuple[Imported, ...]
    at: Span


class DefineFunction(_Node, frozen=True):
    """A `def` runs here; the function is `Summary.functions[function]`."""

    function: int


class DefineClass(_Node, frozen=True):
    """A `class` runs here; the class is `Summary.classes[cls]`."""

    cls: int


class Branch(_Node, frozen=True):
    test: Expr
    body: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...]
    at: Span


class While(_Node, frozen=True):
    test: Expr
    body: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...]
    at: Span


class For(_Node, frozen=True):
    target: Expr
    iterable: Expr
    body: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...]
    is_async: bool
    at: Span
    site: int


class Handler(Struct, frozen=True, array_like=True, gc=False):
    """`except type as name:`; a bare `except` has type None."""

    type: Expr | None
    name: str | None
    body: tuple[Stmt, ...]
    at: Span


class Try(_Node, frozen=True):
    body: tuple[Stmt, ...]
    handlers: tuple[Handler, ...]
    orelse: tuple[Stmt, ...]
    final: tuple[Stmt, ...]
    is_star: bool
    at: Span


class WithItem(Struct, frozen=True, array_like=True, gc=False):
    context: Expr
    target: Expr | None
    at: Span
    site: int


class With(_Node, frozen=True):
    items: tuple[WithItem, ...]
    body: tuple[Stmt, ...]
    is_async: bool
    at: Span


class Case(Struct, frozen=True, array_like=True, gc=False):
    """`tests` are the values and classes that the pattern compares with, `binds` the names it captures; `irrefutable` when
    it matches everything (a capture, `_`, or an alternative that does) and has no guard."""

    tests: tuple[Expr, ...]
    binds: tuple[str, ...]
    irrefutable: bool
    guard: Expr | None
    body: tuple[Stmt, ...]
    at: Span


class Match(_Node, frozen=True):
    subject: Expr
    cases: tuple[Case, ...]
    at: Span


Stmt: TypeAlias = Union[
    Bind, Declare, Augment, Evaluate, Return, Raise, Assert, Delete, Jump, Scope, Import, DefineFunction, DefineClass,
    Branch, While, For, Try, With, Match,
]  # fmt: skip


# --- the file ----------------------------------------------------------------------------------------------------------


class Parameter(Struct, frozen=True, array_like=True, gc=False):
    name: str
    kind: Literal["positional", "any", "vararg", "keyword", "kwarg"]
    default: Expr | None
    annotation: Expr | None


class Function(Struct, frozen=True, array_like=True, gc=False):
    """A `def`, a lambda or the module body. `parent` is the function around it (0, the module, for a top-level one and for a
    method of a top-level class), `owner` the class whose body holds it directly; both are indices into the summary."""

    name: str
    qualname: str
    kind: Literal["module", "def", "lambda"]
    parameters: tuple[Parameter, ...]
    body: tuple[Stmt, ...]
    decorators: tuple[Expr, ...]
    returns: Expr | None
    is_async: bool
    is_generator: bool
    parent: int | None
    owner: int | None
    at: Span


class Class(Struct, frozen=True, array_like=True, gc=False):
    """`body` holds what runs when the class is made: bindings, nested definitions. `parent` is the function around it."""

    name: str
    qualname: str
    bases: tuple[Expr, ...]
    keywords: tuple[Argument, ...]
    decorators: tuple[Expr, ...]
    body: tuple[Stmt, ...]
    parent: int
    owner: int | None
    at: Span


class Suppression(Struct, frozen=True, array_like=True, gc=False):
    """A comment that silences findings of its line, or of the file when `whole_file`. `codes` empty: all codes.
    `style` tells whose syntax it is: only ours is checked for being used (LK002)."""

    style: Literal["leaklint", "noqa"]
    codes: tuple[str, ...]
    whole_file: bool
    reason: str
    at: Span


class Problem(Struct, frozen=True, array_like=True, gc=False):
    """Why a file does not parse, in one line."""

    message: str
    line: int
    column: int


class Summary(Struct, frozen=True, array_like=True, gc=False):
    """`functions[0]` is the module body. An *outline* has classes, signatures, imports, class-level and `self` bindings, but
    bodies without calls between them: the file holds no concurrency. `starts_program` says that it has a `__main__` guard."""

    functions: tuple[Function, ...]
    classes: tuple[Class, ...]
    suppressions: tuple[Suppression, ...]
    problem: Problem | None
    is_outline: bool
    starts_program: bool


class Module(Struct, frozen=True, gc=False):
    """A summary with its place in the project. `path` is as the user gave it, with `/`."""

    name: str
    path: str
    is_package: bool
    summary: Summary
