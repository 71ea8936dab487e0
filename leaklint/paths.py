"""The control flow of one function: its statements as nodes, and the ways on from each, exceptions and cancellation included.

Built from the structured body by continuation: each block is made knowing where it goes on, so `finally` blocks and the exits of
`with` blocks stand once for each way through them. An `except Exception` does not stop a cancellation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache

from leaklint import ir
from leaklint.link.scopes import expressions, subexpressions


class Edge(Enum):
    NEXT = auto()
    TRUE = auto()  # a test holds, a loop gives one more element
    FALSE = auto()
    RAISE = auto()
    CANCEL = auto()  # CancelledError arrives at an await


class Exit(Enum):
    RETURN = auto()
    RAISE = auto()
    CANCEL = auto()


@dataclass(slots=True, eq=False)
class Node:
    """A statement, the test of a branch or loop, the entry (`enter`) or the exit (`exit`) of a `with`, an `except` dispatch, or an end
    of the function (`exit_kind`). `parts` are the expressions evaluated here."""

    kind: str
    stmt: ir.Stmt | None
    parts: tuple[ir.Expr, ...] = ()
    exit_kind: Exit | None = None
    successors: list[tuple[Edge, Node]] = field(default_factory=list)

    def sites(self) -> Iterable[int]:
        """The sites evaluated here: calls, awaits, with items, loop steps."""
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
    entry: Node
    nodes: tuple[Node, ...]

    def of(self, site: int) -> list[Node]:
        """The nodes that evaluate a site; more than one where it stands in a `finally`."""
        return [node for node in self.nodes if site in node.sites()]


Target = Callable[[], Node]


@dataclass(frozen=True, slots=True)
class _Ways:
    """Where control goes from inside a block."""

    returns: Target
    raises: Target
    cancels: Target
    breaks: Target | None = None
    continues: Target | None = None


def paths(function: ir.Function, may_raise: Callable[[ir.Call], bool], suppresses: Callable[[int], bool]) -> Paths:
    """The control flow of a function. `may_raise` says whether a call can, `suppresses` whether a `with` item (its site) swallows
    exceptions."""
    return _Builder(may_raise, suppresses).build(function)


class _Builder:
    def __init__(self, may_raise: Callable[[ir.Call], bool], suppresses: Callable[[int], bool]) -> None:
        self.may_raise = may_raise
        self.suppresses = suppresses
        self.nodes: list[Node] = []

    def build(self, function: ir.Function) -> Paths:
        ends = {kind: self._node("end", None, exit_kind=kind) for kind in Exit}
        ways = _Ways(lambda: ends[Exit.RETURN], lambda: ends[Exit.RAISE], lambda: ends[Exit.CANCEL])
        entry = self._block(function.body, ends[Exit.RETURN], ways)
        return Paths(entry, tuple(self.nodes))

    def _node(self, kind: str, stmt: ir.Stmt | None, parts: Iterable[ir.Expr] = (), exit_kind: Exit | None = None) -> Node:
        node = Node(kind, stmt, tuple(parts), exit_kind)
        self.nodes.append(node)
        return node

    def _block(self, body: tuple[ir.Stmt, ...], then: Node, ways: _Ways) -> Node:
        for stmt in reversed(body):
            then = self._statement(stmt, then, ways)
        return then

    def _throws(self, node: Node, ways: _Ways, waits: bool = False) -> None:
        """The exceptional ways on from what the node evaluates."""
        raising, cancelled = isinstance(node.stmt, ir.Assert | ir.Delete), waits
        for part in node.parts:
            for expression in subexpressions(part):
                match expression:
                    case ir.Call():
                        raising = raising or self.may_raise(expression)
                    case ir.Await():
                        cancelled = True
                    case ir.Comprehension(clauses=clauses):
                        cancelled = cancelled or any(clause.is_async for clause in clauses)
                    case ir.Yield():
                        raising = cancelled = True
                    case _:
                        pass
        if raising:
            node.successors.append((Edge.RAISE, ways.raises()))
        if cancelled:
            node.successors.append((Edge.CANCEL, ways.cancels()))

    def _statement(self, stmt: ir.Stmt, then: Node, ways: _Ways) -> Node:
        match stmt:
            case ir.Branch(test=test, body=body, orelse=orelse):
                node = self._node("test", stmt, (test,))
                if _truth(test) is not False:
                    node.successors.append((Edge.TRUE, self._block(body, then, ways)))
                if _truth(test) is not True:
                    node.successors.append((Edge.FALSE, self._block(orelse, then, ways)))
                self._throws(node, ways)
                return node
            case ir.While(test=test, body=body, orelse=orelse):
                node = self._node("test", stmt, (test,))
                return self._loop(node, body, orelse, then, ways, endless=_truth(test) is True, waits=False)
            case ir.For(body=body, orelse=orelse, iterable=iterable):
                node = self._node("step", stmt)
                self._loop(node, body, orelse, then, ways, endless=False, waits=stmt.is_async)
                first = self._node("stmt", stmt, (iterable,))
                first.successors.append((Edge.NEXT, node))
                self._throws(first, ways)
                return first
            case ir.Try():
                return self._try(stmt, then, ways)
            case ir.With():
                return self._with(stmt, then, ways)
            case ir.Match(subject=subject, cases=cases):
                node = self._node("test", stmt, expressions(stmt))
                for case in cases:
                    node.successors.append((Edge.TRUE, self._block(case.body, then, ways)))
                if not any(case.irrefutable and case.guard is None for case in cases):
                    node.successors.append((Edge.FALSE, then))
                self._throws(node, ways)
                del subject
                return node
            case ir.Jump(kind=kind):
                target = ways.breaks if kind == "break" else ways.continues
                node = self._node("stmt", stmt)
                if target is not None:
                    node.successors.append((Edge.NEXT, target()))
                return node
            case ir.Return():
                node = self._node("stmt", stmt, expressions(stmt))
                node.successors.append((Edge.NEXT, ways.returns()))
                self._throws(node, ways)
                return node
            case ir.Raise():
                node = self._node("stmt", stmt, expressions(stmt))
                node.successors.append((Edge.RAISE, ways.raises()))
                return node
            case _:
                node = self._node("stmt", stmt, expressions(stmt))
                node.successors.append((Edge.NEXT, then))
                self._throws(node, ways)
                return node

    def _loop(
        self, node: Node, body: tuple[ir.Stmt, ...], orelse: tuple[ir.Stmt, ...], then: Node, ways: _Ways, *, endless: bool, waits: bool
    ) -> Node:
        inner = _Ways(ways.returns, ways.raises, ways.cancels, lambda: then, lambda: node)
        node.successors.append((Edge.TRUE, self._block(body, node, inner)))
        if not endless:
            node.successors.append((Edge.FALSE, self._block(orelse, then, ways)))
        self._throws(node, ways, waits)
        return node

    def _guarded(self, ways: _Ways, leave: Callable[[Target], Node]) -> _Ways:
        """The ways out of a block that `leave` closes: each passes through its own copy."""

        def through(target: Target | None) -> Target | None:
            if target is None:
                return None
            way = target
            return cache(lambda: leave(way))

        def required(target: Target) -> Target:
            return cache(lambda: leave(target))

        return _Ways(required(ways.returns), required(ways.raises), required(ways.cancels), through(ways.breaks), through(ways.continues))

    def _try(self, stmt: ir.Try, then: Node, ways: _Ways) -> Node:
        if stmt.final:
            outer = ways

            def leave(target: Target) -> Node:
                return self._block(stmt.final, target(), outer)

            ways = self._guarded(outer, leave)
            then = self._block(stmt.final, then, outer)
        if not stmt.handlers:
            return self._block(stmt.body, self._block(stmt.orelse, then, ways), ways)

        @cache
        def raised() -> Node:
            return self._dispatch(stmt, then, ways, Edge.RAISE)

        @cache
        def cancelled() -> Node:
            return self._dispatch(stmt, then, ways, Edge.CANCEL)

        inner = _Ways(ways.returns, raised, cancelled, ways.breaks, ways.continues)
        return self._block(stmt.body, self._block(stmt.orelse, then, ways), inner)

    def _dispatch(self, stmt: ir.Try, then: Node, ways: _Ways, edge: Edge) -> Node:
        """Where an exception of the body goes: to a handler that may catch it, or on."""
        node = self._node("except", stmt)
        for handler in stmt.handlers:
            catches = catches_all(handler) if edge is Edge.RAISE else catches_cancel(handler)
            if catches is not False:
                node.successors.append((edge, self._block(handler.body, then, ways)))
            if catches is True:
                return node
        node.successors.append((edge, ways.raises() if edge is Edge.RAISE else ways.cancels()))
        return node

    def _with(self, stmt: ir.With, then: Node, ways: _Ways) -> Node:
        def leave(target: Target) -> Node:
            node = self._node("exit", stmt)
            node.successors.append((Edge.NEXT, target()))
            return node

        inner = self._guarded(ways, leave)
        if any(self.suppresses(item.site) for item in stmt.items):
            swallowed = cache(lambda: leave(lambda: then))
            inner = _Ways(inner.returns, swallowed, inner.cancels, inner.breaks, inner.continues)
        node = self._node("enter", stmt, expressions(stmt))
        node.successors.append((Edge.NEXT, self._block(stmt.body, leave(lambda: then), inner)))
        self._throws(node, ways, stmt.is_async)
        return node


def _truth(test: ir.Expr) -> bool | None:
    """Whether a constant test holds; None when it is not constant."""
    match test:
        case ir.Constant(kind="bool", text=text):
            return text == "True"
        case ir.Constant(kind="int", text=text):
            return text != "0"
        case ir.Constant(kind="str", text=text):
            return bool(text)
        case ir.Constant(kind="none"):
            return False
        case _:
            return None


def is_endless(test: ir.Expr) -> bool:
    return _truth(test) is True


def handler_names(handler: ir.Handler) -> tuple[str, ...]:
    """The last words of the exception types that a handler names."""
    match handler.type:
        case ir.Display(items=items):
            types: tuple[ir.Expr, ...] = items
        case None:
            types = ()
        case one:
            types = (one,)
    return tuple(t.name if isinstance(t, ir.Attribute) else t.id if isinstance(t, ir.Name) else "?" for t in types)


def catches_all(handler: ir.Handler) -> bool | None:
    """Whether a handler catches every ordinary exception; None: some."""
    if handler.type is None or {"Exception", "BaseException"} & set(handler_names(handler)):
        return True
    return False if set(handler_names(handler)) == {"CancelledError"} else None


def catches_cancel(handler: ir.Handler) -> bool:
    return handler.type is None or bool({"BaseException", "CancelledError"} & set(handler_names(handler)))
