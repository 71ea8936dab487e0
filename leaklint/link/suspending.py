"""Which coroutines may really wait: an await that never gives way can be neither cancelled nor interrupted by another task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaklint import ir
from leaklint.link.connecting import is_set_on_connecting
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.values import FunctionId

if TYPE_CHECKING:
    from leaklint.link.program import Program


class Suspending:
    """Answers for one program, each function settled once."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._known: dict[FunctionId, bool] = {}

    def at(self, function: FunctionId, awaited: ir.Await) -> bool:
        """Whether an await in the function may wait: it does when anything but coroutines of the program is awaited, unless it is a future
        that has been set by then."""
        if is_set_on_connecting(self.program, function, awaited):
            return False
        callees = self._callees(function, awaited)
        return callees is None or any(self.of(callee) for callee in callees)

    def of(self, function: FunctionId) -> bool:
        """Whether a coroutine may wait before it ends: the least solution over all that it awaits."""
        if function not in self._known:
            self._settle(function)
        return self._known[function]

    def _settle(self, start: FunctionId) -> None:
        waiting: dict[FunctionId, list[FunctionId]] = {}  # coroutine → those that await it
        order = [start]
        found = {start: False}
        for function in order:
            for callees in self._awaits(function):
                if callees is None or any(self._known.get(callee, False) for callee in callees):
                    found[function] = True
                for callee in callees or ():
                    waiting.setdefault(callee, []).append(function)
                    if callee not in found and callee not in self._known:
                        found[callee] = False
                        order.append(callee)
        todo = [function for function, waits in found.items() if waits]
        while todo:
            for caller in waiting.get(todo.pop(), ()):
                if not found[caller]:
                    found[caller] = True
                    todo.append(caller)
        self._known |= found

    def _awaits(self, function: FunctionId) -> list[set[FunctionId] | None]:
        """For each place where a coroutine may give way the coroutines of the program that run there; None: something else."""
        node = self.program.node(function)
        if not node.is_async or node.is_generator:
            return [None]
        found: list[set[FunctionId] | None] = []
        for stmt in walk(node.body):
            if (isinstance(stmt, ir.For) and stmt.is_async) or (isinstance(stmt, ir.With) and stmt.is_async):
                return [None]
            for part in (part for expression in expressions(stmt) for part in subexpressions(expression)):
                match part:
                    case ir.Await():
                        found.append(self._callees(function, part))
                    case ir.Comprehension(clauses=clauses) if any(clause.is_async for clause in clauses):
                        return [None]
                    case _:
                        pass
        return found

    def _callees(self, function: FunctionId, awaited: ir.Await) -> set[FunctionId] | None:
        if not isinstance(awaited.value, ir.Call):
            return None
        site = function.site(awaited.value.site)
        callees = self.program.state.callees.get(site, set())
        if not callees or self.program.at(site) or not all(self.program.node(c).is_async for c in callees):
            return None
        return callees
