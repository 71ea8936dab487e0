"""Events and conditions: who waits for one, who signals it, and which shared state a signal speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, Waits
from leaklint.exits.flags import turns
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import subexpressions
from leaklint.link.values import FunctionId
from leaklint.locks.cells import Cells, Shared, cell_of
from leaklint.locks.terms import Terms
from leaklint.paths import Node, is_endless


@dataclass(frozen=True, slots=True)
class Signal:
    """A place that signals. `published`: what the function changes beside, or who calls it; empty when the signal itself is the message."""

    action: Action
    published: Cells


class Signals:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.shared = Shared(graph)
        self._terms = Terms(graph)

    def of(self, objects: frozenset[int], function: FunctionId) -> list[Signal]:
        """The places, elsewhere than in the function that waits, that signal the objects; a constructor does before anybody waits. Where
        each unit waits for an event of its own, a unit that signals its own wakes nobody."""
        program = self.graph.program
        found = dict.fromkeys(a for o in sorted(objects) for a in program.on(o) if a.does is Does.SIGNAL and a.function in program.live)
        if all(self._is_of_its_unit(wait) for wait in self.waits.get(function, ()) if wait.subjects & objects):
            found = dict.fromkeys(a for a in found if not self._is_of_its_unit(a))
        own = self._only_within(function)
        waits = [wait for wait in self.waits.get(function, ()) if wait.subjects & objects]
        others = (
            a for a in found
            if a.function not in own and program.node(a.function).name != "__init__" and not self._is_another(a, waits)
        )  # fmt: skip
        return [Signal(a, self._published(a, objects)) for a in others]

    def _is_another(self, signal: Action, waits: list[Action]) -> bool:
        """Whether what is signalled may be another than what is waited for: a factory makes both, and they are not kept under one name."""
        if not self.graph.program.from_factories >= signal.subjects:
            return False
        name = self._attribute(signal)
        return name is None or all(self._attribute(wait) != name for wait in waits)

    def _attribute(self, action: Action) -> str | None:
        """The attribute in which the object of an operation is found."""
        receiver = _receiver(action)
        term = self._terms.of(action.function, receiver) if receiver is not None else None
        last = term.steps[-1] if term is not None and term.steps else None
        return last if isinstance(last, str) else None

    def _is_of_its_unit(self, action: Action) -> bool:
        """Whether the object of an operation is found by asking which unit this is: `me = self._workers[get_ident()]`, `me.done.set()`,
        in a function that is called for it, perhaps."""
        base = _receiver(action)
        bindings, seen = self._terms.bindings(action.function), set[str]()
        while isinstance(base, ir.Attribute | ir.Name):
            if isinstance(base, ir.Attribute):
                base = base.base
            elif base.id in seen or bindings.times[base.id] != 1:
                break
            else:
                seen.add(base.id)
                base = bindings.values.get(base.id)
        calls = [part for part in subexpressions(base) if isinstance(part, ir.Call)] if base is not None else []
        return any(self._asks_for_unit(action.function, call) for call in calls)

    def _asks_for_unit(self, function: FunctionId, call: ir.Call) -> bool:
        """Whether a call says which unit asks, or is of a function that looks something up by that where it is told nothing else."""
        program, site = self.graph.program, function.site(call.site)
        if any(action.call.operation.current for action in program.at(site)):
            return True
        callees = program.state.callees.get(site, ()) if not call.arguments else ()
        return bool(callees) and all(any(a.call.operation.current for a in program.actions_in(callee)) for callee in callees)

    def _only_within(self, function: FunctionId) -> frozenset[FunctionId]:
        """The function and what runs as a part of it alone."""
        program = self.graph.program
        inside = program.reached([function])
        return frozenset(
            f for f in inside
            if f == function
            or (f not in program.entered_by and f not in program.openness.callable and program.callers.get(f, frozenset()) <= inside)
        )  # fmt: skip

    def _published(self, action: Action, objects: frozenset[int]) -> Cells:
        program = self.graph.program
        own = {program.describe(o).rpartition(".")[2] for o in objects}
        itself = own | {f".{name}" for name in own} | self._places_of(objects)
        given = {p.name for p in program.node(action.function).parameters}
        cells = self.shared.changed_in(action.function) - itself - given
        if not cells:  # a helper that only wakes: what its callers change
            callers = program.callers.get(action.function, frozenset())
            cells = frozenset(c for caller in callers for c in self.shared.changed_in(caller)) - itself
        return cells

    def _places_of(self, objects: frozenset[int]) -> Cells:
        """Where the objects themselves are found: a table of events is not the state that its events speak of."""
        actions = [a for o in objects for a in self.graph.program.on(o)]
        tables = (base for a in actions if isinstance(base := _receiver(a), ir.Subscript))
        names = (name for a in actions if (name := self._attribute(a)) is not None)
        return frozenset((*(cell for table in tables for cell in cell_of(table)), *(f".{name}" for name in names)))

    def repeats(self, action: Action) -> bool:
        """Whether the signal comes again and again by itself: it stands in a loop without an end."""
        return any(
            isinstance(turn.loop, ir.While) and is_endless(turn.loop.test)
            for turn in turns(self.graph, action.function, action.site.number)
        )

    @cached_property
    def waits(self) -> dict[FunctionId, list[Action]]:
        """Function → its waits for events and conditions, and the shared ways to wait for them (`wait_for(event.wait(), 5)`)."""
        program = self.graph.program
        found: dict[FunctionId, list[Action]] = {}
        for action in program.actions:
            if action.does is not Does.WAIT or action.waits not in (Waits.UNTIL_SET, Waits.UNTIL_NOTIFIED):
                continue
            if action.call.record.by is None and action.function in program.live and action.subjects and self._is_signal(action):
                found.setdefault(action.function, []).append(action)
        return found

    def _is_signal(self, action: Action) -> bool:
        return all(self.graph.program.kind(o) in (Kind.EVENT, Kind.CONDITION) for o in action.subjects)

    def acts(self, function: FunctionId, node: Node, does: Does, objects: frozenset[int]) -> Action | None:
        """What the node itself does to one of the objects."""
        for number in node.sites():
            for action in self.graph.program.at(function.site(number)):
                if action.does is does and action.subjects & objects and action.call.record.by is None:
                    return action
        return None


def _receiver(action: Action) -> ir.Expr | None:
    """What stands before the dot of an operation."""
    node = action.call.record.node
    return node.function.base if node is not None and isinstance(node.function, ir.Attribute) else None
