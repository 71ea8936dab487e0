"""LK110: a protocol that sets what is waited for while it is connected, and not when the connection is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Callbacks, Does, Kind
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.reasons import Why
from leaklint.link.syntax import expressions, subexpressions
from leaklint.link.values import ClassId, FunctionId, Instance, Site
from leaklint.locks.wakers import Wakening
from leaklint.queries.wording import grows

_RESULTS = frozenset({Kind.FUTURE, Kind.EVENT, Kind.CONDITION})
_OF_UNITS = frozenset({Kind.GROUP, Kind.EXECUTOR, Kind.SCOPE, Kind.STACK, Kind.LOOP})
"""What ends units when it is closed or cancelled."""
_UNUSED = frozenset({Why.PUBLIC_ATTRIBUTE, Why.MADE_ELSEWHERE})
"""Why an object may be used by code out of sight that nobody has given it to."""
_SELF = ir.Name("self")
_PLAIN = frozenset({*dir(list), *dir(dict), *dir(set)})
"""Methods of containers: what they are given is kept or left, and not called."""


@dataclass(frozen=True, slots=True)
class _Role:
    """What the library calls a method for: while it is `connected`, the `first` time or again and again, or once at the end."""

    cls: ClassId
    connected: bool
    first: bool


def unset_when_lost(graph: Graph) -> Iterator[Leak]:
    """Somebody waits without a bound for what only callbacks of a live connection signal. After the last callback none of these comes."""
    judge = _Judge(graph)
    told: set[int] = set()
    for wait in graph.program.actions:
        if wait.waits is None or wait.deferred or wait.function not in graph.program.live:
            continue
        if not {graph.program.kind(o) for o in wait.subjects} <= _RESULTS:
            continue
        for wakers in judge.wakening.of(wait) if judge.callbacks else ():
            last = judge.forgetting(wait, wakers.obj, wakers.operations) if wakers.operations and wakers.obj not in told else None
            if last is not None:
                told.add(wakers.obj)
                yield _leak(graph, wait, wakers.obj, wakers.operations[0], last)


class _Judge:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.program = graph.program
        self.wakening = Wakening(graph)
        self.callbacks = self._callbacks()

    def _callbacks(self) -> dict[tuple[int, int], _Role]:
        """The methods that a library calls, by their source."""
        names = self.program.state.names
        found: dict[tuple[int, int], _Role] = {}
        for module, one in enumerate(self.program.modules):
            for index in range(len(one.summary.classes)):
                cls = ClassId(module, index)
                roles = [r for outside in names.lineage(cls)[1] if (r := self.program.models.callbacks.get(outside)) is not None]
                for role in roles:
                    found |= self._methods(cls, role)
        return found

    def _methods(self, cls: ClassId, role: Callbacks) -> dict[tuple[int, int], _Role]:
        names = self.program.state.names
        found = {name: _Role(cls, connected=True, first=name in role.first) for name in (*role.first, *role.again)}
        found |= {name: _Role(cls, connected=False, first=False) for name in role.last}
        return {method.source: one for name, one in found.items() if (method := names.method(cls, name)) is not None}

    def forgetting(self, wait: Action, obj: int, operations: tuple[Action, ...]) -> FunctionId | None:
        """The last callback of the protocol, where only its other callbacks end the wait, not just the first, and this one ends nothing."""
        made = self.program.made_at(obj)
        if made is not None and any(action.function == made[0] for action in operations):
            return None  # it is done when others get it
        roots = {root for action in operations for root in self.program.roots(action.function) if not self._is_only_called(root)}
        roles = [self.callbacks.get(root.source) for root in roots]
        if any(role is None or not role.connected for role in roles) or all(role is not None and role.first for role in roles):
            return None
        classes = {role.cls for role in roles if role is not None}
        lasts = [
            f for f in sorted(self.program.live) if (r := self.callbacks.get(f.source)) is not None and not r.connected and r.cls in classes
        ]
        if not lasts or any(self._may_end(last, wait, operations) for last in lasts):
            return None
        return lasts[0]

    def _is_only_called(self, function: FunctionId) -> bool:
        """Whether the method is of an object that nobody out of sight is given, so that only its callers in sight run it."""
        program = self.program
        escape = program.escape(function.context)
        if not isinstance(program.value(function.context), Instance) or (escape is not None and escape.why not in _UNUSED):
            return False
        return bool(program.callers.get(function)) and function not in program.entered_by

    def _may_end(self, last: FunctionId, wait: Action, operations: tuple[Action, ...]) -> bool:
        """Whether the last callback, or what it calls or starts, may end the wait: it signals what is waited for, ends a unit that may
        wait, or calls what nobody knows and what knows of it."""
        program = self.program
        seen: set[FunctionId] = set()
        todo = {last}
        while todo:
            reached = program.reached(todo) - seen
            seen |= reached
            todo = {e for one in reached for action in program.actions_in(one) for e in program.entries(action.call)} - seen
        if any(a.function in seen for a in operations):
            return True
        return any(
            any(self._ends(action, wait) for action in program.actions_in(one))
            or any(self._calls_back(one, site) for site in program.sites_in(one))
            for one in seen
        )

    def _ends(self, action: Action, wait: Action) -> bool:
        """Whether an operation may end the wait, or a unit that waits there; or says that it is to last until the next connection."""
        program = self.program
        if action.subjects & wait.subjects:
            return action.does in (Does.SIGNAL, Does.CANCEL, Does.CLOSE, Does.CLEAR)
        if action.does is not Does.CANCEL:
            return action.does is Does.CLOSE and any(program.kind(o) in _OF_UNITS for o in action.subjects)
        units = [unit for unit in program.units if unit.handle & action.subjects]
        known = frozenset(o for unit in units for o in unit.handle)
        return not action.subjects <= known or any(wait.function in program.reached(unit.entries) for unit in units)

    def _calls_back(self, function: FunctionId, site: Site) -> bool:
        """Whether a call is of something that nobody knows and that may know those who wait: a callback, or what is given the protocol."""
        program = self.program
        if program.state.callees.get(site) or program.at(site) or program.is_inert(site):
            return False
        place = program.place(function, site.number)
        inside = (one for e in expressions(place.stmt) for one in subexpressions(e)) if place is not None else ()
        match next((one for one in inside if isinstance(one, ir.Call) and one.site == site.number), None):
            case ir.Call(function=ir.Attribute(base=ir.Attribute() | ir.Name() as base, name=name), arguments=arguments) if base != _SELF:
                return name not in _PLAIN and any(self._is_known_by(function, argument.value) for argument in arguments)
            case _:
                return True

    def _is_known_by(self, function: FunctionId, given: ir.Expr) -> bool:
        """Whether who is given this knows the object itself, by a method of it or a function too."""
        names, cls = self.program.state.names, self.program.class_of(function)
        inside = list(subexpressions(given))
        parts = {id(one.base) for one in inside if isinstance(one, ir.Attribute)}
        methods = (one.name for one in inside if isinstance(one, ir.Attribute) and one.base == _SELF)
        if any(isinstance(one, ir.Lambda) or (one == _SELF and id(one) not in parts) for one in inside):
            return True
        return cls is not None and any(names.method(cls, name) is not None for name in methods)


def _leak(graph: Graph, wait: Action, obj: int, sets: Action, last: FunctionId) -> Leak:
    program = graph.program
    name = program.describe(obj)
    often = graph.recurrences.of(wait.function)
    trace = (
        graph.step(wait.function, wait.at, f"this waits for `{name}` without a bound"),
        graph.step(sets.function, sets.at, "only what comes while there is a connection sets it"),
        graph.step(last, program.node(last).at, f"`{graph.qualname(last)}` comes when there is none any more, and does not set it"),
    )
    facts = {
        "object": name,
        "function": graph.qualname(wait.function),
        "unit": graph.qualname(last),
        "growth": grows(graph, often, "waiter", wait.function),
    }
    return Leak(
        program.path(wait.function.module), wait.at, graph.qualname(wait.function), facts, Confidence.LIKELY, often.growth, trace, "lost"
    )
