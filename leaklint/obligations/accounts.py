"""What the `join` of a queue waits for: an account of the items that were taken, each of which must be reported as done."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, Waits
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.reasons import Why
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.values import FunctionId, Site
from leaklint.paths import Node

_OFFERED = frozenset({Why.PUBLIC_ATTRIBUTE, Why.PUBLIC_NAME, Why.RETURNED})


class Account:
    """Who waits for the account of one queue (`joins`), who reports items as done (`drains`)."""

    def __init__(self, graph: Graph, channel: Channel) -> None:
        self.graph = graph
        self.channel = channel
        program = graph.program
        done = dict.fromkeys(a for o in sorted(channel.objects) for a in program.on(o) if a.function in program.live)
        waits = [a for a in done if a.waits is Waits.UNTIL_DRAINED and a.call.subject is not None and self._keeps(a.call.subject)]
        self.joins = tuple(a for a in waits if program.blocks(a) and not a.deferred and not self._is_only_on_offer(a))
        self.drains = tuple(a for a in done if a.does is Does.DRAIN)
        self.is_offered = not waits and any(r is not None and r.why in _OFFERED for r in map(program.escape, channel.objects))
        """Whether nobody in sight waits, but others are given the queue by a public name."""

    def _is_only_on_offer(self, join: Action) -> bool:
        """Whether the join is one of the methods of a class that only passes calls on to the queue, and those who use it in sight, who take
        what is in it, do not call this one."""
        program = self.graph.program
        cls = program.class_of(join.function)
        takers = {receive.function for receive in self.channel.receives}
        if cls is None or program.callers.get(join.function) or join.function in program.entered_by:
            return False
        return all(program.class_of(f) == cls and self._only_passes_on(f) for f in (join.function, *takers))

    def _only_passes_on(self, function: FunctionId) -> bool:
        """Whether all that the function calls are operations of the queue."""
        program = self.graph.program
        return all(any(a.subjects & self.channel.objects for a in program.at(site)) for site in program.sites_in(function))

    def _keeps(self, queue: int) -> bool:
        """Whether queues of this type have an account at all: those between processes may wait for other things."""
        model = self.graph.program.model(queue)
        return model is not None and any(operation.does is Does.DRAIN for operation in model.methods.values())

    @cached_property
    def is_one_for_one(self) -> bool:
        """Whether items are reported one by one by those who take them: not in heaps, and not by somebody to whom they are handed on."""
        takers = {a.function for a in self.channel.receives}
        hands = self.graph.program.reached(takers | {c for t in takers for c in self.graph.program.callers.get(t, ())})
        return all(a.function in hands and not self._is_heap(a) for a in self.drains)

    def _is_heap(self, drain: Action) -> bool:
        """Whether a loop around the report takes nothing in its turns: it reports what was taken before."""
        place = self.graph.program.place(drain.function, drain.site.number)
        if place is None or place.in_comprehension:
            return True
        return bool(place.loops) and not self._takes_in(drain.function, place.loops[-1])

    def _takes_in(self, function: FunctionId, loop: ir.While | ir.For) -> bool:
        stmts = (loop, *walk(loop.body))
        calls = (e for s in stmts for x in expressions(s) for e in subexpressions(x) if isinstance(e, ir.Call | ir.Await))
        numbers = {e.site for e in calls} | {s.site for s in stmts if isinstance(s, ir.For)}
        return any(self._takes_at(function.site(number)) for number in numbers)

    # --- at a node

    def takes(self, function: FunctionId, node: Node) -> bool:
        """Whether an item may be taken here, directly or through a call."""
        return any(self._takes_at(function.site(number)) for number in node.sites())

    def _takes_at(self, site: Site) -> bool:
        return site in self._taking_sites or bool(self.graph.program.state.callees.get(site, set()) & self._takers)

    def reports(self, function: FunctionId, node: Node) -> bool:
        """Whether an item is reported as done here, or given to who may do that: a call, a unit that is started, a callback."""
        program = self.graph.program
        words, lambdas = node.handed()
        if words & self._methods or any(function.inner(one) in self._reporters for one in lambdas):
            return True
        for number in node.sites():
            site = function.site(number)
            if site in self._reporting_sites or program.state.callees.get(site, set()) & self._reporters:
                return True
            if any(set(program.entries(a.call)) & self._reporters for a in program.at(site)):
                return True
        return False

    def makes_another(self, function: FunctionId, node: Node) -> bool:
        """Whether the node comes to the place that makes the queue: from there on it is another one."""
        callees = self.graph.program.state.callees
        made = self.channel.made[1]
        calls = (e for part in node.parts for e in subexpressions(part) if isinstance(e, ir.Call))
        if function == self.channel.made[0] and any(call.at == made for call in calls):
            return True
        return any(callees.get(function.site(number), set()) & self._makers for number in node.sites())

    # --- who leads to what

    @cached_property
    def _methods(self) -> frozenset[str]:
        return frozenset(a.method for a in self.drains)

    @cached_property
    def _taking_sites(self) -> frozenset[Site]:
        return frozenset(a.site for a in self.channel.receives)

    @cached_property
    def _reporting_sites(self) -> frozenset[Site]:
        return frozenset(a.site for a in self.drains)

    @cached_property
    def _takers(self) -> frozenset[FunctionId]:
        return self._upwards(a.function for a in self.channel.receives)

    @cached_property
    def _reporters(self) -> frozenset[FunctionId]:
        return self._upwards(a.function for a in self.drains)

    @cached_property
    def _makers(self) -> frozenset[FunctionId]:
        return self._upwards([self.channel.made[0]] if self.channel.made[0].index else [])

    def _upwards(self, functions: Iterable[FunctionId]) -> frozenset[FunctionId]:
        found = set(functions)
        todo = list(found)
        while todo:
            for caller in self.graph.program.callers.get(todo.pop(), frozenset()) - found:
                found.add(caller)
                todo.append(caller)
        return frozenset(found)

    # --- in which order

    def may_wait_after(self, sends: Iterable[Action]) -> bool:
        """Whether a join may begin, or still go on, after one of the sends."""
        return any(self._may_follow(send, join) for send in sends for join in self.joins)

    def _may_follow(self, send: Action, join: Action) -> bool:
        sending, joining = self._leads(send), self._leads(join)
        both = sending.keys() & joining.keys()
        for function in both:
            starts = [t for n in sending[function] for node in self.graph.paths(function).of(n) for _, t in node.successors]
            goals = {id(node) for n in joining[function] for node in self.graph.paths(function).of(n)}
            if self._reaches(function, starts, goals):
                return True
        if both:
            return False
        program = self.graph.program
        return any(root in program.entered_by for root in program.roots(send.function) - program.roots(join.function))

    def _reaches(self, function: FunctionId, starts: list[Node], goals: set[int]) -> bool:
        seen: set[int] = set()
        todo = list(starts)
        while todo:
            node = todo.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if id(node) in goals:
                return True
            if not self.makes_another(function, node):
                todo += [target for _, target in node.successors]
        return False

    def _leads(self, action: Action) -> dict[FunctionId, set[int]]:
        """The functions that come to the operation, each with the sites at which they do."""
        found = {action.function: {action.site.number}}
        todo = [action.function]
        while todo:
            function = todo.pop()
            for caller in self.graph.program.callers.get(function, frozenset()):
                if caller not in found:
                    todo.append(caller)
                found.setdefault(caller, set()).update(self.graph.calls_to(caller, function))
        return found
