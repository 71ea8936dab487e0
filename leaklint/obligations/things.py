"""Things that somebody must release, and the locals that hold them."""

from __future__ import annotations

from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Kind
from leaklint.link.flow.state import CallRecord
from leaklint.link.values import FunctionId
from leaklint.obligations.debts import Debt
from leaklint.paths import Node


@dataclass(frozen=True, slots=True)
class Thing:
    """Something new, or lent, that a call gives. `object`: what it is, where it owes a `debt`; `takers`: the functions that take it back,
    where a pool lends it; `owed`: whether it owes its release at once, not only when one of its methods has been called; `made`: the call
    that makes or takes it, in a wrapper perhaps."""

    object: int | None
    debt: Debt | None
    takers: frozenset[FunctionId]
    owed: bool
    made: CallRecord

    @property
    def kind(self) -> Kind | None:
        """What sort of resource of a library it is; None for an instance of a project class, and for what a pool lends."""
        return self.debt.kind if self.debt is not None and not self.debt.teardowns else None

    @property
    def is_collected(self) -> bool:
        """Whether its release comes by itself, if late, once nobody refers to it."""
        return self.debt is not None and self.debt.collected


@dataclass(frozen=True, slots=True, eq=False)
class Acquired:
    """A thing that locals of a function get at a node, by a call there; `names` hold it. `given`: a condition, and whether it
    holds where it is this call that gives it, not something that was there before (`own or make()`)."""

    function: FunctionId
    thing: Thing
    record: CallRecord
    node: Node
    names: frozenset[str]
    given: tuple[ir.Expr, bool] | None
