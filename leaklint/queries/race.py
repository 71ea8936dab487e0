"""One wait for several units and one of them that may still run when it is over: what the names stand for, and what looks after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.exits.ways import agrees, bound_at, evaluated, first_reached, hands_on, holders, is_told, may_hold, names_in
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import walk
from leaklint.link.units import Unit
from leaklint.link.values import Container, FunctionId
from leaklint.paths import Edge, Exit, Node
from leaklint.queries.ending import awaited_attributes

ENDS = frozenset({Does.CANCEL, Does.JOIN, Does.WAIT, Does.BOUND, Does.SHIELD})
"""Operations after which a task is not left alone: it is cancelled, or somebody waits for it."""

_STOPS = frozenset({"cancel", "close", "aclose", "abort", "stop", "shutdown", "disconnect", "terminate", "kill"})
"""Methods after which whoever waits for the object waits no longer."""


@dataclass(frozen=True)
class Race:
    """One wait and one unit that may lose it. `birth` is the place in the waiting function where the unit comes from; `entered` are all
    that were made for the wait."""

    graph: Graph
    action: Action
    unit: Unit
    birth: int
    entered: tuple[tuple[Unit, int], ...]

    @property
    def function(self) -> FunctionId:
        return self.action.function

    def leaves_it(self) -> bool:
        """Whether a way leads from the wait out of the function, or to where the unit's place is taken by a new one, on which it is
        neither cancelled nor awaited."""
        paths = self.graph.paths(self.function)
        waits = paths.of(self.action.site.number)
        if self.birth != self.action.site.number:
            born = [target for node in paths.of(self.birth) for edge, target in node.successors if edge is Edge.NEXT]
            together = any(node in waits for node in paths.of(self.birth))
            arrives = first_reached(born, lambda node: node in waits, self.ends, self._follows)
            if arrives is None and not together:
                return False
        starts = [target for node in waits for edge, target in node.successors if self._follows(node, edge) and edge is not Edge.RAISE]
        past = waits + self._takes_it_for_the_winner(starts)
        return first_reached(starts, self._is_lost, lambda node: node in past or self.ends(node), self._follows) is not None

    def _takes_it_for_the_winner(self, starts: list[Node]) -> list[Node]:
        """The nodes that cancel the only other one, when a test leads there: one of two is done, so it is this one."""
        others = [(unit, birth) for unit, birth in self.entered if birth != self.birth]
        if not self._are_two or len(others) != 1 or self.action.bounded:
            return []
        (other, _), *_ = others
        found = [
            node
            for node in self.graph.paths(self.function).nodes
            for number in node.sites()
            for a in self.graph.program.done_at(self.function, number)
            if a.does is Does.CANCEL and a.subjects & other.handle and not a.subjects & self.unit.handle
        ]
        always = first_reached(starts, lambda node: node.exit_kind is Exit.RETURN, lambda node: node in found, self._follows_any) is None
        return [] if always else found

    def _follows_any(self, node: Node, edge: Edge) -> bool:
        return is_told(self.graph, self.function, node, edge)

    def _is_lost(self, node: Node) -> bool:
        if node.exit_kind is not None:
            return node.exit_kind in (Exit.RETURN, Exit.RAISE)
        sites = set(node.sites())
        if self.birth not in sites or self._is_ended_by_others:
            return False
        return self.action.site.number in sites or bool(bound_at(node.stmt, self.birth))

    @cached_property
    def _is_ended_by_others(self) -> bool:
        """Whether the wait is also for what others own: when that is ready, the loop is perhaps over."""
        owned = frozenset(obj for unit, _ in self.entered for obj in unit.handle)
        for display in self._displays:
            for item in display.items:
                if isinstance(item, ir.Name | ir.Attribute) and not holders(self.graph, self.function, item, owned):
                    return True
        whole = (o for o in self.action.subjects if not isinstance(self.graph.program.value(o), Container))
        return not owned.issuperset(whole)

    @cached_property
    def _displays(self) -> list[ir.Display]:
        """What the wait is given, as far as it is written out: there, or where a name gets it."""
        given = self.action.call.given.get(self.action.call.operation.subject or "")
        bound = [s.value for s in walk(self.graph.program.node(self.function).body) if isinstance(s, ir.Bind) and s.targets == (given,)]
        return [display for display in (given, *bound) if isinstance(display, ir.Display)]

    @cached_property
    def _are_two(self) -> bool:
        """Whether the wait is for two things."""
        return len(self._tasks) == 2 or (bool(self._displays) and all(len(display.items) == 2 for display in self._displays))

    def _follows(self, node: Node, edge: Edge) -> bool:
        if isinstance(node.stmt, ir.For) and node.kind == "step" and node.stmt is self._loop and edge is Edge.FALSE:
            return False  # the loop over all of them came to its end
        return is_told(self.graph, self.function, node, edge) and agrees(node, edge, self.truth)

    # --- what the names stand for

    @cached_property
    def _stmt(self) -> ir.Stmt | None:
        place = self.graph.program.place(self.function, self.action.site.number)
        return place.stmt if place is not None else None

    @cached_property
    def _loop(self) -> ir.For | None:
        """The loop that takes them as they get done."""
        stmt = self._stmt
        each = self.action.call.operation.returns == "subject"
        return stmt if each and isinstance(stmt, ir.For) else None

    @cached_property
    def _own(self) -> frozenset[str]:
        """The names of the unit itself, or of the collection it is made in."""
        places = self.graph.paths(self.function).of(self.birth)
        return frozenset(name for node in places for name in bound_at(node.stmt, self.birth))

    @cached_property
    def _pending(self) -> frozenset[str]:
        match self._stmt:
            case ir.Bind(targets=(ir.Display(items=(_, ir.Name(id=name))),)):
                return frozenset({name})
            case _:
                return frozenset()

    @cached_property
    def _entered(self) -> frozenset[str]:
        """The names of the collections that the wait is given with the unit inside."""
        program = self.graph.program
        given = self.action.call.given.get(self.action.call.operation.subject or "")
        named = {*names_in(given)} if given is not None else set()
        return frozenset(
            name
            for name in named
            if may_hold(self.graph, self.function, name, self.unit.handle)
            and not (program.local_objects(self.function, [name]) & self.unit.handle)
        )

    @cached_property
    def _left(self) -> frozenset[str]:
        """The names of what is taken from those that are not done, when these are not many: one of two, and no timeout."""
        if not self._are_two or self.action.bounded:
            return frozenset()
        return frozenset(
            name
            for stmt in walk(self.graph.program.node(self.function).body)
            for name, source in _taken(stmt)
            if self._pending & set(names_in(source)) and name not in self._pending | self._own
        )

    @cached_property
    def _done(self) -> frozenset[str]:
        """The names of what the wait gives as done, and of what is taken from it."""
        found: set[str] = set()
        match self._stmt:
            case ir.Bind(targets=(ir.Display(items=(ir.Name(id=name), _)),)):
                found.add(name)
            case ir.For(target=ir.Name(id=name)) if self._loop is not None:
                found.add(name)
            case _:
                pass
        for stmt in walk(self.graph.program.node(self.function).body):
            for name, source in _taken(stmt):
                words = set(names_in(source))
                if words & found and not words & (self._own | self._pending):
                    found.add(name)
        return frozenset(found - self._own - self._pending)

    def truth(self, test: ir.Expr) -> bool | None:
        """What a test gives while the unit is still running."""
        match test:
            case ir.Name(id=name) if name in self._pending | self._own | self._entered:
                return True
            case ir.Comparison(left=ir.Name(id=name), operators=("is" | "is not" as operator,), rights=(ir.Constant(kind="none"),)):
                return operator == "is not" if name in self._pending | self._own | self._entered else None
            case ir.Comparison(left=left, operators=("<",), rights=(limit,)) if (left, limit) in self._counted:
                return True
            case ir.Name(id=name) if name in self._done and len(self._tasks) == 1 and self._is_single:
                return False
            case ir.Comparison(left=ir.Name(id=name), operators=("is" | "is not" as operator,), rights=(other,)) if name in self._done:
                if self._denotes_the_other(other):
                    return operator == "is"
            case ir.Comparison(left=ir.Name(id=name), operators=("in" | "not in" as operator,), rights=(ir.Name(id=group),)):
                if group in self._done | self._pending and (name in self._own or self._is_the_other(name)):
                    return (group in self._pending) is ((operator == "in") is (name in self._own))
            case ir.Call(function=ir.Attribute(base=ir.Name(id=name)), site=site) if name in self._left or (
                name in self._own and self._is_single
            ):
                if any(a.does is Does.OBSERVE for a in self.graph.program.at(self.function.site(site))):
                    return False  # `done()`, `cancelled()`: what holds of a task says that it has ended
            case ir.Call(function=ir.Attribute(), site=site) if self._asks_the_other(site):
                return True
            case _:
                pass
        return None

    @cached_property
    def _counted(self) -> frozenset[tuple[ir.Expr, ir.Expr]]:
        """A count and its limit, where a unit is started only while `count + len(running) < limit`: as long as one runs, and is not counted
        yet, the count stays below the limit."""
        place = self.graph.program.place(self.function, self.birth)
        tests = (e.stmt.test for e in (place.around if place else ()) if isinstance(e.stmt, ir.While | ir.Branch) and e.block == "body")
        running = {ir.Name(name) for name in self._pending | self._own | self._entered}
        found = set()
        for part in (part for test in tests for part in _conjuncts(test)):
            match part:
                case ir.Comparison(left=ir.Operation(operator="+", operands=(one, other)), operators=("<",), rights=(limit,)):
                    for count, length in ((one, other), (other, one)):
                        match length:
                            case ir.Call(function=ir.Name(id="len"), arguments=(ir.Argument(value=value),)) if value in running:
                                found.add((count, limit))
                            case _:
                                pass
                case _:
                    pass
        return frozenset(found)

    def _is_the_other(self, name: str) -> bool:
        """Whether a name means the other one of two: if this one is still running, that one is done."""
        if not self._are_two or self.action.bounded or not self._is_single:
            return False
        others = self._tasks - self.unit.handle
        return may_hold(self.graph, self.function, name, others) and not may_hold(self.graph, self.function, name, self.unit.handle)

    def _denotes_the_other(self, expression: ir.Expr) -> bool:
        """Whether an expression means the other one of two."""
        if isinstance(expression, ir.Name):
            return self._is_the_other(expression.id)
        meant = self.graph.program.denoted(self.function, expression) if isinstance(expression, ir.Attribute) else frozenset[int]()
        return self._are_two and not self.action.bounded and self._is_single and bool(meant) and meant <= self._tasks - self.unit.handle

    def _asks_the_other(self, number: int) -> bool:
        """Whether a call looks at the other one of two."""
        if not self._are_two or self.action.bounded or not self._is_single:
            return False
        looks = [a for a in self.graph.program.at(self.function.site(number)) if a.does is Does.OBSERVE]
        return bool(looks) and all(a.subjects and a.subjects <= self._tasks - self.unit.handle for a in looks)

    @cached_property
    def _tasks(self) -> frozenset[int]:
        return frozenset(o for o in self.action.subjects if self.graph.program.kind(o) in (Kind.TASK, Kind.FUTURE))

    @cached_property
    def _is_single(self) -> bool:
        """Whether the unit is one task with a name, not one of a collection."""
        program = self.graph.program
        place = program.place(self.function, self.birth)
        if place is None or place.in_comprehension:
            return False
        variables = [program.state.solver.known(("local", *self.function.source, self.function.context, name)) for name in self._own]
        return any(program.holds(variable) & self.unit.handle for variable in variables)

    # --- what ends it

    def ends(self, node: Node) -> bool:
        """Whether the unit is looked after at a node: cancelled, awaited, its result read, handed to the caller."""
        if isinstance(node.stmt, ir.Return) and node.kind == "stmt" and self._returns(node.stmt):
            return True
        if node.kind == "step" and isinstance(node.stmt, ir.For) and self._is_a_loop_over_them(node.stmt):
            return True
        if node.kind == "exit":
            return any(self._looks_after(number) for number in node.sites())
        if isinstance(node.stmt, ir.Assert) and any(self._tells(number, Does.OBSERVE) for number in node.sites()):
            return True
        return any(self._ends_it(expression) for part in node.parts for expression in evaluated(part, self.truth))

    def _ends_it(self, expression: ir.Expr) -> bool:
        """Whether a call or an await ends the unit, or shows by what it reads that the unit has ended."""
        match expression:
            case ir.Call(function=function, site=number):
                if self._looks_after(number) and (self._about(expression) or self._cancels_inside(number)):
                    return True
                if self._stops_what_it_waits_for(function) or self._tells(number, Does.SIGNAL):
                    return True
                own = isinstance(function, ir.Attribute) and isinstance(function.base, ir.Name) and function.base.id in self._own
                return own and self._is_single and hands_on(self.graph, self.function.site(number))
            case ir.Await(site=number):
                return self._looks_after(number) and self._about(expression)
            case ir.Comprehension(clauses=clauses):
                return any(self._looks_after(clause.site) and self._about(clause.iterable) for clause in clauses)
            case _:
                return False

    def _is_a_loop_over_them(self, loop: ir.For) -> bool:
        """Whether a loop looks after each of what it runs over, the unit among them."""
        if loop is self._loop or not self._about(loop.iterable):
            return False
        return any(self._looks_after(number) for number in self._sites_in(loop.body))

    def _sites_in(self, body: tuple[ir.Stmt, ...]) -> Iterator[int]:
        inner = set(map(id, walk(body)))
        for node in self.graph.paths(self.function).nodes:
            if id(node.stmt) in inner:
                yield from node.sites()

    def _looks_after(self, number: int) -> bool:
        done = self.graph.program.done_at(self.function, number)
        return any(a.does in ENDS and a.subjects & self.unit.handle and a.site != self.action.site for a in done)

    def _tells(self, number: int, does: Does) -> bool:
        """Whether a call sets an event that the unit looks at or waits for; with OBSERVE, sees that it is set."""
        return any(a.does is does and a.subjects & self._heard for a in self.graph.program.done_at(self.function, number))

    @cached_property
    def _heard(self) -> frozenset[int]:
        """The events that the unit looks at or waits for."""
        program = self.graph.program
        actions = (a for one in program.reached(self.unit.entries) for a in program.actions_in(one) if a.does in (Does.OBSERVE, Does.WAIT))
        return frozenset(o for a in actions for o in a.subjects if program.kind(o) is Kind.EVENT)

    def _stops_what_it_waits_for(self, function: ir.Expr) -> bool:
        match function:
            case ir.Attribute(base=ir.Attribute(name=name), name=verb):
                return verb in _STOPS and name in self._awaited
            case _:
                return False

    @cached_property
    def _awaited(self) -> frozenset[str]:
        return awaited_attributes(self.graph, self.unit)

    def _cancels_inside(self, number: int) -> bool:
        """Whether a function that is called cancels units like this one, be it through names that it shares with this function."""
        program = self.graph.program
        callees = program.state.callees.get(self.function.site(number), set())
        inside = [a for function in program.reached(callees) - {self.function} for a in program.actions_in(function)]
        return any(a.does is Does.CANCEL and a.subjects & self.unit.handle for a in inside)

    def _about(self, expression: ir.Expr) -> bool:
        """Whether an expression speaks of the unit, and not only of those that are done."""
        used = holders(self.graph, self.function, expression, self.unit.handle)
        return not used or bool(used - self._done)

    def _returns(self, stmt: ir.Return) -> bool:
        program = self.graph.program
        result = program.state.solver.known(("result", *self.function.source, self.function.context))
        if stmt.value is None or not program.elements(program.holds(result)) & self.unit.handle:
            return False
        return bool(holders(self.graph, self.function, stmt.value, self.unit.handle) - self._done)


def _conjuncts(test: ir.Expr) -> tuple[ir.Expr, ...]:
    """What holds where a test has held: the operands of its `and`s."""
    match test:
        case ir.Operation(operator="and", operands=operands):
            return tuple(one for operand in operands for one in _conjuncts(operand))
        case _:
            return (test,)


def _taken(stmt: ir.Stmt) -> Iterator[tuple[str, ir.Expr]]:
    """A name and the expression that it is taken from, by an assignment or by the turns of a loop."""
    match stmt:
        case ir.Bind(targets=(ir.Name(id=name),), value=source) | ir.For(target=ir.Name(id=name), iterable=source):
            yield name, source
        case _:
            pass
