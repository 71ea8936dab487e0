"""Entries of a table that the function which puts them in takes out again, but not on every way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.syntax import bound_by, subexpressions, walk
from leaklint.link.values import FunctionId
from leaklint.obligations.entries import Entries, Entry, same
from leaklint.obligations.tables import MAKERS, Act, Table, is_teardown
from leaklint.paths import EXCEPTIONAL, Choices, Edge, Exit, Facts, Node
from leaklint.queries.short_lives import goes_with_its_table, is_never_cancelled
from leaklint.queries.wording import grows

_MOST = 20_000
"""Steps of a search after which a function counts as too tangled to judge."""
_WAITS = frozenset({Does.WAIT, Does.BOUND, Does.JOIN, Does.RECEIVE})


def forgotten(graph: Graph, tables: tuple[Table, ...]) -> Iterator[Leak]:
    """An entry with a way on which nobody takes it out."""
    for table in tables:
        if not table.of(Act.PUT) or not table.of(Act.TAKE, Act.DRAIN) or table.home_is_module:
            continue
        found, told = _Judge(graph, table), set[tuple[int, int]]()
        for entry in found.entries.all():
            leak = found.judge(entry) if entry.function.source not in told else None
            if leak is not None:
                told.add(entry.function.source)
                yield leak


@dataclass(frozen=True, slots=True)
class _Way:
    """A way out on which the entry stays: `edge` and `node` tell why it is taken; `waited`: something was waited for before."""

    exit: Exit
    edge: Edge
    node: Node
    waited: bool


@dataclass(frozen=True, slots=True)
class _Trail:
    """Of a way: its last statement, the last of its steps that raised, and whether it has waited for something."""

    last: Node
    raised: tuple[Edge, Node]
    waited: bool


class _Judge:
    """Whether the entries of one table are taken out again."""

    def __init__(self, graph: Graph, table: Table) -> None:
        self.graph = graph
        self.program = graph.program
        self.entries = Entries(graph, table)

    def judge(self, entry: Entry) -> Leak | None:
        function = entry.function
        paths = self.graph.paths(function)
        start = next((node for node in paths.nodes if node.stmt is entry.stmt and node.kind == "stmt"), None)
        others = any(use.function.source != function.source for use in self.entries.takes)
        is_left = self._is_main_line(function) or self._is_gone_through_again(function) or goes_with_its_table(self.graph, entry)
        if start is None or (entry.is_deep and others) or is_left:
            return None
        calm = not self._is_left_to_others(entry, start) and any(self._returns(node) for node in self._pairs(entry, start, EXCEPTIONAL))
        if not self._pairs(entry, start, frozenset()):
            leak = self._timed_out(entry, start)
        elif others and not calm and not self._is_waited_for(entry):
            return None
        else:
            ways = [way for way in self._ways(entry, start) if self._counts(entry, way, normal=calm, others=others)]
            leak = self._leak(entry, min(ways, key=_rank)) if ways else None
        return None if leak is None or self._is_cleaned_by_callers(function) else leak

    # --- waits that give up

    def _timed_out(self, entry: Entry, start: Node) -> Leak | None:
        """The function waits for what it has put in, but not for ever; and when it gives up nobody takes the entry out: those who do look
        for it by its key, when the answer comes, or it goes when it is done."""
        function = entry.function
        if not entry.objects or any(
            use.act is Act.DRAIN and not is_teardown(self.program.node(use.function)) for use in self.entries.takes
        ):
            return None
        for node in self._until(entry, start, [target for edge, target in start.successors if edge not in EXCEPTIONAL]):
            for site in self.entries.sites(function, node):
                for action in self.program.at(site):
                    if action.does not in _WAITS or not action.bounded or not action.subjects & entry.objects:
                        continue
                    ends = action.does in (Does.BOUND, Does.JOIN)  # it cancels what it waits for
                    if entry.when_done and ends:
                        continue
                    onward = [target for edge, target in node.successors if (edge is Edge.RAISE) == (ends or edge is Edge.RAISE)]
                    after = list(self._until(entry, node, onward))
                    if any(self._ends(entry, one) for one in after):
                        continue  # under a condition that says whether it is done
                    if any(one.exit_kind in (Exit.RETURN, Exit.RAISE) for one in after):
                        return self._leak(entry, _Way(Exit.RAISE, Edge.NEXT, node, True), "timeout")
        return None

    def _until(self, entry: Entry, start: Node, todo: list[Node]) -> Iterator[Node]:
        """The nodes from here on before the entry may be taken out, or what was put in is told to end."""
        seen = {id(start)}
        while todo:
            node = todo.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield node
            if not self.entries.gives(entry.function, node, entry) and not self._ends(entry, node):
                todo += [target for _, target in node.successors]

    def _ends(self, entry: Entry, node: Node) -> bool:
        """Whether what was put in is told to end here: by what is known of the objects, or by the name of the method."""
        here = (a for site in self.entries.sites(entry.function, node) for a in self.program.at(site))
        if any(a.does in (Does.CANCEL, Does.SIGNAL) and a.subjects & entry.objects for a in here):
            return True
        calls = (one for part in node.parts for one in subexpressions(part) if isinstance(one, ir.Call))
        return any(isinstance(one.function, ir.Attribute) and one.function.name in self._cancels for one in calls)

    @cached_property
    def _cancels(self) -> frozenset[str]:
        """The names of the methods by which futures and tasks are cancelled."""
        types = (t for t in self.program.models.types.values() if t.kind in (Kind.FUTURE, Kind.TASK))
        return frozenset(name for t in types for name, one in t.methods.items() if one.does is Does.CANCEL)

    def _is_main_line(self, function: FunctionId) -> bool:
        """Whether only the main line of the program runs it: what leaves it early ends the program."""
        program = self.program
        versions = self.program.versions(function)
        roots = {root for v in versions for root in program.roots(v)}
        mains = all((root.index == 0 or self.graph.is_main(root)) and root not in program.openness.callable for root in roots)
        return bool(roots) and mains and not any(root in program.entered_by for root in roots if not self.graph.is_main(root))

    def _is_gone_through_again(self, function: FunctionId) -> bool:
        """Whether somebody goes through the table and comes back to the function with what is there: an entry that it leaves is to be tried
        once more."""
        above = self._above(function)
        return any(
            not above.isdisjoint(self._called_in(version))
            for use in self.entries.table.of(Act.VISIT)
            if use.function.source != function.source
            for version in self.program.versions(use.function)
        )

    def _above(self, function: FunctionId) -> set[FunctionId]:
        """The function, on whatever object, and those that run it as part of themselves."""
        seen = {function, *self.program.versions(function)}
        todo = list(seen)
        while todo:
            for caller in self.program.callers.get(todo.pop(), frozenset()) - seen:
                seen.add(caller)
                todo.append(caller)
        return seen

    def _called_in(self, function: FunctionId) -> set[FunctionId]:
        return {callee for site in self.program.sites_in(function) for callee in self.program.state.callees.get(site, ())}

    def _is_left_to_others(self, entry: Entry, start: Node) -> bool:
        """Whether the function may return as it should, and leave the entry to somebody else."""
        seen = {id(start)}
        todo = [target for edge, target in start.successors if edge not in EXCEPTIONAL]
        while todo:
            node = todo.pop()
            if node.exit_kind is Exit.RETURN:
                return True
            if id(node) not in seen and not self.entries.gives(entry.function, node, entry):
                seen.add(id(node))
                todo += [target for edge, target in node.successors if edge not in EXCEPTIONAL]
        return False

    def _is_waited_for(self, entry: Entry) -> bool:
        """Whether the function itself waits for what it puts in."""
        waits = (a for v in self.program.versions(entry.function) for a in self.program.actions_in(v) if a.does in _WAITS)
        return any(a.subjects & entry.objects for a in waits)

    def _returns(self, node: Node) -> bool:
        """Whether the function goes on from here to return."""
        return any(one.exit_kind is Exit.RETURN for one in _calmly_after(node))

    def _counts(self, entry: Entry, way: _Way, *, normal: bool, others: bool) -> bool:
        match way.exit:
            case Exit.RETURN:
                return way.waited and normal and not others
            case Exit.RAISE if isinstance(way.node.stmt, ir.Raise):
                return way.waited and (normal or not others)
            case Exit.RAISE:
                return way.waited and not others and self._waits(entry.function, way.node) and not self._waits_for(entry, way.node)
            case Exit.CANCEL if self._is_made_anew(entry) or is_never_cancelled(self.graph, entry):
                return False
            case Exit.CANCEL:
                return normal or not others or self._is_guarded(entry, way.node)
            case _:
                return False

    def _is_made_anew(self, entry: Entry) -> bool:
        """Whether the function is a unit of its own, which nobody cancels but with the run of its owner, and each run begins with a table
        of its own: what makes it for the constructor makes it again."""
        program, function = self.program, entry.function
        if not program.node(function).name.startswith("_") or any(program.callers.get(v) for v in program.versions(function)):
            return False
        renewing = [
            use.function for use in self.entries.takes if use.act is Act.DRAIN and isinstance(use.stmt, ir.Bind) and not use.is_deep
        ]
        above = {caller for f in renewing for caller in self.entries.upwards(f.source)}
        return any(program.modules[module].summary.functions[index].name in MAKERS for module, index in above)

    def _is_guarded(self, entry: Entry, node: Node) -> bool:
        """Whether a handler around a node takes entries out: not for a cancellation, but for something else that goes wrong there."""
        for one in walk(self.program.node(entry.function).body):
            if isinstance(one, ir.Try) and any(stmt is node.stmt for stmt in walk(one.body)):
                blocks = [handler.body for handler in one.handlers]
                if any((entry.function.source, id(stmt)) in self.entries.stmts for block in blocks for stmt in walk(block)):
                    return True
        return False

    def _waits(self, function: FunctionId, node: Node) -> bool:
        """Whether something is waited for at a node."""
        if any(edge is Edge.CANCEL for edge, _ in node.successors):
            return True
        return any(a.waits is not None and not a.deferred for site in self.entries.sites(function, node) for a in self.program.at(site))

    def _waits_for(self, entry: Entry, node: Node) -> bool:
        """Whether what is put in, or a part of it, is waited for at a node: it raises what whoever answers says."""
        inside = [part for name in entry.names for part in subexpressions(name) if isinstance(part, ir.Name)]
        awaited = (one.value for part in node.parts for one in subexpressions(part) if isinstance(one, ir.Await))
        if any(value in inside for value in awaited):
            return True
        here = (a for site in self.entries.sites(entry.function, node) for a in self.program.at(site))
        return any(a.does in _WAITS and a.subjects & entry.objects for a in here)

    def _pairs(self, entry: Entry, start: Node, avoided: frozenset[Edge]) -> list[Node]:
        """The nodes that take out this very entry, before its names stand for something else."""
        found: list[Node] = []
        summary = self.program.modules[entry.function.module].summary
        known_by = (*entry.names, *(() if entry.owner is None else (entry.owner,)))
        words = {n.id for one in known_by for n in subexpressions(one) if isinstance(n, ir.Name)}
        seen: set[int] = set()
        todo = [target for edge, target in start.successors if edge not in avoided]
        while todo:
            node = todo.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if self._is_pair(entry, node):
                found.append(node)
                continue
            binds = node.kind in ("stmt", "step", "enter") and not (isinstance(node.stmt, ir.For) and node.kind == "stmt")
            if node.stmt is not None and binds and words & set(bound_by(node.stmt, summary)):
                continue
            todo += [target for edge, target in node.successors if edge not in avoided]
        return found

    def _is_pair(self, entry: Entry, node: Node) -> bool:
        """Whether a node takes out this very entry, itself or by a function that is given its name."""
        if node.kind not in ("stmt", "test", "enter") or node.stmt is entry.stmt:
            return False
        here = [use for use in self.entries.takes if use.function == entry.function and use.stmt is node.stmt and not use.is_handed]
        if any(use.entry is not None and same(use.entry, name) for use in here for name in entry.names):
            return True
        calls = (one for part in node.parts for one in subexpressions(part) if isinstance(one, ir.Call))
        return any(self._takes_argument(entry, call) for call in calls)

    def _takes_argument(self, entry: Entry, call: ir.Call) -> bool:
        """Whether a call is of a function that takes out the parameter that the entry is given for."""
        for version in self.program.versions(entry.function):
            for callee in self.program.state.callees.get(version.site(call.site), set()):
                parameters = [p.name for p in self.program.node(callee).parameters if p.name not in ("self", "cls")]
                given = [*zip(parameters, (a.value for a in call.arguments if a.keyword is None), strict=False)]
                given += [(a.keyword, a.value) for a in call.arguments if a.keyword is not None]
                named = {name for name, value in given if any(same(value, one) for one in entry.names)}
                keys = [use.entry for use in self.entries.takes if use.function.source == callee.source and use.act is Act.TAKE]
                inside = (one for key in keys if key is not None for one in subexpressions(key))
                if any(isinstance(one, ir.Name) and one.id in named for one in inside):
                    return True
        return False

    def _is_cleaned_by_callers(self, function: FunctionId) -> bool:
        """Whether a caller takes out what it leaves behind."""
        for version in self.program.versions(function):
            for caller in self.program.callers.get(version, frozenset()):
                if any(self._takes_beside(caller, function, node) for node in self.graph.paths(caller).nodes):
                    return True
        return False

    def _takes_beside(self, caller: FunctionId, function: FunctionId, node: Node) -> bool:
        called = {c.source for number in node.sites() for c in self.program.state.callees.get(caller.site(number), ())}
        return function.source not in called and self.entries.gives(FunctionId(*caller.source), node)

    def _ways(self, entry: Entry, start: Node) -> list[_Way]:
        """The ways out from the entry on which nothing is taken out."""
        function = entry.function
        choices = Choices(self.program.node(function), self.graph.paths(function), lambda call: False)
        given = frozenset((name, True) for name in entry.names if isinstance(name, ir.Name | ir.Attribute))
        blocks = _cleaning(self.program.node(function))
        cleaning = frozenset(id(stmt) for block in blocks for stmt in block)
        thought_of = frozenset(
            id(s) for block in blocks if any((function.source, id(s)) in self.entries.stmts for s in block) for s in block
        )
        found: dict[tuple[Exit, int], _Way] = {}
        seen: set[tuple[int, Facts, int, bool]] = set()
        todo: list[tuple[Node, Facts, _Trail | None]] = [(self.graph.paths(function).entry, frozenset(), None)]
        while todo:
            node, facts, trail = todo.pop()
            key = (id(node), facts, id(trail.raised[1]) if trail is not None else 0, trail is not None and trail.waited)
            if key in seen:
                continue
            seen.add(key)
            if len(seen) > _MOST:
                return []
            if trail is None:
                for way, target, known in choices.onward(node, facts):
                    begins = node is start and way not in EXCEPTIONAL
                    todo.append((target, known | given if begins else known, _Trail(node, (way, node), False) if begins else None))
                continue
            if node.exit_kind is not None:
                edge, origin = (Edge.NEXT, trail.last) if node.exit_kind is Exit.RETURN else trail.raised
                found.setdefault((node.exit_kind, id(origin)), _Way(node.exit_kind, edge, origin, trail.waited))
                continue
            if self.entries.gives(function, node, entry) or id(node.stmt) in thought_of:
                continue
            waited = trail.waited or self._waits(function, node)
            last = node if node.stmt is not None and node.kind != "exit" else trail.last
            for way, target, known in choices.onward(node, facts):
                if _tells_gone(entry, node, way):
                    continue
                if way in EXCEPTIONAL and id(node.stmt) in cleaning and not isinstance(node.stmt, ir.Raise):
                    continue
                raised = (way, node) if way in EXCEPTIONAL and node.kind != "except" else trail.raised
                todo.append((target, known, _Trail(last, raised, waited)))
        return list(found.values())

    def _leak(self, entry: Entry, way: _Way, variant: str = "default") -> Leak:
        graph, function, table = self.graph, entry.function, entry.table
        qualname = graph.qualname(function)
        where = getattr(way.node.stmt, "at", entry.at)
        match way.edge:
            case Edge.CANCEL:
                what = "a cancellation may arrive here"
            case Edge.RAISE if not isinstance(way.node.stmt, ir.Raise):
                what = "this may raise"
            case _:
                what = "the function is left here"
        if variant == "timeout":
            what = "the wait may give up here"
        trace = (
            graph.step(function, entry.at, f"an entry is put into `{table.label}` here"),
            graph.step(function, where, f"{what}, and the entry is still there"),
        )
        often = graph.recurrences.of(function)
        facts = {"table": table.label, "function": qualname, "growth": grows(graph, often, "entry", function)}
        return Leak(graph.program.path(function.module), entry.at, qualname, facts, Confidence.LIKELY, often.growth, trace, variant)


def _tells_gone(entry: Entry, node: Node, way: Edge) -> bool:
    """Whether a test of the table says, on this way on, that the entry is not in it: somebody has taken it out."""
    match node.stmt:
        case ir.Branch(test=test) | ir.While(test=test) if node.kind == "test":
            match test:
                case ir.Comparison(
                    left=key, operators=("in" | "not in" as operator,), rights=(ir.Attribute(name=name) | ir.Name(id=name),)
                ):
                    asked = name == entry.table.name and any(same(key, one) for one in entry.names)
                    return asked and way is (Edge.FALSE if operator == "in" else Edge.TRUE)
                case _:
                    return False
        case _:
            return False


def _calmly_after(start: Node) -> Iterator[Node]:
    """The nodes that come after one when nothing is raised."""
    seen: set[int] = set()
    todo = [start]
    while todo:
        node = todo.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            todo += [target for edge, target in node.successors if edge not in EXCEPTIONAL]


def _cleaning(function: ir.Function) -> list[list[ir.Stmt]]:
    """The `finally` blocks and handlers of a function: what goes wrong while something is cleaned up is another story."""
    tries = [stmt for stmt in walk(function.body) if isinstance(stmt, ir.Try)]
    return [list(walk(block)) for one in tries for block in (one.final, *(handler.body for handler in one.handlers))]


def _rank(way: _Way) -> tuple[bool, bool, int]:
    at = getattr(way.node.stmt, "at", None)
    return (way.exit is Exit.CANCEL, not isinstance(way.node.stmt, ir.Return | ir.Raise), at.line if at else 0)
