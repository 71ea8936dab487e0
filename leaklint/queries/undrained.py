"""LK106: an item is taken from a queue and never reported as done, so that the `join` of the queue does not return."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from leaklint import ir
from leaklint.exits.sentinels import sends_of, tells_end
from leaklint.finding import Confidence, Leak, Step
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.raising import ANY
from leaklint.link.syntax import subexpressions, target_names, walk
from leaklint.link.thrown import types_of
from leaklint.link.values import FunctionId
from leaklint.obligations.accounts import Account
from leaklint.paths import EXCEPTIONAL, FORCED, Choices, Edge, Exit, Facts, Node
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows

_FARTHEST = 3
"""Calls from the receive towards the loop around it, followed at most."""
_MOST = 20_000
"""Steps of a search after which a function counts as too tangled to judge."""
_BROAD = frozenset({"Exception", "BaseException"})


@dataclass(frozen=True, slots=True)
class Trail:
    """Of a way on which an item is not reported: the `names` of the item, the `last` statement, what it `raised` on, the test that took it
    for a sentinel (`ending`), the value that is returned."""

    names: frozenset[str]
    last: Node
    raised: Node | None = None
    ending: ir.Expr | None = None
    returned: ir.Expr | None = None

    @property
    def kind(self) -> tuple[bool, bool]:
        """Whether something was raised on the way, and whether the item was taken for a sentinel."""
        return self.raised is not None, self.ending is not None


@dataclass(frozen=True, slots=True)
class Way:
    """How an item is forgotten: the function is left, in `end`, or (None) the next item is taken."""

    end: Exit | None
    function: FunctionId
    trail: Trail


def undrained(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """One finding for each receive after which a way forgets `task_done`, where somebody waits for the account of the queue."""
    told: set[tuple[tuple[int, int], int]] = set()
    for channel in graph.channels:
        account = Account(graph, channel)
        if not account.joins and not (account.drains and account.is_offered):
            continue
        for receive in channel.receives:
            key = (receive.function.source, receive.site.number)
            if key in told:
                continue
            leak = _judge(graph, account, receive)
            if leak is not None:
                told.add(key)
                yield leak


def _judge(graph: Graph, account: Account, receive: Action) -> Leak | None:
    if not account.drains:
        is_hidden = account.channel.open is None and receive.waits is not None
        return _leak(graph, account, receive, None) if is_hidden and not receive.deferred else None
    if receive.deferred or not _is_plain(receive) or not account.is_one_for_one:
        return None
    if not account.joins and receive.waits is None:
        return None  # what is thrown away at the end is missed by nobody in sight
    search = _Search(graph, account)
    for way in sorted(search.ways(receive.function, receive.site.number, frozenset({Edge.NEXT, Edge.TRUE, Edge.FALSE}), 0), key=_rank):
        if search.counts(way):
            return _leak(graph, account, receive, way)
    return None


def _is_plain(receive: Action) -> bool:
    """Whether the call names the operation: not a callable that came from elsewhere, which may be many things."""
    call = receive.call.record.node
    return receive.call.record.by is None and call is not None and _last_word(call.function) == receive.method


def _last_word(function: ir.Expr) -> str | None:
    return function.name if isinstance(function, ir.Attribute) else None


def _rank(way: Way) -> tuple[bool, bool, int]:
    """The plainest first."""
    at = getattr(way.trail.last.stmt, "at", None)
    return *way.trail.kind, at.line if at is not None else 0


@dataclass(frozen=True, slots=True)
class _Search:
    graph: Graph
    account: Account

    def counts(self, way: Way) -> bool:
        """Whether somebody may wait for the item that is forgotten on this way: a sentinel that is sent after the join hurts nobody."""
        if way.end is Exit.RAISE:
            return bool(self.account.joins) and self._is_named(way)
        if way.trail.ending is None or not self.account.joins:
            return True
        return self.account.may_wait_after(sends_of(self.account.channel, way.trail.ending, way.trail.names))

    def _is_named(self, way: Way) -> bool:
        """Whether the exception is one that the program speaks of."""
        raised = way.trail.raised
        if raised is None:
            return False
        return isinstance(raised.stmt, ir.Raise) or bool(self._raised_at(way.function, raised) - {ANY})

    def _raised_at(self, function: FunctionId, node: Node) -> frozenset[str]:
        calls = (e for part in node.parts for e in subexpressions(part) if isinstance(e, ir.Call))
        return frozenset().union(*(self.graph.program.raising.of_call(function, call) for call in calls))

    def ways(self, function: FunctionId, site: int, edges: frozenset[Edge], depth: int) -> Iterator[Way]:
        """How an item that a site of the function takes, directly or through a call, is forgotten."""
        if depth > _FARTHEST:
            return
        names = _names_at(self.graph, function, site)
        for take in self.graph.paths(function).of(site):
            if depth or not self._is_over(function, take):
                for exit_kind, trail in self._ends(function, take, edges, names):
                    yield from self._resolved(function, exit_kind, trail, depth)

    def _resolved(self, function: FunctionId, end: Exit | None, trail: Trail, depth: int) -> Iterator[Way]:
        program = self.graph.program
        if end is None:
            yield Way(None, function, trail)
            return
        raises = end is Exit.RAISE
        carries = not raises and trail.returned is not None and not isinstance(trail.returned, ir.Constant)
        if function in program.entered_by:
            if not carries:
                yield Way(end, function, trail)
            return
        if raises and not self._is_named(Way(end, function, trail)):
            return
        callers = sorted(program.callers.get(function, frozenset()))
        if not callers and not carries and not raises:
            yield Way(end, function, trail)
        for caller in callers:
            for number in self.graph.calls_to(caller, function):
                edges = frozenset({Edge.RAISE}) if raises else frozenset({Edge.NEXT, Edge.TRUE, Edge.FALSE})
                for way in self.ways(caller, number, edges, depth + 1):
                    yield way if carries else replace(way, function=function, trail=trail)

    def _ends(self, function: FunctionId, take: Node, edges: frozenset[Edge], names: frozenset[str]) -> list[tuple[Exit | None, Trail]]:
        """How the ways from the take end that report nothing: at an exit of the function, or (None) at the next take."""
        paths = self.graph.paths(function)
        choices = Choices(self.graph.program.node(function), paths, lambda _: False)
        todo: list[tuple[Node, Facts, Trail | None]] = [(paths.entry, frozenset(), None)]
        seen: set[tuple[int, Facts, tuple[bool, bool] | Literal[False]]] = set()
        found: dict[tuple[Exit | None, int, tuple[bool, bool]], tuple[Exit | None, Trail]] = {}
        while todo:
            node, facts, trail = todo.pop()
            key = (id(node), facts, trail is not None and trail.kind)
            if key in seen:
                continue
            seen.add(key)
            if len(seen) > _MOST:
                return []
            if trail is not None:
                if node.exit_kind is not None:
                    if node.exit_kind in (Exit.RETURN, Exit.RAISE):
                        found.setdefault((node.exit_kind, id(trail.last), trail.kind), (node.exit_kind, trail))
                    continue
                if self.account.takes(function, node):
                    if node is take:
                        found.setdefault((None, id(trail.last), trail.kind), (None, trail))
                    continue
                if self._is_over(function, node):
                    continue
            for edge, target, known in choices.onward(node, facts):
                if trail is None:
                    begun = _further(self.account.channel, Trail(names, node), node, edge)
                    todo.append((target, known, begun if node is take and edge in edges else None))
                    if node is take and edge in edges:
                        todo.append((target, known, None))
                elif edge not in FORCED and self._goes(function, node, edge, target, trail):
                    todo.append((target, known, _further(self.account.channel, trail, node, edge)))
        return list(found.values())

    def _is_over(self, function: FunctionId, node: Node) -> bool:
        if self.account.reports(function, node) or self.account.makes_another(function, node):
            return True
        return any(isinstance(e, ir.Yield) for part in node.parts for e in subexpressions(part))

    def _goes(self, function: FunctionId, node: Node, edge: Edge, target: Node, trail: Trail) -> bool:
        """Whether an exception goes this way: into a handler that is meant for what was raised."""
        if edge is not Edge.RAISE or node.kind != "except" or not isinstance(node.stmt, ir.Try) or trail.raised is None:
            return True
        handlers = [h for h, (_, t) in zip(node.stmt.handlers, node.successors, strict=False) if t is target]
        if not handlers:
            return True
        if any(h.type is None or _BROAD & set(types_of(h.type) or ()) for h in handlers):
            return isinstance(trail.raised.stmt, ir.Raise) or _works_on(trail.raised, trail.names)
        raising, known = self.graph.program.raising, self._raised_at(function, trail.raised) - {ANY}
        return any(raising.catches(function.module, handler, name) for handler in handlers for name in known)


def _works_on(node: Node, names: frozenset[str]) -> bool:
    """Whether a call here is given the item."""
    calls = (e for part in node.parts for e in subexpressions(part) if isinstance(e, ir.Call))
    return any(isinstance(e, ir.Name) and e.id in names for call in calls for e in subexpressions(call))


def _further(channel: Channel, trail: Trail, node: Node, edge: Edge) -> Trail:
    last = node if node.stmt is not None and node.kind not in ("exit", "except", "join") else trail.last
    raised = node if edge in EXCEPTIONAL and node.kind != "except" else trail.raised
    ending = _ending(channel, node, edge, trail.names) or trail.ending
    returned = node.stmt.value if isinstance(node.stmt, ir.Return) else trail.returned
    return Trail(trail.names, last, raised, ending, returned)


def _ending(channel: Channel, node: Node, edge: Edge, names: frozenset[str]) -> ir.Expr | None:
    """The test that takes the item for a sentinel."""
    match node.stmt:
        case ir.Branch(test=test) | ir.While(test=test) if node.kind == "test" and edge in (Edge.TRUE, Edge.FALSE):
            return test if tells_end(channel, test, names) is (edge is Edge.TRUE) else None
        case _:
            return None


# --- names


def _names_at(graph: Graph, function: FunctionId, site: int) -> frozenset[str]:
    """The local names for what a site gives, and for parts of it."""
    found: set[str] = set()
    while True:
        before = len(found)
        for stmt in walk(graph.program.node(function).body):
            match stmt:
                case ir.Bind(targets=targets, value=value) if _speaks_of(value, site, found):
                    found.update(n for t in targets for n in target_names(t))
                case ir.For(target=target, site=number, iterable=iterable) if number == site or _speaks_of(iterable, site, set()):
                    found.update(target_names(target))
                case ir.Evaluate(value=value) | ir.While(test=value) | ir.Branch(test=value):
                    walruses = (e for e in subexpressions(value) if isinstance(e, ir.Walrus))
                    found.update(w.target.id for w in walruses if _speaks_of(w.value, site, set()))
                case _:
                    pass
        if len(found) == before:
            return frozenset(found)


def _speaks_of(value: ir.Expr, site: int, names: set[str]) -> bool:
    """Whether the value is what the site gives, or a part of what the names hold."""
    match value:
        case ir.Name(id=name):
            return name in names
        case ir.Subscript(base=base) | ir.Attribute(base=base):
            return _speaks_of(base, site, names)
        case _:
            return any(isinstance(e, ir.Call | ir.Await) and e.site == site for e in subexpressions(value))


# --- for people


def _leak(graph: Graph, account: Account, receive: Action, way: Way | None) -> Leak:
    program, function, channel = graph.program, receive.function, account.channel
    often = graph.recurrences.of((account.joins[0] if account.joins else receive).function)
    trace: list[Step] = [graph.step(*channel.made, f"`{channel.name}` is made here")]
    if way is None:
        trace.append(graph.step(function, receive.at, "an item is taken here, and nothing in the program calls `task_done`"))
    else:
        trace.append(graph.step(function, receive.at, "an item is taken here"))
        at = getattr((way.trail.raised or way.trail.last).stmt, "at", receive.at)
        trace.append(graph.step(way.function, at, _told(way)))
    for join in account.joins[:1]:
        trace.append(graph.step(join.function, join.at, "this waits for a `task_done` for each item, and does not return any more"))
    if not account.joins:
        trace.append(graph.step(function, receive.at, f"code out of sight may wait in `join` for ever: {channel.open}"))
    facts = {
        "channel": channel.name, "operation": receive.method, "function": graph.qualname(function) or "the module",
        "growth": grows(graph, often, "waiting caller", function) if account.joins else "",
    }  # fmt: skip
    joins = tuple(graph.step(join.function, join.at, "it waits here") for join in account.joins)
    return Leak(
        program.path(function.module), receive.at, graph.qualname(function), facts, Confidence.LIKELY, often.growth, tuple(trace),
        _variant(way), blocked=joins,
    )  # fmt: skip


def _variant(way: Way | None) -> str:
    if way is None:
        return "never"
    if way.trail.raised is not None:
        return "raises"
    return "sentinel" if way.end is Exit.RETURN and way.trail.ending is not None else "default"


def _told(way: Way) -> str:
    if way.trail.raised is not None and not isinstance(way.trail.raised.stmt, ir.Raise):
        return "this may raise, and no `task_done` is called for the item"
    if way.end is None:
        return "the next item is taken, and no `task_done` was called for this one"
    what = "the sentinel" if way.trail.ending is not None else "the item"
    return f"the function is left here, and no `task_done` was called for {what}"
