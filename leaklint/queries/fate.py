"""What one function does with a task that it has: keeps it, returns it, or lets it go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.exits.ways import agrees
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.flow.state import CallRecord
from leaklint.link.syntax import parts, subexpressions, walk
from leaklint.link.values import ClassValue, FunctionId
from leaklint.paths import Node
from leaklint.queries.answers import Answers

_RUNNING = frozenset({"run", "run_forever", "run_until_complete", "serve_forever", "run_app", "mainloop"})
"""Methods of libraries without a model by which a plain function gives the thread to an event loop (`reactor.run()`)."""


class Fate(Enum):
    """What a function does with a task that it has."""

    KEPT = auto()  # awaits it, cancels it, stores it, hands it to somebody who may
    GIVEN = auto()  # only returns it
    DROPPED = auto()


@dataclass(frozen=True, slots=True)
class Custody:
    """What one function does with a task, when some of its parameters are known. `answers`: what the task signals and sends to.
    `shielded`: what comes of a task that it waits for behind a shield; when such a wait is cut short, the task goes on without it."""

    graph: Graph
    function: FunctionId
    constants: Mapping[str, ir.Constant]
    answers: Answers
    shielded: Fate = Fate.KEPT

    def of_call(self, record: CallRecord) -> Fate:
        """The fate of what a call in the function gives."""
        place = self.graph.program.place(self.function, record.site.number)
        if place is None:
            return Fate.KEPT
        match place.stmt:
            case ir.Evaluate(value=ir.Comprehension(element=value)) | ir.Evaluate(value=value):
                return Fate.DROPPED if self._gives(value, record) or self._is_forgotten(record) else self._in(value, record)
            case ir.Bind(targets=(ir.Name(id=name),), value=value) if self._gives(value, record):
                nodes = [target for node in self._nodes(record) for _, target in node.successors]
                return self.of_name(name, nodes)
            case ir.Return(value=value) if value is not None and self._gives(value, record):
                return Fate.GIVEN
            case _:
                return Fate.DROPPED if self._is_forgotten(record) else Fate.KEPT

    def _is_forgotten(self, record: CallRecord) -> bool:
        """Whether the task ends up in local containers alone that nobody reads, and the function is left without waiting for anything."""
        program = self.graph.program
        if program.node(self.function).kind == "module" or self.graph.is_main(self.function) or program.effects.of_result(record):
            return False
        reachable = self._reachable([target for node in self._nodes(record) for _, target in node.successors])
        return not any(self._runs_the_loop(one) or one.gives_way() for one in reachable)

    def _nodes(self, record: CallRecord) -> list[Node]:
        return self.graph.paths(self.function).of(record.site.number)

    def _gives(self, value: ir.Expr, record: CallRecord) -> bool:
        """Whether an expression gives the task: the call, awaited if it is that of an async wrapper."""
        match value:
            case ir.Call(site=site):
                return site == record.site.number and not self._is_async(record)
            case ir.Await(value=ir.Call(site=site)):
                return site == record.site.number and self._is_async(record)
            case _:
                return False

    def _is_async(self, record: CallRecord) -> bool:
        program = self.graph.program
        return any(program.node(callee).is_async for callee in program.state.callees.get(record.site, ()))

    def _in(self, expression: ir.Expr, record: CallRecord) -> Fate:
        """The fate of a task that is given in the midst of an expression statement."""
        for outer in subexpressions(expression):
            for inner in parts(outer):
                if self._gives(inner, record):
                    return self._use(inner, outer, expression)
                if isinstance(inner, ir.Attribute) and self._gives(inner.base, record):
                    return self._use(inner.base, inner, outer)
        return Fate.KEPT

    def of_name(self, name: str, starts: list[Node]) -> Fate:
        """The fate of the task that a local holds at these nodes."""
        node = self.graph.program.node(self.function)
        if node.kind == "module" or any(isinstance(s, ir.Scope) and name in s.names for s in walk(node.body)):
            return Fate.KEPT
        if self._read_inside(name) or self.graph.is_main(self.function):
            return Fate.KEPT
        found = {Fate.DROPPED}
        reachable = self._reachable(starts)
        if self._is_told_of_its_end(name, reachable) or any(self._runs_the_loop(one) or self._hears(one) for one in reachable):
            return Fate.KEPT
        for one in reachable:
            bound = one.stmt.targets if isinstance(one.stmt, ir.Bind | ir.Delete) else ()
            targets = {id(target) for target in bound if not isinstance(target, ir.Subscript)}  # `pending[task] = name` keeps it
            for part in one.parts:
                if id(part) not in targets:
                    found |= self._uses(part, name, one.stmt)
        return next(fate for fate in Fate if fate in found)

    def _is_told_of_its_end(self, name: str, nodes: list[Node]) -> bool:
        """Whether the function registers with the task what is to happen at its end and then waits, its local still holding the task."""
        for node in nodes:
            for call in (e for part in node.parts for e in subexpressions(part) if isinstance(e, ir.Call)):
                actions = self.graph.program.at(self.function.site(call.site))
                of_it = isinstance(call.function, ir.Attribute) and call.function.base == ir.Name(name)
                if of_it and any(a.does is Does.REGISTER for a in actions):
                    after = self._reachable([target for _, target in node.successors])
                    return any(one.gives_way() for one in after)
        return False

    def _hears(self, node: Node) -> bool:
        """Whether the function waits here for what the task will tell it, its local holding the task as long."""
        actions = (a for number in node.sites() for a in self.graph.program.at(self.function.site(number)) if not a.deferred)
        return any(a.does in (Does.WAIT, Does.RECEIVE) and a.subjects & self.answers.objects for a in actions)

    def _runs_the_loop(self, node: Node) -> bool:
        """Whether the event loop runs here, under the frame of a plain function whose local holds the task as long."""
        program = self.graph.program
        if program.node(self.function).is_async:
            return False
        for call in (e for part in node.parts for e in subexpressions(part) if isinstance(e, ir.Call)):
            site = self.function.site(call.site)
            for function in (self.function, *program.reached(program.state.callees.get(site, ()))):
                actions = program.at(site) if function == self.function else program.actions_in(function)
                if any(self._runs_a_loop(a) for a in actions):
                    return True
            out_of_sight = not program.state.callees.get(site) and not program.at(site) and not program.is_inert(site)
            if out_of_sight and isinstance(call.function, ir.Attribute) and call.function.name in _RUNNING:
                return True
        return False

    def _runs_a_loop(self, action: Action) -> bool:
        if action.does is Does.RUN and action.call.operation.ends_tasks:
            return True
        return action.does in (Does.RUN, Does.WAIT) and any(self.graph.program.kind(o) is Kind.LOOP for o in action.subjects)

    def _reachable(self, starts: list[Node]) -> list[Node]:
        seen: dict[int, Node] = {}
        todo = list(starts)
        while todo:
            node = todo.pop()
            if id(node) not in seen:
                seen[id(node)] = node
                todo += [target for edge, target in node.successors if agrees(node, edge, self._truth)]
        return list(seen.values())

    def _truth(self, test: ir.Expr) -> bool | None:
        match test:
            case ir.Name(id=name) if name in self.constants:
                constant = self.constants[name]
                return constant.kind != "none" and constant.text not in ("False", "0", "")
            case ir.Comparison(left=ir.Name(id=name), operators=("is" | "is not" as operator,), rights=(ir.Constant(kind="none"),)):
                if name in self.constants:
                    return (self.constants[name].kind == "none") is (operator == "is")
        return None

    def _uses(self, expression: ir.Expr, name: str, stmt: ir.Stmt | None) -> set[Fate]:
        if expression == ir.Name(name):
            neutral = isinstance(stmt, ir.Branch | ir.While | ir.Evaluate | ir.Assert)
            return {Fate.GIVEN if isinstance(stmt, ir.Return) else Fate.DROPPED if neutral else Fate.KEPT}
        found: set[Fate] = set()
        for outer in subexpressions(expression):
            for inner in parts(outer):
                if inner == ir.Name(name) and not isinstance(outer, ir.Attribute):
                    found.add(self._use(inner, outer, expression))
                elif isinstance(inner, ir.Attribute) and inner.base == ir.Name(name):
                    found.add(self._use(inner.base, inner, outer))
        if isinstance(expression, ir.Attribute) and expression.base == ir.Name(name):
            found.add(Fate.KEPT)
        return found

    def _use(self, task: ir.Expr, outer: ir.Expr, around: ir.Expr) -> Fate:
        """The fate of a task that `outer` uses; `around` is the expression around it."""
        match outer:
            case ir.Attribute() if isinstance(around, ir.Call) and around.function is outer:
                return Fate.DROPPED if self._only_looks(around) else Fate.KEPT
            case ir.Comparison() | ir.Template():
                return Fate.DROPPED
            case ir.Operation(operator="not"):
                return Fate.DROPPED
            case ir.Call():
                return self.shielded if self._is_waited_for_behind_shield(outer, around) else self._given(task, outer)
            case _:
                return Fate.KEPT

    def _is_waited_for_behind_shield(self, call: ir.Call, around: ir.Expr) -> bool:
        """Whether a call shields the task that it is given from the end of a wait, and the expression around it waits there and then. A
        wait at the end of the function's work (`finally`, a handler) is not meant to be cut short."""
        program, site = self.graph.program, self.function.site(call.site)
        place = program.place(self.function, call.site)
        if place is None or any(enclosing.block in ("final", "handler") for enclosing in place.around):
            return False
        awaited = any(isinstance(part, ir.Await) and _is_waited_for(call, part.value) for part in subexpressions(around))
        return awaited and any(action.does is Does.SHIELD for action in program.at(site))

    def _only_looks(self, call: ir.Call) -> bool:
        """Whether a method of the task keeps nothing: it looks, or registers what the task itself will hold."""
        actions = self.graph.program.at(self.function.site(call.site))
        return bool(actions) and all(a.does in (Does.OBSERVE, Does.REGISTER) for a in actions)

    def _given(self, task: ir.Expr, call: ir.Call) -> Fate:
        """The fate of a task that is an argument of a call: whatever a callee does with it or holds it for, it is kept."""
        effects = self.graph.program.effects
        records = [record for record in effects.records(self.function.site(call.site)) if record.node is call]
        kept = any(effects.of_argument(record, task) or self._is_held_by(record) for record in records)
        return Fate.DROPPED if records and not kept else Fate.KEPT

    def _is_held_by(self, record: CallRecord) -> bool:
        """Whether the call makes an object of the project, which holds its arguments, and something is done with that."""
        program = self.graph.program
        makes = any(isinstance(program.value(o), ClassValue) for o in program.holds(record.callee))
        return makes and bool(program.effects.of_result(record))

    def _read_inside(self, name: str) -> bool:
        """Whether a function inside this one uses the name."""
        functions = self.graph.program.modules[self.function.module].summary.functions
        for index, function in enumerate(functions):
            if index != self.function.index and _is_inside(functions, index, self.function.index):
                for node in self.graph.paths(self.function.inner(index)).nodes:
                    if any(e == ir.Name(name) for part in node.parts for e in subexpressions(part)):
                        return not any(p.name == name for p in function.parameters)
        return False


def _is_waited_for(call: ir.Call, awaited: ir.Expr) -> bool:
    """Whether an awaited expression is a call, or is given its result (`wait_for(shield(task), 5)`)."""
    return awaited is call or (isinstance(awaited, ir.Call) and any(argument.value is call for argument in awaited.arguments))


def _is_inside(functions: tuple[ir.Function, ...], index: int, outer: int) -> bool:
    parent = functions[index].parent
    while parent:
        if parent == outer:
            return True
        parent = functions[parent].parent
    return False
