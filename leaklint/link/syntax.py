"""The tree of a body: which names it binds, its statements, its expressions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from leaklint import ir


def bound_names(body: Iterable[ir.Stmt], summary: ir.Summary) -> Iterator[str]:
    """Every name that the statements of one body bind, nested blocks included, nested functions and classes not."""
    for stmt in body:
        yield from bound_by(stmt, summary)
        for block in blocks(stmt):
            if block:
                yield from bound_names(block, summary)
        for expression in expressions(stmt):
            for part in subexpressions(expression):
                if isinstance(part, ir.Walrus):
                    yield part.target.id
                elif isinstance(part, ir.Comprehension):
                    for clause in part.clauses:
                        yield from target_names(clause.target)


def bound_by(stmt: ir.Stmt, summary: ir.Summary) -> Iterator[str]:
    """The names that a statement itself binds: not those of its blocks and expressions."""
    match stmt:
        case ir.Bind(targets=targets):
            for target in targets:
                yield from target_names(target)
        case ir.Declare(target=target) | ir.Augment(target=target) | ir.For(target=target):
            yield from target_names(target)
        case ir.Import(names=names):
            for imported in names:
                if imported.local != "*":
                    yield imported.local
        case ir.DefineFunction(function=index):
            yield summary.functions[index].name
        case ir.DefineClass(cls=index):
            yield summary.classes[index].name
        case ir.With(items=items):
            for item in items:
                if item.target is not None:
                    yield from target_names(item.target)
        case ir.Match(cases=cases):
            for matched in cases:
                yield from matched.binds
        case ir.Try(handlers=handlers):
            for handler in handlers:
                if handler.name:
                    yield handler.name
        case _:
            pass


def outermost(functions: Sequence[ir.Function], index: int) -> int:
    """The function of the module or of a class that a function is, or stands in."""
    while parent := functions[index].parent:
        index = parent
    return index


def scope_names(body: Iterable[ir.Stmt], *kinds: str) -> Iterator[str]:
    """The names that the body declares `global` or `nonlocal`."""
    for stmt in walk(body):
        if isinstance(stmt, ir.Scope) and stmt.kind in kinds:
            yield from stmt.names


def target_names(target: ir.Expr) -> Iterator[str]:
    match target:
        case ir.Name(id=name):
            yield name
        case ir.Display(items=items):
            for item in items:
                yield from target_names(item)
        case ir.Starred(value=value):
            yield from target_names(value)
        case _:
            pass


def blocks(stmt: ir.Stmt) -> tuple[tuple[ir.Stmt, ...], ...]:
    """The nested blocks of a statement, in source order."""
    match stmt:
        case ir.Bind() | ir.Evaluate() | ir.Return():  # most are
            return ()
        case ir.Branch() | ir.While() | ir.For():
            return (stmt.body, stmt.orelse)
        case ir.Try():
            return (stmt.body, *(h.body for h in stmt.handlers), stmt.orelse, stmt.final)
        case ir.With():
            return (stmt.body,)
        case ir.Match():
            return tuple(case.body for case in stmt.cases)
        case _:
            return ()


def expressions(stmt: ir.Stmt) -> Iterator[ir.Expr]:
    """The expressions that a statement itself evaluates, in the order of evaluation; those of nested blocks not."""
    match stmt:
        case ir.Bind(targets=targets, value=value):
            yield value
            yield from targets
        case ir.Augment(target=target, value=value):
            yield target
            yield value
        case ir.Evaluate(value=value):
            yield value
        case ir.Return(value=value):
            if value is not None:
                yield value
        case ir.Raise(exception=exception, cause=cause):
            yield from (e for e in (exception, cause) if e is not None)
        case ir.Assert(test=test, message=message):
            yield test
            if message is not None:
                yield message
        case ir.Delete(targets=targets):
            yield from targets
        case ir.Branch(test=test) | ir.While(test=test):
            yield test
        case ir.For(iterable=iterable, target=target):
            yield iterable
            yield target
        case ir.With(items=items):
            for item in items:
                yield item.context
                if item.target is not None:
                    yield item.target
        case ir.Match(subject=subject, cases=cases):
            yield subject
            for case in cases:
                yield from case.tests
                if case.guard is not None:
                    yield case.guard
        case ir.Try(handlers=handlers):
            for handler in handlers:
                if handler.type is not None:
                    yield handler.type
        case _:
            pass


def parts(expression: ir.Expr) -> tuple[ir.Expr, ...]:
    """The direct subexpressions, in the order of evaluation."""
    match expression:
        case ir.Name() | ir.Constant():  # most are
            return ()
        case ir.Attribute(base=base):
            return (base,)
        case ir.Call(function=function, arguments=arguments):
            return (function, *[a.value for a in arguments])
        case ir.Await(value=value) | ir.Starred(value=value):
            return (value,)
        case ir.Walrus(target=target, value=value):
            return (value, target)
        case ir.Yield(value=value):
            return () if value is None else (value,)
        case ir.Display(items=items) | ir.Template(parts=items):
            return items
        case ir.Mapping(items=pairs):
            return tuple(e for key, value in pairs for e in (key, value) if e is not None)
        case ir.Comprehension(key=key, element=element, clauses=clauses):
            inner: list[ir.Expr] = []
            for clause in clauses:
                inner += (clause.iterable, clause.target, *clause.conditions)
            return (*inner, *((key,) if key is not None else ()), element)
        case ir.Subscript(base=base, index=index):
            return (base, index)
        case ir.Slice(lower=lower, upper=upper, step=step):
            return tuple(e for e in (lower, upper, step) if e is not None)
        case ir.Operation(operands=operands):
            return operands
        case ir.Comparison(left=left, rights=rights):
            return (left, *rights)
        case ir.Choice(test=test, then=then, otherwise=otherwise):
            return (test, then, otherwise)
        case _:
            return ()


def subexpressions(expression: ir.Expr) -> Iterator[ir.Expr]:
    """The expression and all below it, parents first; lambda bodies are functions of their own and left out."""
    todo = [expression]
    while todo:
        one = todo.pop()
        yield one
        if below := parts(one):
            todo.extend(reversed(below))


def walk(body: Iterable[ir.Stmt]) -> Iterator[ir.Stmt]:
    """Every statement of a body, nested blocks included, in source order."""
    for stmt in body:
        yield stmt
        for block in blocks(stmt):
            if block:
                yield from walk(block)


def awaits(stmt: ir.Stmt) -> bool:
    """Whether a statement itself gives control away, in a coroutine; not what stands in its blocks."""
    if isinstance(stmt, ir.For | ir.With) and stmt.is_async:
        return True
    inside = (part for expression in expressions(stmt) for part in subexpressions(expression))
    return any(isinstance(p, ir.Await) or (isinstance(p, ir.Comprehension) and any(c.is_async for c in p.clauses)) for p in inside)


def root_of(expression: ir.Expr) -> str | None:
    """The name that a chain of attributes starts with."""
    while isinstance(expression, ir.Attribute):
        expression = expression.base
    return expression.id if isinstance(expression, ir.Name) else None


def meant(function: ir.Function, expression: ir.Expr, depth: int = 3) -> ir.Expr:
    """The name, or attribute of a name, that a local name is another word for, as nothing else is ever bound to it; else itself."""
    match expression:
        case ir.Name(id=name) if depth and all(p.name != name for p in function.parameters):
            match bindings(function.body, name):
                case [ir.Name() | ir.Attribute(base=ir.Name()) as value]:
                    return meant(function, value, depth - 1)
                case _:
                    return expression
        case _:
            return expression


def bindings(body: tuple[ir.Stmt, ...], name: str) -> list[ir.Expr | None]:
    """What the body binds the name to: an expression, or None where it is not a plain assignment."""
    found: list[ir.Expr | None] = []
    for stmt in walk(body):
        match stmt:
            case ir.Bind(targets=targets, value=value):
                for target in targets:
                    if isinstance(target, ir.Name):
                        found += [value] if target.id == name else []
                    elif isinstance(target, ir.Display) and isinstance(value, ir.Display) and len(target.items) == len(value.items):
                        found += [v for t, v in zip(target.items, value.items, strict=True) if isinstance(t, ir.Name) and t.id == name]
                    elif name in target_names(target):
                        found.append(None)
            case ir.Scope(names=names) if name in names:
                found.append(None)
            case ir.Augment(target=target) | ir.For(target=target) if name in target_names(target):
                found.append(None)
            case ir.With(items=items) if any(i.target is not None and name in target_names(i.target) for i in items):
                found.append(None)
            case _:
                pass
    return found


def in_order(expression: ir.Expr) -> Iterator[ir.Expr]:
    """The expression and all below it, in the order in which they are evaluated."""
    for part in parts(expression):
        yield from in_order(part)
    yield expression


def clauses_around(stmt: ir.Stmt, site: int) -> list[ir.Clause]:
    """The clauses of the comprehensions of a statement for the elements of which a site is evaluated."""
    found: list[ir.Clause] = []
    for part in (p for expression in expressions(stmt) for p in in_order(expression) if isinstance(p, ir.Comprehension)):
        if any(isinstance(e, ir.Call | ir.Await) and e.site == site for e in in_order(part.element)):
            found += part.clauses
    return found
