"""LK110: a protocol that sets what is waited for while it is connected, and not when the connection is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint.catalog.grammar import Callbacks, Does, Kind
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.values import ClassId, FunctionId
from leaklint.locks.wakers import Wakening
from leaklint.queries.wording import grows

_RESULTS = frozenset({Kind.FUTURE, Kind.EVENT, Kind.CONDITION})
_ENDS = frozenset({Does.SIGNAL, Does.CANCEL, Does.CLOSE})


@dataclass(frozen=True, slots=True)
class _Role:
    """What the library calls a method for: again and again while it is `connected`, or once at the end."""

    cls: ClassId
    connected: bool


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
            last = judge.forgetting(wait, wakers.operations) if wakers.operations and wakers.obj not in told else None
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
        methods = [(names.method(cls, name), True) for name in (*role.first, *role.again)]
        methods += [(names.method(cls, name), False) for name in role.last]
        return {method.source: _Role(cls, connected) for method, connected in methods if method is not None}

    def forgetting(self, wait: Action, operations: tuple[Action, ...]) -> FunctionId | None:
        """The last callback of the protocol, where only its other callbacks end the wait and this one ends nothing."""
        roots = {root for action in operations for root in self.program.roots(action.function)}
        roles = [self.callbacks.get(root.source) for root in roots]
        if any(role is None or not role.connected for role in roles):
            return None
        classes = {role.cls for role in roles if role is not None}
        lasts = [
            f for f in sorted(self.program.live) if (r := self.callbacks.get(f.source)) is not None and not r.connected and r.cls in classes
        ]
        if not lasts or any(self._ends_something(last) for last in lasts):
            return None
        return lasts[0]

    def _ends_something(self, function: FunctionId) -> bool:
        """Whether it signals, cancels or closes anything, or starts or calls what may."""
        program = self.program
        for one in program.reached((function,)):
            for action in program.actions_in(one):
                if action.does in _ENDS or program.entries(action.call):
                    return True
            if any(
                not program.state.callees.get(site) and not program.at(site) and not program.is_inert(site)
                for site in program.sites_in(one)
            ):
                return True
        return False


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
