"""What the control flow of a function is made of: nodes, the ways on from each, and the ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from leaklint import ir
from leaklint.link.syntax import subexpressions


class Edge(Enum):
    NEXT = auto()
    TRUE = auto()  # a test holds, a loop gives one more element
    FALSE = auto()
    RAISE = auto()
    CANCEL = auto()  # CancelledError arrives at an await
    CLOSE = auto()  # the generator is closed, or collected, at a yield: GeneratorExit


EXCEPTIONAL = frozenset({Edge.RAISE, Edge.CANCEL, Edge.CLOSE})
FORCED = frozenset({Edge.CANCEL, Edge.CLOSE})
"""Brought about from outside, whatever the function calls."""


class Exit(Enum):
    RETURN = auto()
    RAISE = auto()
    CANCEL = auto()
    CLOSE = auto()


@dataclass(slots=True, eq=False)
class Node:
    """A statement, the test of a branch or loop, the entry (`enter`) or the exit (`exit`) of a `with`, an `except` dispatch, the shared
    end of a `finally` (`join`), or an end of the function (`exit_kind`). `parts` are the expressions evaluated here; `thrown`: where an
    exception goes, by the last word of its name, `?` for any other; `unwinds`: an exception leaves the block here."""

    kind: str
    stmt: ir.Stmt | None
    parts: tuple[ir.Expr, ...] = ()
    exit_kind: Exit | None = None
    successors: list[tuple[Edge, Node]] = field(default_factory=list)
    thrown: dict[str, Node] = field(default_factory=dict)
    unwinds: bool = False
    _sites: tuple[int, ...] | None = None
    _handed: tuple[frozenset[str], tuple[int, ...]] | None = None

    def gives_way(self) -> bool:
        """Whether a coroutine gives control away here."""
        if isinstance(self.stmt, ir.For | ir.With) and self.stmt.is_async:
            return True
        return any(isinstance(one, ir.Await) for part in self.parts for one in subexpressions(part))

    def handed(self) -> tuple[frozenset[str], tuple[int, ...]]:
        """What is used here without being called: the last words of names and attributes, and the functions of lambdas."""
        if self._handed is None:
            inside = [one for part in self.parts for one in subexpressions(part)]
            called = {id(one.function) for one in inside if isinstance(one, ir.Call)}
            used = [one for one in inside if isinstance(one, ir.Name | ir.Attribute) and id(one) not in called]
            words = {one.id if isinstance(one, ir.Name) else one.name for one in used}
            self._handed = frozenset(words), tuple(one.function for one in inside if isinstance(one, ir.Lambda))
        return self._handed

    def sites(self) -> tuple[int, ...]:
        """The sites evaluated here: calls, awaits, with items, loop steps."""
        if self._sites is None:
            self._sites = tuple(self._find_sites())
        return self._sites

    def _find_sites(self) -> Iterator[int]:
        for part in self.parts:
            for expression in subexpressions(part):
                match expression:
                    case ir.Call(site=site) | ir.Await(site=site):
                        yield site
                    case ir.Comprehension(clauses=clauses):
                        yield from (clause.site for clause in clauses)
                    case _:
                        pass
        match self.stmt:
            case ir.For(site=site) if self.kind == "step":
                yield site
            case ir.With(items=items) if self.kind in ("enter", "exit"):
                yield from (item.site for item in items)
            case _:
                pass


@dataclass(frozen=True, slots=True)
class Paths:
    """The nodes that can be reached from the entry."""

    entry: Node
    nodes: tuple[Node, ...]
    by_site: dict[int, list[Node]]

    def of(self, site: int) -> list[Node]:
        """The nodes that evaluate a site; more than one where it stands in a `finally`, none where it cannot be reached."""
        return self.by_site.get(site, [])
