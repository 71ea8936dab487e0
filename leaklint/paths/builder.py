"""The control flow of one function, exceptions, cancellation and the closing of generators included.

Built from the end of each block to its start, so that a statement knows where it goes on. What leaves a block early unwinds the regions
around it: a `finally` block and the exit of a `with` stand once for each way through them. An `except Exception` stops neither a
cancellation nor a `GeneratorExit`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from leaklint import ir
from leaklint.link.raising import ANY
from leaklint.link.syntax import expressions, subexpressions
from leaklint.link.thrown import Thrown, catches, thrown_by, types_of
from leaklint.paths.nodes import Edge, Exit, Node, Paths
from leaklint.paths.semantics import Semantics


def paths(function: ir.Function, semantics: Semantics) -> Paths:
    """The control flow of a function, where its calls, awaits and blocks mean this."""
    return _Builder(function, semantics).build()


class _Leaves(Enum):
    """How control leaves a block early."""

    RETURN = auto()
    BREAK = auto()
    CONTINUE = auto()


_Way = Thrown | _Leaves


@dataclass(slots=True, eq=False)
class _Region:
    """What control passes through when it leaves a block early; `then` is where the statement goes on. `ways`: the node at which each
    way out enters, made once."""

    kind: str  # function, loop, handlers, handler, final, with
    parent: _Region | None
    stmt: ir.Stmt | None = None
    then: Node | None = None
    header: Node | None = None
    caught: Thrown | None = None
    alias: str | None = None
    ways: dict[_Way, Node] = field(default_factory=dict)
    bodies: dict[tuple[int, Edge], Node] = field(default_factory=dict)
    join: tuple[Node, Node] | None = None


_COPIES = 8
"""Nodes per statement of a function, beyond a free allowance, from which `finally` blocks and handlers are no longer copied for each way:
inside one another they would multiply."""
_FREE = 2_000
_MOST_NAMES = 4
"""Exceptions of one statement told apart."""


class _Builder:
    def __init__(self, function: ir.Function, semantics: Semantics) -> None:
        self.function = function
        self.semantics = semantics
        self.nodes: list[Node] = []
        self.statements: set[int] = set()

    def build(self) -> Paths:
        ends = {kind: self._node("end", None, exit_kind=kind) for kind in Exit}
        outside = _Region("function", None)
        outside.ways = {_Leaves.RETURN: ends[Exit.RETURN]}
        self.ends = ends
        entry = self._block(self.function.body, ends[Exit.RETURN], outside)
        return _reachable(entry)

    def _node(self, kind: str, stmt: ir.Stmt | None, parts: Iterable[ir.Expr] = (), exit_kind: Exit | None = None) -> Node:
        node = Node(kind, stmt, tuple(parts), exit_kind)
        self.nodes.append(node)
        if stmt is not None:
            self.statements.add(id(stmt))
        return node

    @property
    def _is_crowded(self) -> bool:
        return len(self.nodes) > _FREE + _COPIES * len(self.statements)

    # --- statements

    def _block(self, body: tuple[ir.Stmt, ...], then: Node, region: _Region) -> Node:
        for stmt in reversed(body):
            then = self._statement(stmt, then, region)
        return then

    def _statement(self, stmt: ir.Stmt, then: Node, region: _Region) -> Node:
        match stmt:
            case ir.Branch():
                return self._branch(stmt, then, region)
            case ir.While(test=test):
                node = self._node("test", stmt, (test,))
                return self._loop(stmt, node, then, region)
            case ir.For(iterable=iterable):
                node = self._loop(stmt, self._node("step", stmt), then, region)
                first = self._node("stmt", stmt, (iterable,))
                first.successors.append((Edge.NEXT, node))
                self._throws(first, region)
                return first
            case ir.Try():
                return self._try(stmt, then, region)
            case ir.With():
                return self._with(stmt, then, region)
            case ir.Match(cases=cases):
                node = self._node("test", stmt, expressions(stmt))
                for case in cases:
                    node.successors.append((Edge.TRUE, self._block(case.body, then, region)))
                if not any(case.irrefutable and case.guard is None for case in cases):
                    node.successors.append((Edge.FALSE, then))
                self._throws(node, region)
                return node
            case ir.Jump(kind=kind):
                node = self._node("stmt", stmt)
                node.successors.append((Edge.NEXT, self._leave(region, _Leaves.BREAK if kind == "break" else _Leaves.CONTINUE)))
                return node
            case ir.Return():
                node = self._node("stmt", stmt, expressions(stmt))
                node.successors.append((Edge.NEXT, self._leave(region, _Leaves.RETURN)))
                self._throws(node, region)
                return node
            case ir.Raise(exception=exception):
                node = self._node("stmt", stmt, expressions(stmt))
                thrown = _raised_again(exception, region) or thrown_by(exception)
                if thrown.name is not None:
                    thrown = replace(thrown, above=self.semantics.above(thrown.name))
                node.successors.append((_edge(thrown), self._leave(region, thrown)))
                return node
            case _:
                node = self._node("stmt", stmt, expressions(stmt))
                node.successors.append((Edge.NEXT, then))
                self._throws(node, region)
                return node

    def _branch(self, stmt: ir.Branch, then: Node, region: _Region) -> Node:
        """An `if` with all its `elif`s, the last first: they nest in the tree, but not here."""
        arms = [stmt]
        while len(arms[-1].orelse) == 1 and isinstance(following := arms[-1].orelse[0], ir.Branch):
            arms.append(following)
        otherwise = self._block(arms[-1].orelse, then, region)
        for arm in reversed(arms):
            node = self._node("test", arm, (arm.test,))
            if _truth(arm.test) is not False:
                node.successors.append((Edge.TRUE, self._block(arm.body, then, region)))
            if _truth(arm.test) is not True:
                node.successors.append((Edge.FALSE, otherwise))
            self._throws(node, region)
            otherwise = node
        return otherwise

    def _loop(self, stmt: ir.While | ir.For, node: Node, then: Node, region: _Region) -> Node:
        waits = isinstance(stmt, ir.For) and stmt.is_async
        node.successors.append((Edge.TRUE, self._block(stmt.body, node, _Region("loop", region, stmt, then, node))))
        if isinstance(stmt, ir.For) or _truth(stmt.test) is not True:
            node.successors.append((Edge.FALSE, self._block(stmt.orelse, then, region)))
        self._throws(node, region, raising=waits, cancelled=waits)
        return node

    def _try(self, stmt: ir.Try, then: Node, region: _Region) -> Node:
        if stmt.final:
            region = _Region("final", region, stmt, then)
            then = self._final(region, then)
        inner = _Region("handlers", region, stmt, then) if stmt.handlers else region
        return self._block(stmt.body, self._block(stmt.orelse, then, region), inner)

    def _with(self, stmt: ir.With, then: Node, region: _Region) -> Node:
        node = self._node("enter", stmt, expressions(stmt))
        leaving = self._node("exit", stmt)
        leaving.successors.append((Edge.NEXT, then))
        node.successors.append((Edge.NEXT, self._block(stmt.body, leaving, _Region("with", region, stmt, then))))
        self._throws(node, region, cancelled=stmt.is_async)
        return node

    # --- early ways out

    def _throws(self, node: Node, region: _Region, *, raising: bool = False, cancelled: bool = False) -> None:
        """The exceptional ways on from what the node evaluates."""
        names = {ANY} if raising else set()
        closed = False
        if isinstance(node.stmt, ir.Assert):
            names.add("AssertionError")
        for part in node.parts:
            for expression in subexpressions(part):
                match expression:
                    case ir.Call():
                        names |= self.semantics.raised(expression)
                    case ir.Await(value=value):
                        cancelled = cancelled or self.semantics.suspends(expression)
                        if not isinstance(value, ir.Call):
                            names.add(ANY)
                    case ir.Comprehension(clauses=clauses):
                        cancelled = cancelled or any(clause.is_async for clause in clauses)
                    case ir.Yield() if self.semantics.is_block:
                        names.add(ANY)
                        cancelled = True
                    case ir.Yield():
                        closed = True
                    case _:
                        pass
        for thrown in self._told(names):
            target = node.thrown[thrown.name or ANY] = self._leave(region, thrown)
            node.successors.append((Edge.RAISE, target))
        if cancelled:
            node.successors.append((Edge.CANCEL, self._leave(region, Thrown(is_cancel=True))))
        if closed:
            node.successors.append((Edge.CLOSE, self._leave(region, Thrown("GeneratorExit"))))

    def _told(self, names: set[str]) -> list[Thrown]:
        """The exceptions of these names; one that may be any where too little is known of them."""
        if not names:
            return []
        if len(names) > _MOST_NAMES or names & {ANY, "Exception", "BaseException"}:
            return [Thrown()]
        return [Thrown(name, above=self.semantics.above(name)) for name in sorted(names)]

    def _leave(self, region: _Region, way: _Way) -> Node:
        """Where control goes when it leaves the inside of a region: out through one region after the other until one of them stops it."""
        passed: list[_Region] = []
        here = region
        while way not in here.ways:
            if (stop := self._stop(here, way)) is not None:
                here.ways[way] = stop
                break
            passed.append(here)
            assert here.parent is not None, "the function stops every way"
            here = here.parent
        found = here.ways[way]
        for one in reversed(passed):
            found = one.ways[way] = self._pass(one, way, found)
        return found

    def _stop(self, region: _Region, way: _Way) -> Node | None:
        """Where the region stops a way for good; None: it goes on to the region around."""
        match region.kind:
            case "function":
                # A jump outside a loop does not compile: it is taken for a return.
                return self.ends[Exit.RETURN if isinstance(way, _Leaves) else _EXITS[_edge(way)]]
            case "loop" if way in (_Leaves.BREAK, _Leaves.CONTINUE):
                return region.then if way is _Leaves.BREAK else region.header
            case "handlers" if isinstance(way, Thrown):
                assert isinstance(region.stmt, ir.Try)
                if any(catches(types_of(handler.type), way) for handler in region.stmt.handlers):
                    return self._dispatch(region, way, None)
            case "with" if isinstance(way, Thrown) and self._swallows(region, way):
                return self._exit(region, None, way)
            case _:
                pass
        return None

    def _pass(self, region: _Region, way: _Way, onward: Node) -> Node:
        """Where the region is entered by a way that goes on to `onward`."""
        match region.kind:
            case "final":
                return self._final(region, onward)
            case "with":
                thrown = way if isinstance(way, Thrown) else None
                return self._exit(region, onward, thrown, may_swallow=thrown is not None and self._swallows(region, thrown) is None)
            case "handlers" if isinstance(way, Thrown):
                return self._dispatch(region, way, onward)
            case _:
                return onward

    def _final(self, region: _Region, onward: Node) -> Node:
        assert isinstance(region.stmt, ir.Try)
        assert region.parent is not None
        if not self._is_crowded:
            return self._block(region.stmt.final, onward, region.parent)
        if region.join is None:
            end = self._node("join", None)
            region.join = end, self._block(region.stmt.final, end, region.parent)
        end, start = region.join
        end.successors.append((Edge.NEXT, onward))
        return start

    def _exit(self, region: _Region, onward: Node | None, thrown: _Way | None, *, may_swallow: bool = True) -> Node:
        node = self._node("exit", region.stmt)
        node.unwinds = isinstance(thrown, Thrown)
        if may_swallow and region.then is not None:
            node.successors.append((Edge.NEXT, region.then))
        if onward is not None:
            node.successors.append((Edge.NEXT, onward))
        return node

    def _dispatch(self, region: _Region, thrown: Thrown, onward: Node | None) -> Node:
        """Where an exception of the body goes: to a handler that may catch it, or on."""
        assert isinstance(region.stmt, ir.Try)
        node = self._node("except", region.stmt)
        for index, handler in enumerate(region.stmt.handlers):
            caught = catches(types_of(handler.type), thrown)
            if caught is not False:
                node.successors.append((_edge(thrown), self._handler(region, index, handler, thrown)))
            if caught is True:
                return node
        if onward is not None:
            node.successors.append((_edge(thrown), onward))
        return node

    def _handler(self, region: _Region, index: int, handler: ir.Handler, thrown: Thrown) -> Node:
        """The body of a handler: once for cancellations, since `raise` in it goes on with one, and so for each sort of exception."""
        key = (index, Edge.RAISE if self._is_crowded else _edge(thrown))
        found = region.bodies.get(key)
        if found is None:
            assert region.parent is not None
            assert region.then is not None
            names = types_of(handler.type)
            caught = thrown if _edge(thrown) is not Edge.RAISE else Thrown(names[0] if names is not None and len(names) == 1 else None)
            found = self._block(handler.body, region.then, _Region("handler", region.parent, caught=caught, alias=handler.name))
            region.bodies[key] = found
        return found

    def _swallows(self, region: _Region, thrown: Thrown) -> bool | None:
        """Whether leaving the `with` swallows the exception; None: perhaps."""
        assert isinstance(region.stmt, ir.With)
        told = {catches(words, thrown) for item in region.stmt.items if (words := self.semantics.swallowed(item))}
        return True if True in told else None if None in told else False


def _reachable(entry: Node) -> Paths:
    seen = {id(entry): entry}
    todo = [entry]
    by_site: dict[int, list[Node]] = {}
    while todo:
        node = todo.pop()
        for site in dict.fromkeys(node.sites()):
            by_site.setdefault(site, []).append(node)
        for _, target in node.successors:
            if id(target) not in seen:
                seen[id(target)] = target
                todo.append(target)
    return Paths(entry, tuple(seen.values()), by_site)


def _edge(thrown: Thrown) -> Edge:
    return Edge.CANCEL if thrown.is_cancel else Edge.CLOSE if thrown.name == "GeneratorExit" else Edge.RAISE


_EXITS = {Edge.RAISE: Exit.RAISE, Edge.CANCEL: Exit.CANCEL, Edge.CLOSE: Exit.CLOSE}


def _raised_again(exception: ir.Expr | None, region: _Region | None) -> Thrown | None:
    """What `raise`, or `raise error` in an `except … as error`, raises: what the handler around it caught."""
    while region is not None:
        if region.kind == "handler" and (exception is None or (isinstance(exception, ir.Name) and exception.id == region.alias)):
            return region.caught
        region = region.parent
    return None


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
    return types_of(handler.type) or ()
