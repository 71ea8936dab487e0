"""LK110: a waiter that is taken out of its table to be answered, and then is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.exits.ways import agrees
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import subexpressions, target_names, walk
from leaklint.link.values import ContainerMethod, FunctionId
from leaklint.obligations.risks import Risks
from leaklint.paths import EXCEPTIONAL, Choices, Edge, Exit, Facts, Node
from leaklint.queries.wording import grows

_TAKES = frozenset({"pop", "popleft", "popitem"})
_WAITED_FOR = frozenset({Kind.FUTURE, Kind.EVENT})
_ANSWERS = frozenset({Does.SIGNAL, Does.CANCEL})
_MOST = 5_000
"""Steps of a search after which a function counts as too tangled to judge."""


@dataclass(frozen=True, slots=True, eq=False)
class _Take:
    """Where a function takes an entry out of a container. `names`: what the entry, and what is in it, is called from there on."""

    function: FunctionId
    stmt: ir.Stmt
    at: ir.Span
    table: ir.Expr
    name: str
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Way:
    """A way out on which nobody answers: the last step that raised, or the last one."""

    edge: Edge
    node: Node


def taken_out(graph: Graph) -> Iterator[Leak]:
    """A future or event that the function takes out of a container and answers on some ways only: nobody else can find it any more."""
    risks = Risks(graph)
    told: set[tuple[tuple[int, int], int]] = set()
    for function in sorted({action.function for action in graph.program.actions if action.does in _ANSWERS} & graph.program.live):
        for take in _takes(graph, function):
            judge = _Judge(graph, risks, take)
            way = judge.way() if (function.source, id(take.stmt)) not in told and judge.is_waited_for() else None
            if way is not None:
                told.add((function.source, id(take.stmt)))
                yield _leak(graph, take, judge, way)


def _takes(graph: Graph, function: FunctionId) -> Iterator[_Take]:
    body = graph.program.node(function).body
    bound: dict[ir.Expr, str] = {}
    for stmt in walk(body):
        match stmt:
            case ir.Bind(targets=(ir.Name(id=name),), value=ir.Call(function=ir.Attribute(base=table, name=method), site=site), at=at) if (
                method in _TAKES and _is_container(graph, function, site)
            ):
                yield _Take(function, stmt, at, table, name, _aliases(body, name))
            case ir.Bind(targets=(ir.Name(id=name),), value=ir.Subscript() as element):
                bound[element] = name
            case ir.Delete(targets=(ir.Subscript(base=table) as element,), at=at) if element in bound:
                yield _Take(function, stmt, at, table, bound[element], _aliases(body, bound[element]))
            case _:
                pass


def _is_container(graph: Graph, function: FunctionId, number: int) -> bool:
    return any(isinstance(graph.program.value(o), ContainerMethod) for o in graph.program.called(function.site(number)))


def _aliases(body: tuple[ir.Stmt, ...], name: str) -> frozenset[str]:
    """The name and those that parts of what it means are bound to: `future` of `future = entry.future`."""
    found = {name}
    for stmt in walk(body):
        match stmt:
            case ir.Bind(targets=targets, value=value) if _root(value) in found:
                found |= {one for target in targets for one in target_names(target)}
            case _:
                pass
    return frozenset(found)


def _root(expression: ir.Expr) -> str | None:
    """The variable that an attribute or element is of."""
    match expression:
        case ir.Name(id=name):
            return name
        case ir.Attribute(base=base) | ir.Subscript(base=base):
            return _root(base)
        case _:
            return None


class _Judge:
    """Whether a function answers one entry on every way out."""

    def __init__(self, graph: Graph, risks: Risks, take: _Take) -> None:
        self.graph = graph
        self.program = graph.program
        self.risks = risks
        self.take = take
        self.function = take.function
        self.answers = [a for a in self.program.actions_in(self.function) if a.does in _ANSWERS and self._is_of_entry(a)]
        self.objects = frozenset(o for a in self.answers for o in a.subjects if self.program.kind(o) in _WAITED_FOR)
        self._told = self._told_to_it()

    def _is_of_entry(self, action: Action) -> bool:
        node = action.call.record.node
        receiver = node.function.base if node is not None and isinstance(node.function, ir.Attribute) else None
        return receiver is not None and _root(receiver) in self.take.names

    def is_waited_for(self) -> bool:
        """Whether somebody may wait for it without a bound, and it is not the handle of a unit, which ends by itself."""
        if not any(a.does is Does.SIGNAL for a in self.answers) or not self.objects or self.objects & self.program.handles:
            return False
        bounded = (Does.BOUND, Does.WAIT)
        return not any(a.does in bounded and not self.program.blocks(a) for o in self.objects for a in self.program.on(o) if not a.deferred)

    def _told_to_it(self) -> frozenset[str]:
        """The variables that hold what it is answered with."""
        calls = (a.call.record.node for a in self.answers)
        given = (argument.value for call in calls if call is not None for argument in call.arguments)
        return frozenset(part.id for value in given for part in subexpressions(value) if isinstance(part, ir.Name))

    # --- the ways on

    def way(self) -> _Way | None:
        """A way from the take out of the function on which nobody answers and nobody else gets the entry."""
        paths = self.graph.paths(self.function)
        choices = Choices(self.program.node(self.function), paths, lambda call: False)
        given = frozenset({(ir.Name(self.take.name), True)})
        todo: list[tuple[Node, Facts, _Way | None]] = [(paths.entry, frozenset(), None)]
        seen: set[tuple[int, Facts, int]] = set()
        while todo:
            node, facts, way = todo.pop()
            key = (id(node), facts, id(way.node) if way is not None and way.edge in EXCEPTIONAL else int(way is not None))
            if key in seen:
                continue
            seen.add(key)
            if len(seen) > _MOST:
                return None
            if way is not None and node.exit_kind is not None:
                if node.exit_kind is Exit.RAISE and way.edge is Edge.RAISE:
                    return way
                continue
            if way is not None and self._settles(node):
                continue
            for edge, target, known in choices.onward(node, facts):
                if way is None:
                    begins = node.stmt is self.take.stmt and edge not in EXCEPTIONAL
                    todo.append((target, known | given if begins else known, _Way(Edge.NEXT, node) if begins else None))
                elif not agrees(node, edge, self._is_unanswered):
                    continue
                elif edge is Edge.RAISE and node.kind != "except":
                    if self._tells(node):
                        todo.append((target, known, _Way(edge, node)))
                elif edge not in EXCEPTIONAL or (node.kind == "except" and _is_likely(node, target)):
                    todo.append((target, known, way))
        return None

    def _settles(self, node: Node) -> bool:
        """Whether it is answered at a node, or goes somewhere else."""
        if node.stmt is self.take.stmt or node.kind in ("except", "join", "end", "exit"):
            return False
        sites = {a.site.number for a in self.answers}
        if sites & set(node.sites()):
            return not self._works_out_the_answer(node)
        if isinstance(node.stmt, ir.Bind) and _root(node.stmt.value) in self.take.names:
            return not all(isinstance(target, ir.Name | ir.Display) for target in node.stmt.targets)
        return any(self._hands_on(part) for part in node.parts)

    def _works_out_the_answer(self, node: Node) -> bool:
        """Whether the answer is worked out in the very call that gives it, so that it is not given when that raises."""
        return self._tells(node) and any(edge is Edge.RAISE for edge, _ in node.successors)

    def _hands_on(self, part: ir.Expr) -> bool:
        """Whether an expression does more with the entry than read an attribute of it."""
        for one in subexpressions(part):
            match one:
                case ir.Call(function=function, arguments=arguments, site=site):
                    if isinstance(function, ir.Attribute) and self._is_the_waiter(function.base) and not self._asks(site):
                        return True
                    if any(self._is_the_entry(a.value) for a in arguments) and not self._keeps_nothing(site):
                        return True
                case ir.Display(items=items) if any(self._is_the_entry(item) for item in items):
                    return True
                case ir.Mapping(items=pairs) if any(self._is_the_entry(value) for _, value in pairs):
                    return True
                case ir.Yield(value=value) | ir.Await(value=value) if value is not None and self._is_the_entry(value):
                    return True
                case _:
                    pass
        return self._is_the_entry(part)

    def _keeps_nothing(self, number: int) -> bool:
        site = self.function.site(number)
        return self.program.is_inert(site) and not _is_container(self.graph, self.function, number)

    def _asks(self, number: int) -> bool:
        """Whether a call only asks the waiter how it is."""
        actions = self.program.at(self.function.site(number))
        return bool(actions) and all(a.does is Does.OBSERVE for a in actions)

    def _is_unanswered(self, test: ir.Expr) -> bool | None:
        """What a test says of an entry that is there, and of a waiter that nobody has answered yet."""
        there = ir.Name(self.take.name)
        match test:
            case ir.Comparison(left=left, operators=("is" | "is not" as operator,), rights=(ir.Constant(kind="none"),)) if left == there:
                return operator == "is not"
            case ir.Name() if test == there:
                return True
            case ir.Call(function=ir.Attribute(base=base), site=site) if self._is_the_waiter(base) and self._asks(site):
                return False
            case _:
                return None

    def _is_the_entry(self, value: ir.Expr) -> bool:
        """Whether an expression is the entry, or the waiter in it."""
        if isinstance(value, ir.Starred):
            return self._is_the_entry(value.value)
        if isinstance(value, ir.Name):
            return value.id in self.take.names
        return self._is_the_waiter(value)

    def _is_the_waiter(self, value: ir.Expr) -> bool:
        if _root(value) not in self.take.names:
            return False
        return bool(self.program.denoted(self.function, value) & self.objects) or isinstance(value, ir.Subscript)

    def _tells(self, node: Node) -> bool:
        """Whether an exception of the node is to be expected: as everywhere, and where the answer is worked out by code out of sight."""
        if self.risks.tells(self.function, node, frozenset(), works=False, own_only=False):
            return True
        calls = [one for part in node.parts for one in subexpressions(part) if isinstance(one, ir.Call)]
        match node.stmt:
            case ir.Bind(targets=targets) if not self._told & {name for target in targets for name in target_names(target)}:
                return False
            case ir.Bind() | ir.Evaluate():
                answers = {a.site.number for a in self.answers}
                of_answer = isinstance(node.stmt, ir.Bind) or bool(answers & {call.site for call in calls})
                return of_answer and any(call.site not in answers and self._is_out_of_sight(call) for call in calls)
            case _:
                return False

    def _is_out_of_sight(self, call: ir.Call) -> bool:
        """Whether a call works on what it is given and may raise, and is not one of functions of the program, of which it is known."""
        if self.program.state.callees.get(self.function.site(call.site)) or _reads_a_field(call) or _makes_a_value(call):
            return False
        is_given = any(not isinstance(argument.value, ir.Constant) for argument in call.arguments)
        return is_given and bool(self.program.raising.of_call(self.function, call))


def _reads_a_field(call: ir.Call) -> bool:
    """Whether it is `message.get("error")`."""
    match call:
        case ir.Call(function=ir.Attribute(name="get"), arguments=(ir.Argument(value=ir.Constant(kind="str")), *_)):
            return True
        case _:
            return False


def _makes_a_value(call: ir.Call) -> bool:
    """Whether it makes an instance, by the way that classes are written."""
    match call.function:
        case ir.Name(id=name) | ir.Attribute(name=name):
            return name[:1].isupper()
        case _:
            return False


def _is_likely(dispatch: Node, target: Node) -> bool:
    """Whether an exception goes on there from an `except`: a handler that may catch it is taken to do so."""
    assert isinstance(dispatch.stmt, ir.Try)
    bodies = {id(stmt) for handler in dispatch.stmt.handlers for stmt in walk(handler.body)}
    handled = [one for _, one in dispatch.successors if id(one.stmt) in bodies]
    return not handled or id(target.stmt) in bodies


def _leak(graph: Graph, take: _Take, judge: _Judge, way: _Way) -> Leak:
    program, function = graph.program, take.function
    qualname = graph.qualname(function)
    name = min(program.describe(o) for o in judge.objects)
    often = graph.recurrences.of(function)
    answer = min((a for a in judge.answers if a.does is Does.SIGNAL), key=lambda a: (a.at.line, a.at.column))
    trace = (
        graph.step(function, take.at, f"`{take.name}` is taken out here: nobody else can find it any more"),
        graph.step(function, getattr(way.node.stmt, "at", take.at), "this may raise, and nobody is told"),
        graph.step(answer.function, answer.at, "then this is not done, and whoever waits for it waits for ever"),
    )
    facts = {"object": take.name, "function": qualname, "unit": name, "growth": grows(graph, often, "waiter", function)}
    return Leak(program.path(function.module), take.at, qualname, facts, Confidence.LIKELY, often.growth, trace, "taken")
