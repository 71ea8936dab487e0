"""LK109: an attribute or a global that is declared as a channel and used as one, and to which nothing ever assigns a channel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Kind
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.syntax import expressions, scope_names, subexpressions, walk
from leaklint.link.values import ClassId, FunctionId
from leaklint.queries.wording import grows

_ENDS = frozenset({Kind.CHANNEL, Kind.SENDER, Kind.RECEIVER})


@dataclass(frozen=True, slots=True)
class Declaration:
    """`word` is declared in the body of `cls`, in one of its methods, or (None) at the top of the module; `at`: where; `methods`: those of
    the channel type that it is declared as."""

    module: int
    cls: ClassId | None
    word: str
    function: FunctionId
    at: ir.Span
    methods: frozenset[str]


def never_made(graph: Graph) -> Iterator[Leak]:
    """One finding for each declaration that is used without a look whether there is anything."""
    declarations = list(_declarations(graph))
    if not declarations:
        return
    assigned = _Assigned(graph)
    for declaration in declarations:
        use = next(_uses(graph, declaration), None) if not assigned.may_be_made(declaration) else None
        if use is not None:
            yield _leak(graph, declaration, *use)


# --- what is declared


def _declarations(graph: Graph) -> Iterator[Declaration]:
    program = graph.program
    for module, node in enumerate(program.modules):
        summary = node.summary
        if summary.is_outline:
            continue
        top = FunctionId(module, 0)
        yield from _declared(graph, module, None, top, summary.functions[0].body, is_global=True)
        for index, cls in enumerate(summary.classes):
            own = ClassId(module, index)
            if not _is_plain(graph, own):
                continue
            yield from _declared(graph, module, own, top, cls.body, is_global=True)
            for number, function in enumerate(summary.functions):
                if function.owner == index:
                    yield from _declared(graph, module, own, FunctionId(module, number), function.body, is_global=False)


def _is_plain(graph: Graph, cls: ClassId) -> bool:
    """Whether only code assigns the attributes of its instances: no decorator, metaclass or base out of sight does."""
    names = graph.program.state.names
    line, outside = names.lineage(cls)
    return not any(names.cls(one).decorators or names.cls(one).keywords for one in line) and all(
        base in ("object", "abc.ABC", "typing.Generic", "Generic") or base in graph.program.models.types for base in outside
    )


def _declared(
    graph: Graph, module: int, cls: ClassId | None, function: FunctionId, body: tuple[ir.Stmt, ...], *, is_global: bool
) -> Iterator[Declaration]:
    for stmt in walk(body):
        match stmt:
            case ir.Declare(target=target, annotation=annotation, at=at):
                pass
            case ir.Bind(targets=(target,), value=ir.Constant(kind="none"), annotation=annotation, at=at) if annotation is not None:
                pass
            case _:
                continue
        match target:
            case ir.Name(id=word) if is_global:
                pass
            case ir.Attribute(base=ir.Name(id="self"), name=word) if not is_global:
                pass
            case _:
                continue
        types = [graph.program.models.types.get(name) for name in graph.program.state.names.declared_types(module, annotation)]
        known = [model for model in types if model is not None and model.kind in _ENDS]
        if known:
            yield Declaration(module, cls, word, function, at, frozenset(m for model in known for m in model.methods))


# --- what is assigned


class _Assigned:
    """The words to which the program assigns something: attributes of any object by their name, globals by theirs."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        program = graph.program
        self.attributes: set[str] = set()
        self.globals: set[tuple[int, str]] = set()
        self.strings: set[str] = set()
        for module, node in enumerate(program.modules):
            live = {f.index for f in program.live if f.module == module} | {0}
            for number, function in enumerate(node.summary.functions):
                if number in live or node.summary.is_outline:
                    self._body(module, number == 0, function.body)
            for cls in node.summary.classes:
                self.attributes.update(w for s in cls.body for t in _targets(s) if (w := _name(t)) is not None)

    def _body(self, module: int, is_top: bool, body: tuple[ir.Stmt, ...]) -> None:
        shared = set(scope_names(body, "global"))
        for stmt in walk(body):
            for target in _targets(stmt):
                match target:
                    case ir.Attribute(name=word):
                        self.attributes.add(word)
                    case ir.Name(id=word) if is_top or word in shared:
                        self.globals.add((module, word))
                    case _:
                        pass
            for expression in expressions(stmt):
                for part in subexpressions(expression):
                    match part:
                        case ir.Call(arguments=arguments):
                            self.attributes.update(a.keyword for a in arguments if a.keyword is not None)
                        case ir.Constant(kind="str", text=text):
                            self.strings.add(text)
                        case _:
                            pass

    def may_be_made(self, declaration: Declaration) -> bool:
        """Whether anything may give it a value: here, by its name as a string, or in code out of sight that knows the name."""
        program, word = self.graph.program, declaration.word
        if word in self.attributes or word in self.strings or (declaration.module, word) in self.globals:
            return True
        return not word.startswith("_") and declaration.module not in program.openness.closed_modules


def _targets(stmt: ir.Stmt) -> Iterator[ir.Expr]:
    """What a statement gives a value other than None."""
    match stmt:
        case ir.Bind(value=ir.Constant(kind="none")):
            return
        case ir.Bind(targets=targets):
            found: Iterable[ir.Expr] = targets
        case ir.For(target=target) | ir.Augment(target=target):
            found = (target,)
        case ir.With(items=items):
            found = (i.target for i in items if i.target is not None)
        case _:
            return
    for target in found:
        yield from _flat(target)


def _flat(target: ir.Expr) -> Iterator[ir.Expr]:
    match target:
        case ir.Display(items=items):
            for item in items:
                yield from _flat(item)
        case ir.Starred(value=value):
            yield from _flat(value)
        case _:
            yield target


def _name(target: ir.Expr) -> str | None:
    return target.id if isinstance(target, ir.Name) else None


# --- what is used


def _uses(graph: Graph, declaration: Declaration) -> Iterator[tuple[FunctionId, ir.Call]]:
    """The calls of its methods in functions that nowhere ask whether it is there."""
    program = graph.program
    for function in sorted(f for f in program.live if f.module == declaration.module):
        node = program.node(function)
        if declaration.cls is not None and program.class_of(function) != declaration.cls:
            continue
        if declaration.cls is None and any(p.name == declaration.word for p in node.parameters):
            continue
        calls, is_asked = [], False
        for stmt in walk(node.body):
            if declaration.cls is None and any(_name(t) == declaration.word for t in _targets(stmt)):
                is_asked = True
            if isinstance(stmt, ir.Branch | ir.While | ir.Assert):
                is_asked = is_asked or any(_is(e, declaration) for e in subexpressions(stmt.test))
            for expression in expressions(stmt):
                for part in subexpressions(expression):
                    match part:
                        case ir.Call(function=ir.Attribute(base=base, name=method)) if method in declaration.methods:
                            calls += [part] if _is(base, declaration) else []
                        case ir.Choice(test=test):
                            is_asked = is_asked or any(_is(e, declaration) for e in subexpressions(test))
                        case _:
                            pass
        if not is_asked:
            for call in calls:
                yield function, call


def _is(expression: ir.Expr, declaration: Declaration) -> bool:
    match expression:
        case ir.Attribute(base=ir.Name(id="self" | "cls"), name=word):
            return declaration.cls is not None and word == declaration.word
        case ir.Name(id=word):
            return declaration.cls is None and word == declaration.word
        case _:
            return False


def _leak(graph: Graph, declaration: Declaration, function: FunctionId, call: ir.Call) -> Leak:
    often = graph.recurrences.of(function)
    name = declaration.word
    if declaration.cls is not None:
        name = f"{graph.program.state.names.cls(declaration.cls).name}.{name}"
    trace = (
        graph.step(declaration.function, declaration.at, f"`{name}` is declared here, and nothing in the program assigns a channel to it"),
        graph.step(function, call.at, f"`{name}` is used here all the same"),
    )
    return Leak(
        graph.program.path(function.module), call.at, graph.qualname(function),
        {"channel": name, "unit": graph.qualname(function) or "the module", "function": graph.qualname(function) or "the module",
         "growth": grows(graph, often, "failed call", function)},
        Confidence.LIKELY, often.growth, trace, "default",
    )  # fmt: skip
