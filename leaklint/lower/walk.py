"""What one walk over a tree fills: the tables of functions and classes, the numbers of sites, and how deep it stands."""

from __future__ import annotations

from msgspec import Struct

from leaklint import ir

MAX_DEPTH = 200
"""Expressions inside one another. Whoever reads a summary may recurse: this bounds what he needs."""
MAX_ARMS = 60
"""Branches in a row of one `if`; a longer row becomes a tree of unknown choices, see `arms`."""


class TooDeepError(Exception):
    """An expression nests more than MAX_DEPTH. Arguments: line and column of the statement."""


class Place(Struct, frozen=True):
    """Where a definition stands: the function around it, the class whose body holds it, and what its qualified name begins with."""

    function: int
    owner: int | None
    prefix: str


class Walk:
    """The accumulators of one file. `functions` and `classes` hold None for what is still being built."""

    __slots__ = ("at", "classes", "depth", "functions", "generators", "place", "sites")

    def __init__(self) -> None:
        self.functions: list[ir.Function | None] = [None]
        self.classes: list[ir.Class | None] = []
        self.generators: set[int] = set()
        self.place = Place(0, None, "")
        self.sites = 0
        self.depth = 0
        self.at = ir.Span(1, 1, 1, 1)

    def site(self) -> int:
        self.sites += 1
        return self.sites

    def new_function(self) -> int:
        self.functions.append(None)
        return len(self.functions) - 1

    def new_class(self) -> int:
        self.classes.append(None)
        return len(self.classes) - 1

    def summary(self, module_body: tuple[ir.Stmt, ...], at: ir.Span, *, is_outline: bool, starts_program: bool) -> ir.Summary:
        """The finished tables, without suppressions."""
        self.functions[0] = ir.Function(
            "<module>", "<module>", "module", (), module_body, (), None, False, False, None, None, at
        )  # fmt: skip
        functions = tuple(function for function in self.functions if function is not None)
        classes = tuple(cls for cls in self.classes if cls is not None)
        assert len(functions) == len(self.functions)
        assert len(classes) == len(self.classes)
        return ir.Summary(functions, classes, (), None, is_outline, starts_program)


def whole(text: str) -> ir.Span:
    """The span of the module body."""
    last = text.rfind("\n") + 1
    return ir.Span(1, 1, text.count("\n") + 1, len(text) - last + 1)


Arm = tuple[ir.Expr, tuple[ir.Stmt, ...], ir.Span]


def arms(branches: list[Arm], orelse: tuple[ir.Stmt, ...]) -> ir.Branch:
    """The nested branches of an `if`, its `elif`s and its `else`.

    More than MAX_ARMS in a row would nest too deep for whoever recurses over the body. Such a row is halved by a test of
    `...`, a choice about which nothing is known: every arm stays reachable, the tests of the other half before it are not seen.
    """
    if len(branches) > MAX_ARMS:
        half = len(branches) // 2
        at = branches[0][2]
        return ir.Branch(ir.Constant("ellipsis", "..."), (arms(branches[:half], ()),), (arms(branches[half:], orelse),), at)
    test, body, at = branches[-1]
    branch = ir.Branch(test, body, orelse, at)
    for test, body, at in reversed(branches[:-1]):
        branch = ir.Branch(test, body, (branch,), at)
    return branch
