"""Where in its function an expression stands: the statements and blocks around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.link.syntax import expressions, subexpressions


@dataclass(frozen=True, slots=True)
class Enclosing:
    """A compound statement around a place, and the block of it that holds the place: `body`, `orelse`, `final`, `handler`, `test`."""

    stmt: ir.Stmt
    block: str


@dataclass(frozen=True, slots=True)
class Place:
    """The statement that evaluates a site, and what is around it, outermost first. `awaited`: the call is the operand of an `await`;
    `in_comprehension`: evaluated once for each element."""

    stmt: ir.Stmt
    around: tuple[Enclosing, ...]
    awaited: bool
    in_comprehension: bool

    @property
    def loops(self) -> tuple[ir.While | ir.For, ...]:
        """The loops whose body or test holds the place, outermost first."""
        return tuple(e.stmt for e in self.around if isinstance(e.stmt, ir.While | ir.For) and e.block in ("body", "test"))


def places(function: ir.Function) -> dict[int, Place]:
    """Site number → its place, for every call, await, with item and loop of the function."""
    return dict(_block(function.body, ()))


def _block(body: tuple[ir.Stmt, ...], around: tuple[Enclosing, ...]) -> Iterator[tuple[int, Place]]:
    for stmt in body:
        repeated = isinstance(stmt, ir.While)
        inner = (*around, Enclosing(stmt, "test")) if repeated else around
        for expression in expressions(stmt):
            yield from _sites(expression, stmt, inner)
        match stmt:
            case ir.For(site=site, body=block, orelse=orelse):
                # The iterable is evaluated once, the next element is awaited in every turn.
                yield site, Place(stmt, (*around, Enclosing(stmt, "test")), stmt.is_async, False)
                yield from _block(block, (*around, Enclosing(stmt, "body")))
                yield from _block(orelse, (*around, Enclosing(stmt, "orelse")))
            case ir.While(body=block, orelse=orelse) | ir.Branch(body=block, orelse=orelse):
                yield from _block(block, (*around, Enclosing(stmt, "body")))
                yield from _block(orelse, (*around, Enclosing(stmt, "orelse")))
            case ir.Try(body=block, handlers=handlers, orelse=orelse, final=final):
                yield from _block(block, (*around, Enclosing(stmt, "body")))
                for handler in handlers:
                    yield from _block(handler.body, (*around, Enclosing(stmt, "handler")))
                yield from _block(orelse, (*around, Enclosing(stmt, "orelse")))
                yield from _block(final, (*around, Enclosing(stmt, "final")))
            case ir.With(items=items, body=block):
                for item in items:
                    yield item.site, Place(stmt, around, stmt.is_async, False)
                yield from _block(block, (*around, Enclosing(stmt, "body")))
            case ir.Match(cases=cases):
                for case in cases:
                    yield from _block(case.body, (*around, Enclosing(stmt, "body")))
            case _:
                pass


def _sites(expression: ir.Expr, stmt: ir.Stmt, around: tuple[Enclosing, ...]) -> Iterator[tuple[int, Place]]:
    awaited: set[int] = set()
    repeated: set[int] = set()
    for part in subexpressions(expression):
        match part:
            case ir.Await(value=ir.Call(site=inner), site=site):
                awaited.add(inner)
                yield site, Place(stmt, around, True, site in repeated)
            case ir.Await(site=site):
                yield site, Place(stmt, around, True, site in repeated)
            case ir.Call(site=site):
                yield site, Place(stmt, around, site in awaited, site in repeated)
            case ir.Comprehension(element=element, key=key, clauses=clauses):
                inside = [element, *((key,) if key is not None else ()), *(c for clause in clauses for c in clause.conditions)]
                for one in inside:
                    repeated.update(p.site for p in subexpressions(one) if isinstance(p, ir.Call | ir.Await))
                for clause in clauses:
                    yield clause.site, Place(stmt, around, clause.is_async, True)
            case _:
                pass
