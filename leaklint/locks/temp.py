from __future__ import annotations

from leaklint.catalog.grammar import Does, Kind
from leaklint.finding import Step
from leaklint.graph import Graph
from leaklint.link.values import FunctionId
from leaklint.paths import FORCED, Node, Exit

_LOCKS = frozenset({Kind.LOCK, Kind.CONDITION, Kind.SEMAPHORE})


class Temp:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._own: dict[FunctionId, dict[int, dict[int, Step]]] = {}

    def lock_of(self, obj: int) -> int:
        program = self.graph.program
        inside = program.holds(program.state.solver.known(("attribute", obj, "()wraps")))
        return min([o for o in inside if program.kind(o) in _LOCKS], default=obj)

    def events(self, function, node, does):
        program = self.graph.program
        for number in node.sites():
            for a in program.at(function.site(number)):
                if a.does is not does or a.deferred or a.call.record.by is not None:
                    continue
                block = a.method.startswith("__")
                if block and (node.kind == "enter") is not (does is Does.ACQUIRE):
                    continue
                if does is Does.ACQUIRE and (a.waits is None or a.bounded):
                    continue
                for o in a.subjects:
                    if program.kind(o) in _LOCKS and len(a.subjects) == 1:
                        if program.kind(o) is Kind.SEMAPHORE:
                            from leaklint.link.capacity import capacity
                            if capacity(program, [o]) != 1:
                                continue
                        yield self.lock_of(o), a

    def takes(self, function, node):
        return {lock: a for lock, a in self.events(function, node, Does.ACQUIRE)}

    def own(self, function):
        if function in self._own:
            return self._own[function]
        paths = self.graph.paths(function)
        state = {id(paths.entry): {}}
        todo = [paths.entry]
        while todo:
            node = todo.pop()
            out = dict(state[id(node)])
            took = self.takes(function, node)
            gave = {l for l, _ in self.events(function, node, Does.RELEASE)}
            for edge, target in node.successors:
                after = dict(out)
                if edge not in FORCED and edge.name != "RAISE":
                    for l, a in took.items():
                        after[l] = self.graph.step(function, a.at, f"`{self.graph.program.describe(l)}` is taken here")
                for l in gave:
                    if l not in took:
                        after.pop(l, None)
                if id(target) not in state:
                    state[id(target)] = after
                    todo.append(target)
                else:
                    new = {l: s for l, s in state[id(target)].items() if l in after}
                    if len(new) != len(state[id(target)]):
                        state[id(target)] = new
                        todo.append(target)
        self._own[function] = state
        return state

    def held(self, function: FunctionId, node: Node, depth: int = 0, seen=frozenset()) -> dict[int, tuple[Step, ...]]:
        found = {l: (s,) for l, s in self.own(function).get(id(node), {}).items()}
        if depth < 6:
            for caller in sorted(self.graph.program.callers.get(function, frozenset()) - seen):
                for number in self.graph.calls_to(caller, function):
                    for call in self.graph.paths(caller).of(number):
                        for l, steps in self.held(caller, call, depth + 1, seen | {function}).items():
                            at = getattr(call.stmt, "at", None)
                            found.setdefault(l, (*steps, self.graph.step(caller, at, f"calls `{self.graph.qualname(function)}` with it")))
        return found
