"""What is done once under a lock: a test says that it has not been done, and the same test before the lock keeps all others out later."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.link.syntax import subexpressions, walk
from leaklint.locks.cells import cell_of


def is_done_once(function: ir.Function, inner: ir.Stmt | None) -> bool:
    """Whether a statement of the function stands in a block that is entered under a lock while something is not set, and sets it, and the
    function has looked at that before it took the lock (double-checked locking)."""
    return any(
        _tested(branch.test) & _set_in(branch.body) & _tested_outside(function.body, block)
        for block in walk(function.body) if isinstance(block, ir.With)
        for branch in walk(block.body) if isinstance(branch, ir.Branch) and any(one is inner for one in walk(branch.body))
    )  # fmt: skip


def _tested(test: ir.Expr) -> frozenset[str]:
    """The cells that a test looks at."""
    return frozenset(cell for part in subexpressions(test) if isinstance(part, ir.Name | ir.Attribute) for cell in cell_of(part))


def _set_in(body: tuple[ir.Stmt, ...]) -> frozenset[str]:
    return frozenset(cell for stmt in walk(body) if isinstance(stmt, ir.Bind) for target in stmt.targets for cell in cell_of(target))


def _tested_outside(body: tuple[ir.Stmt, ...], block: ir.With) -> frozenset[str]:
    """The cells that the tests of a function look at, but for those within the block."""
    inside = {id(stmt) for stmt in walk(block.body)}
    return frozenset(cell for branch in _branches(body) if id(branch) not in inside for cell in _tested(branch.test))


def _branches(body: tuple[ir.Stmt, ...]) -> Iterator[ir.Branch]:
    yield from (stmt for stmt in walk(body) if isinstance(stmt, ir.Branch))
