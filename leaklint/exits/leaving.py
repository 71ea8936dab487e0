"""Why control leaves a loop: which of the ways out are meant, and whether somebody brings them about."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind, Waits
from leaklint.exits.conditions import Condition, conditions, flags_of
from leaklint.exits.flags import Flag, Stop, WakeUps, stops_of
from leaklint.exits.inline import Inline
from leaklint.exits.kinds import ExitKind, WayOut
from leaklint.exits.loops import Departure, Loop, is_polling
from leaklint.exits.sentinels import data_names, endings, is_sentinel, way_to
from leaklint.exits.waking import Waking
from leaklint.finding import Step
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.dump import written
from leaklint.link.syntax import subexpressions, walk
from leaklint.link.values import ClassValue, FunctionId, Instance, Library, Object
from leaklint.paths import Edge, Node, handler_names

_GIVES_UP = frozenset({"TimeoutError", "Empty", "QueueEmpty", "WouldBlock", "timeout", "Full", "QueueFull", "TooSlowError"})
_CANCELS = frozenset({"CancelledError", "Cancelled", "GeneratorExit", "KeyboardInterrupt"})
_ANYTHING = frozenset({"Exception", "BaseException"})
_MEANT = frozenset({Waits.WHILE_EMPTY, Waits.UNTIL_SET, Waits.UNTIL_NOTIFIED, Waits.UNTIL_READY, Waits.UNTIL_FIRST})
"""Waits that only end when something happens; locks, full channels and joins depend on units that go on."""


@dataclass(slots=True)
class Leaving:
    """Answers for one program. `hindrances` gathers the ways that look like an end and are none, each with the reason."""

    graph: Graph
    inline: Inline
    waking: Waking
    hindrances: list[Step] = field(default_factory=list)
    _wake_ups: dict[frozenset[int], WakeUps] = field(default_factory=dict)

    def judge(self, departure: Departure) -> Iterator[WayOut]:
        """The ways out that a departure from a loop amounts to: several when any part of a test is enough, none when it never comes."""
        function, loop, node = departure.function, departure.loop, departure.node
        match node.stmt:
            case ir.Raise() | ir.Return() | ir.Jump() as stmt:
                yield from self._by_statement(departure, stmt)
            case _ if departure.edge is Edge.RAISE:
                yield from self._by_exception(departure)
            case ir.While() as stmt if stmt is loop:
                yield from self._by_test(function, loop, stmt.test, True, stmt.at)
            case ir.For() as stmt if stmt is loop:
                yield from self._by_iteration(function, stmt)
            case _:
                yield self._way(ExitKind.CONDITION, function, getattr(node.stmt, "at", loop.at), "leaves its loop here")

    def is_stuck(self, function: FunctionId, node: Node) -> bool:
        """Whether a node waits for what nobody brings, whatever it waits for there."""
        waits = list(self._waits(function, node))
        for site in {action.site for action in waits}:
            here = [action for action in waits if action.site == site]
            if not any(self.waking.may_come(action) for action in here):
                self._hinder(function, here[0].at, f"nobody in sight ends the wait in `{self._named(here[0])}`")
                return True
        return False

    def closed_under(self, function: FunctionId, loop: Loop) -> Iterator[WayOut]:
        """The closes of what a loop reads from the world outside, where no handler in the loop stands in the way of the error."""
        for node in self._nodes(function, loop):
            for action in self._waits(function, node):
                place = self.graph.program.place(function, action.site.number)
                around = [e.stmt for e in place.around if e.block == "body"] if place is not None else []
                inner = around[around.index(loop) :] if loop in around else around
                if action.waits is Waits.UNTIL_READY and not any(isinstance(stmt, ir.Try) and stmt.handlers for stmt in inner):
                    for obj in sorted(action.subjects):
                        yield from self._closed(action, obj)

    # --- statements and exceptions

    def _by_statement(self, departure: Departure, stmt: ir.Jump | ir.Return | ir.Raise) -> Iterator[WayOut]:
        function, loop = departure.function, departure.loop
        does = "raises" if isinstance(stmt, ir.Raise) else "leaves its loop"
        for outer, part in reversed(way_to(loop.body, stmt) or []):
            match outer, part:
                case ir.Try(), ir.Handler() as handler:
                    yield from self._by_handler(function, handler)
                    return
                case ir.Branch(test=test, body=body), _:
                    held = any(one is stmt for one in walk(body))
                    yield from self._by_test(function, loop, test if held else ir.Operation("not", (test,)), False, stmt.at)
                    return
                case ir.Match(subject=subject), ir.Case() as case:
                    kind = ExitKind.SENTINEL if self._is_received(function, loop, subject) else ExitKind.CONDITION
                    yield self._way(kind, function, case.at, f"{does} when `{written(subject)}` matches")
                    return
                case _:
                    pass
        match stmt:
            case ir.Raise():
                yield self._way(ExitKind.RAISES, function, stmt.at, "raises here")
            case ir.Return():
                yield self._way(ExitKind.RETURNS, function, stmt.at, "returns here, out of its loop")
            case _:
                yield self._way(ExitKind.CONDITION, function, stmt.at, "leaves its loop here")

    def _by_handler(self, function: FunctionId, handler: ir.Handler) -> Iterator[WayOut]:
        names = handler_names(handler)
        if names and set(names) <= _CANCELS:
            return
        said = f"`except {', '.join(names)}`" if names else "a bare `except`"
        if names and set(names) <= _GIVES_UP:
            yield self._way(ExitKind.TIMEOUT, function, handler.at, f"a wait gives up: {said} leaves its loop")
        elif set(names) & (endings(self.graph.program.models) - _GIVES_UP - _CANCELS):
            yield self._way(ExitKind.CLOSED, function, handler.at, f"what it reads is closed: {said} leaves its loop")
        else:
            yield self._way(ExitKind.RAISES, function, handler.at, f"{said} leaves its loop")

    def _by_exception(self, departure: Departure) -> Iterator[WayOut]:
        """An exception of a call leaves the loop: it counts where somebody closes what the call waits for, or a handler speaks of it."""
        function, node = departure.function, departure.node
        for action in self._waits(function, node):
            if action.waits is Waits.UNTIL_READY or action.call.operation.raises:
                for obj in sorted(action.subjects):
                    yield from self._closed(action, obj)
        for handler in departure.handler.handlers if departure.handler is not None else ():
            names = handler_names(handler)
            if names and not set(names) & (_ANYTHING | _CANCELS) and self._may_raise(function, node, names):
                yield from self._by_handler(function, handler)

    def _may_raise(self, function: FunctionId, node: Node, names: Iterable[str]) -> bool:
        raising = self.graph.program.raising
        calls = (e for part in node.parts for e in subexpressions(part) if isinstance(e, ir.Call))
        return any({*names, "?"} & raising.of_call(function, call) for call in calls)

    def _by_iteration(self, function: FunctionId, loop: ir.For) -> Iterator[WayOut]:
        actions = [a for a in self.graph.program.at(function.site(loop.site)) if a.does is Does.RECEIVE]
        if is_polling(loop.iterable):
            yield self._way(ExitKind.SENTINEL, function, loop.at, f"`{written(loop.iterable)}` gives its sentinel")
        elif not any(action.subjects for action in actions) and loop.is_async:
            yield self._way(ExitKind.CLOSED, function, loop.at, f"`{written(loop.iterable)}` has no more elements")
        for action in actions:
            for obj in sorted(action.subjects):
                yield from self._closed(action, obj)

    def _closed(self, action: Action, obj: int) -> Iterator[WayOut]:
        program = self.graph.program
        channel = self.waking.channel(obj)
        closes = list(channel.closes) if channel is not None else [a for a in program.on(obj) if a.does is Does.CLOSE]
        name = program.describe(obj)
        for close in (a for a in closes if a.function in program.live):
            ends = "ends" if action.does is Does.RECEIVE else "raises"
            yield self._way_at(
                ExitKind.CLOSED, close, f"`{self._named(action)}` {ends} when `{name}` is closed in {self._in(close.function)}"
            )
        opened = self.waking.opened(obj)
        if not closes and opened is not None and (channel is None or any(program.kind(o) is not Kind.CHANNEL for o in channel.objects)):
            yield self._way(ExitKind.ESCAPES, action.function, action.at, f"code out of sight may close `{name}`: {opened}")

    # --- tests

    def _by_test(self, function: FunctionId, loop: Loop, test: ir.Expr, going_on: bool, at: ir.Span) -> Iterator[WayOut]:
        """The loop goes on while the test is `going_on`."""
        for condition in conditions(self.graph, function, test, going_on=going_on):
            flags = flags_of(self.graph, condition)
            way = self._by_flag(function, loop, flags[0]) if flags else self._by_value(function, loop, condition, at)
            if way is not None:
                yield way

    def _by_value(self, function: FunctionId, loop: Loop, condition: Condition, at: ir.Span) -> WayOut | None:
        test, stop = condition.test, condition.stop
        leaves = test if stop else _negated(test)
        said = written(leaves)
        for action in self._receives(function, loop):
            received, _ = data_names(loop, action.site.number)
            here = any(isinstance(e, ir.Call | ir.Await) and e.site == action.site.number for e in subexpressions(test))
            if here or any(isinstance(e, ir.Name) and e.id in received for e in subexpressions(test)):
                if _names_a_value(leaves):
                    return self._by_sentinel(function, test, said, action, received, at, here)
                break
        return self._way(ExitKind.CONDITION, function, at, f"leaves its loop when `{said}`")

    def _by_sentinel(
        self, function: FunctionId, test: ir.Expr, said: str, action: Action, received: frozenset[str], at: ir.Span, here: bool
    ) -> WayOut | None:
        channels = [c for o in sorted(action.subjects) if (c := self.waking.channel(o)) is not None]
        if not channels:
            return self._way(ExitKind.CLOSED, function, at, f"leaves its loop when `{said}`, by what it reads")
        for channel in channels:
            if channel.open is not None:
                return self._way(ExitKind.SENTINEL, function, at, f"leaves its loop when `{said}`: code out of sight may send that")
            agreed = (here and isinstance(test, ir.Walrus | ir.Call | ir.Await)) or is_sentinel(channel, test, received)
            if agreed or self._may_be_sent(function, channel, test):
                return self._sent(function, channel, test, said, received, at)
        self._hinder(function, at, f"nobody in sight sends to `{channels[0].name}` what makes `{said}` true")
        return None

    def _may_be_sent(self, function: FunctionId, channel: Channel, test: ir.Expr) -> bool:
        """Whether the objects that are sent, or a value that nobody knows, may make the test true."""
        program = self.graph.program
        sent = frozenset(o for obj in channel.objects for o in program.sent(obj))
        for part in subexpressions(test):
            match part:
                case ir.Call(function=ir.Name(id="isinstance"), arguments=(_, ir.Argument(value=cls))):
                    wanted = program.state.names.resolve(function.module, cls)
                    values = (program.value(o) for o in sent)
                    if any(isinstance(v, Instance) and wanted in program.state.names.lineage(v.cls)[0] for v in values):
                        return True
                case ir.Name() | ir.Attribute():
                    if program.denoted(function, part) & sent:
                        return True
                case _:
                    pass
        return any(self._may_be_anything(send) for send in channel.sends)

    def _may_be_anything(self, send: Action) -> bool:
        """Whether a send is of a value that nobody in sight knows: not a literal, a new object, or a parameter with a declared type."""
        node = self.graph.program.node(send.function)
        match send.call.given.get(send.call.operation.value or ""):
            case ir.Constant() | ir.Template() | ir.Display() | ir.Mapping() | ir.Comprehension():
                return False
            case ir.Name(id=name):
                declared = next((p.annotation for p in node.parameters if p.name == name), None)
                return declared is None or any(_is_none_like(e) for e in subexpressions(declared))
            case ir.Call(site=site):
                called = [self.graph.program.value(o) for o in self.graph.program.called(send.function.site(site))]
                return not called or not all(_makes_one(value) for value in called)
            case value if value is not None:
                return not self.graph.program.denoted(send.function, value)
            case _:
                return True

    def _sent(self, function: FunctionId, channel: Channel, test: ir.Expr, said: str, received: frozenset[str], at: ir.Span) -> WayOut:
        words = {written(e) for e in subexpressions(test) if isinstance(e, ir.Constant | ir.Name | ir.Attribute)} - received
        for send in channel.sends:
            given = send.call.given.get(send.call.operation.value or "")
            if given is not None and words & {written(e) for e in subexpressions(given)}:
                return self._way_at(ExitKind.SENTINEL, send, f"leaves its loop when `{said}`: {self._in(send.function)} sends that")
        return self._way(ExitKind.SENTINEL, function, at, f"leaves its loop when `{said}`, received from `{channel.name}`")

    # --- flags

    def _by_flag(self, function: FunctionId, loop: Loop, flag: Flag) -> WayOut | None:
        program = self.graph.program
        name = f"`{self._name(flag)}`"
        stops = list(stops_of(self.graph, flag))
        own = program.reached([function])
        known = sorted((s for s in stops if s is not None and s.function in program.live), key=lambda s: self._rank(s, own))
        blocked = self._blocked(function, loop)
        for stop in known:
            if all(self._wakes(wait, stop) for wait in blocked):
                message = f"its loop ends: {self._in(stop.function)} sets {name}"
                return self._way(self._kind(ExitKind.FLAG, stop.function), stop.function, self._set_at(stop), message)
        if None in stops:
            return self._way(ExitKind.FLAG, function, loop.at, f"its loop ends by {name}, which gets a value that is not known")
        if known:
            wait = next(w for w in blocked if not self._wakes(w, known[0]))
            place, who = f"{program.path(wait.function.module)}:{wait.at.line}", self._in(known[0].function)
            self._hinder(known[0].function, self._set_at(known[0]), f"{who} sets {name}, and does not wake `{self._named(wait)}` ({place})")
        else:
            self._hinder(function, loop.at, f"nobody in sight sets {name}, which its loop tests")
        reason = next((r for o in sorted(flag.bases) if (r := program.opened(o)) is not None), None)
        if reason is not None and not flag.name.startswith("_"):
            return self._way(ExitKind.ESCAPES, function, loop.at, f"code out of sight may set {name}: {reason}")
        return None

    def _name(self, flag: Flag) -> str:
        """The attribute, or the event by its full name; by the last word where it may be one of several."""
        names = {self.graph.program.describe(o) for o in flag.bases}
        words = {name.rpartition(".")[2] for name in names}
        return flag.name or min(names if len(names) == 1 else words)

    def _rank(self, stop: Stop, own: frozenset[FunctionId]) -> tuple[bool, bool, bool, FunctionId]:
        """Who stops a unit from outside, and does not start it, comes first; a constructor sets the first value, not the last."""
        return (
            self.graph.program.node(stop.function).name == "__init__",
            stop.function in own,
            self.graph.starts_units(stop.function),
            stop.function,
        )

    def _set_at(self, stop: Stop) -> ir.Span:
        program, flag = self.graph.program, stop.flag
        if not flag.name:
            signals = (a for o in sorted(flag.bases) for a in program.on(o) if a.does is Does.SIGNAL)
            return next((a.at for a in signals if a.function == stop.function), program.node(stop.function).at)
        for stmt in walk(program.node(stop.function).body):
            match stmt:
                case ir.Bind(targets=targets, at=at) if any(isinstance(t, ir.Attribute) and t.name == flag.name for t in targets):
                    return at
                case _:
                    pass
        return program.node(stop.function).at

    def _wakes(self, wait: Action, stop: Stop) -> bool:
        if not wait.subjects or any(self.waking.opened(o) is not None for o in wait.subjects):
            return True
        if not stop.flag.name and wait.subjects & stop.flag.bases:
            return True
        channels = (c for o in wait.subjects if (c := self.waking.channel(o)) is not None)
        objects = wait.subjects.union(*(c.objects for c in channels))
        if objects not in self._wake_ups:
            self._wake_ups[objects] = WakeUps(self.graph, objects)
        return self._wake_ups[objects].by(stop.function)

    def _blocked(self, function: FunctionId, loop: Loop) -> list[Action]:
        """The waits of a loop that only end when something happens, with those of what it calls: receives at any distance, other waits only
        of the functions that it calls itself. A pause that somebody else ends and a result that a unit brings are no such waits."""
        program = self.graph.program
        found: list[Action] = []
        functions: set[FunctionId] = set()
        for node in self._nodes(function, loop):
            found += self._waits(function, node)
            functions |= set(self.inline.at(function, node))
        for callee in sorted(program.reached(functions)):
            below = (a for a in program.actions_in(callee) if a.call.record.by is None and not a.deferred and program.blocks(a))
            found += [a for a in below if a.waits is Waits.WHILE_EMPTY or (callee in functions and a.waits is not Waits.UNTIL_SET)]
        return [a for a in dict.fromkeys(found) if a.waits in _MEANT and not a.subjects & program.handles]

    # --- what stands in a loop

    def _nodes(self, function: FunctionId, loop: Loop) -> Iterator[Node]:
        inside = {id(s) for s in walk(loop.body)} | {id(loop)}
        yield from (node for node in self.graph.paths(function).nodes if node.stmt is not None and id(node.stmt) in inside)

    def _waits(self, function: FunctionId, node: Node) -> Iterator[Action]:
        program = self.graph.program
        for number in node.sites():
            for action in program.at(function.site(number)):
                if action.function == function and action.call.record.by is None and not action.deferred and program.blocks(action):
                    yield action

    def _receives(self, function: FunctionId, loop: Loop) -> list[Action]:
        """The operations in a loop that give what came: receives, and reads from the world outside."""
        program = self.graph.program
        found = {
            a
            for node in self._nodes(function, loop)
            for number in node.sites()
            for a in program.at(function.site(number))
            if a.does is Does.RECEIVE or (a.does is Does.WAIT and a.waits is Waits.UNTIL_READY and a.subjects)
        }
        return sorted(found, key=lambda a: (a.at.line, a.at.column, a.name))

    def _is_received(self, function: FunctionId, loop: Loop, subject: ir.Expr) -> bool:
        names = {e.id for e in subexpressions(subject) if isinstance(e, ir.Name)}
        return any(names & data_names(loop, a.site.number)[0] for a in self._receives(function, loop))

    # --- words

    def _kind(self, kind: ExitKind, function: FunctionId) -> ExitKind:
        return ExitKind.FINALIZER if is_finalizer(self.graph, function) else kind

    def _way(self, kind: ExitKind, function: FunctionId, at: ir.Span, message: str) -> WayOut:
        return WayOut(kind, self.graph.step(function, at, message))

    def _way_at(self, kind: ExitKind, action: Action, message: str) -> WayOut:
        return self._way(self._kind(kind, action.function), action.function, action.at, message)

    def _hinder(self, function: FunctionId, at: ir.Span, message: str) -> None:
        self.hindrances.append(self.graph.step(function, at, message))

    def _named(self, action: Action) -> str:
        return named(self.graph, action)

    def _in(self, function: FunctionId) -> str:
        return f"`{self.graph.qualname(function)}`" if function.index else "the module"


def named(graph: Graph, action: Action) -> str:
    """An operation with the name of what it is done to: `Outbox._rows.get`."""
    name = next((graph.program.describe(o) for o in sorted(action.subjects) if graph.program.kind(o) is not None), None)
    return f"{name}.{action.method}" if name is not None and not action.method.startswith("__") else name or action.name


def is_finalizer(graph: Graph, function: FunctionId) -> bool:
    """Whether a function only runs as a finalizer or a hook at the program's exit."""
    if graph.program.node(function).name == "__del__":
        return True
    runners = graph.runners(function)
    return bool(runners) and all(r.kind is UnitKind.HANDLER for r in runners)


def _names_a_value(test: ir.Expr) -> bool:
    """Whether a test holds for few values only, so that somebody must mean it: not for anything other than, or greater than, one."""
    match test:
        case ir.Comparison(operators=operators):
            return set(operators) <= {"is", "==", "in"}
        case ir.Operation(operator="not", operands=(ir.Comparison(),)):
            return False
        case _:
            return True


def _negated(test: ir.Expr) -> ir.Expr:
    match test:
        case ir.Comparison(left=left, operators=(operator,), rights=rights) if operator in _OPPOSITE:
            return ir.Comparison(left, (_OPPOSITE[operator],), rights)
        case _:
            return ir.Operation("not", (test,))


_PAIRS = (("is", "is not"), ("==", "!="), ("in", "not in"), ("<", ">="), (">", "<="))
_OPPOSITE = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}


def _makes_one(called: Object) -> bool:
    """Whether a call of it gives a new object: a class of the project or of the language."""
    return isinstance(called, ClassValue) or (isinstance(called, Library) and isinstance(getattr(builtins, called.name, None), type))


def _is_none_like(annotation: ir.Expr) -> bool:
    match annotation:
        case ir.Constant(kind="none"):
            return True
        case ir.Constant(kind="str", text=text):
            return "None" in text or "Optional" in text or "Any" in text
        case ir.Name(id=word) | ir.Attribute(name=word):
            return word in ("Optional", "Any", "object") or len(word) < 3 or word.startswith("_")
        case _:
            return False
