"""A summary as text, one line a fact, for `leaklint dump`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

from leaklint import ir

_INDENT = "  "
_CLOSED = (
    ir.Name, ir.Call, ir.Constant, ir.Attribute, ir.Subscript, ir.Display, ir.Mapping, ir.Comprehension, ir.Walrus, ir.Template
)  # fmt: skip


def dump(summary: ir.Summary) -> Iterator[str]:
    """Lines without line ends. A definition stands where it runs, indented under what holds it; `@7` is the line in the source."""
    if summary.problem is not None:
        yield f"problem {summary.problem.line}:{summary.problem.column}: {summary.problem.message}"
    for suppression in summary.suppressions:
        yield _suppression(suppression)
    if summary.is_outline:
        yield "outline"
    if summary.starts_program:
        yield "starts-program"
    if summary.functions:
        yield from _Dump(summary).block(summary.functions[0].body, 0)


def _suppression(suppression: ir.Suppression) -> str:
    reach = "file" if suppression.whole_file else "line"
    codes = ",".join(suppression.codes) or "all"
    return f"suppress {reach} {codes} ({suppression.style}) @{suppression.at.line} {suppression.reason}".rstrip()


class _Dump:
    """The tables that indices point into."""

    def __init__(self, summary: ir.Summary) -> None:
        self.summary = summary

    def block(self, body: Iterable[ir.Stmt], depth: int) -> Iterator[str]:
        for statement in body:
            yield from self.statement(statement, depth)

    def statement(self, node: ir.Stmt, depth: int) -> Iterator[str]:
        pad = _INDENT * depth
        inside = depth + 1
        text = self.expression
        match node:
            case ir.DefineFunction(index):
                yield from self.function(self.summary.functions[index], depth)
            case ir.DefineClass(index):
                yield from self.cls(self.summary.classes[index], depth)
            case ir.Scope(reach, names):
                yield f"{pad}{reach} {', '.join(names)}"
            case ir.Branch(test, body, orelse, at):
                yield f"{pad}if {text(test)} @{at.line}"
                yield from self.block(body, inside)
                yield from self.orelse(orelse, depth)
            case ir.While(test, body, orelse, at):
                yield f"{pad}loop-while {text(test)} @{at.line}"
                yield from self.block(body, inside)
                yield from self.orelse(orelse, depth)
            case ir.For(target, iterable, body, orelse, is_async, at):
                yield f"{pad}{_async(is_async)}loop-for {text(target)} in {text(iterable)} @{at.line}"
                yield from self.block(body, inside)
                yield from self.orelse(orelse, depth)
            case ir.Try(body, handlers, orelse, final, is_star, at):
                yield f"{pad}try @{at.line}"
                yield from self.block(body, inside)
                for handler in handlers:
                    kind = f" {text(handler.type)}" if handler.type is not None else ""
                    name = f" as {handler.name}" if handler.name else ""
                    yield f"{pad}except{'*' if is_star else ''}{kind}{name} @{handler.at.line}"
                    yield from self.block(handler.body, inside)
                yield from self.orelse(orelse, depth)
                if final:
                    yield f"{pad}finally"
                    yield from self.block(final, inside)
            case ir.With(items, body, is_async, at):
                contexts = ", ".join(text(item.context) + (f" as {text(item.target)}" if item.target else "") for item in items)
                yield f"{pad}{_async(is_async)}with {contexts} @{at.line}"
                yield from self.block(body, inside)
            case ir.Match(subject, cases, at):
                yield f"{pad}match {text(subject)} @{at.line}"
                for case in cases:
                    yield f"{pad}{_INDENT}{self.case(case)}"
                    yield from self.block(case.body, depth + 2)
            case _:
                yield f"{pad}{self.simple(node)} @{node.at.line}"

    def orelse(self, body: tuple[ir.Stmt, ...], depth: int) -> Iterator[str]:
        if body:
            yield f"{_INDENT * depth}else"
            yield from self.block(body, depth + 1)

    def case(self, case: ir.Case) -> str:
        tests = f" tests {', '.join(map(self.expression, case.tests))}" if case.tests else ""
        binds = f" binds {', '.join(case.binds)}" if case.binds else ""
        guard = f" if {self.expression(case.guard)}" if case.guard is not None else ""
        return f"case{tests}{binds}{guard}{' irrefutable' if case.irrefutable else ''} @{case.at.line}"

    def simple(
        self,
        node: ir.Bind | ir.Declare | ir.Augment | ir.Evaluate | ir.Return | ir.Raise | ir.Assert | ir.Delete | ir.Jump | ir.Import,
    ) -> str:
        text = self.expression
        match node:
            case ir.Bind(targets, value, annotation):
                annotated = f": {text(annotation)}" if annotation is not None else ""
                return f"bind {' = '.join(map(text, targets))}{annotated} = {text(value)}"
            case ir.Declare(target, annotation):
                return f"declare {text(target)}: {text(annotation)}"
            case ir.Augment(target, operator, value):
                return f"augment {text(target)} {operator}= {text(value)}"
            case ir.Evaluate(value):
                return text(value)
            case ir.Return(returned):
                return "return" if returned is None else f"return {text(returned)}"
            case ir.Raise(exception, cause):
                raised = "" if exception is None else f" {text(exception)}"
                return f"raise{raised}" + ("" if cause is None else f" from {text(cause)}")
            case ir.Assert(test, message):
                return f"assert {text(test)}" + ("" if message is None else f", {text(message)}")
            case ir.Delete(targets):
                return f"del {', '.join(map(text, targets))}"
            case ir.Jump(kind):
                return kind
            case ir.Import(names):
                return f"import {', '.join(map(_imported, names))}"
            case _:
                assert_never(node)

    def function(self, function: ir.Function, depth: int) -> Iterator[str]:
        pad = _INDENT * depth
        for decorator in function.decorators:
            yield f"{pad}@{self.expression(decorator)}"
        returns = f" -> {self.expression(function.returns)}" if function.returns is not None else ""
        kind = " generator" if function.is_generator else ""
        yield f"{pad}{_async(function.is_async)}def {function.qualname}({self.parameters(function)}){returns}{kind} @{function.at.line}"
        yield from self.block(function.body, depth + 1)

    def cls(self, cls: ir.Class, depth: int) -> Iterator[str]:
        pad = _INDENT * depth
        for decorator in cls.decorators:
            yield f"{pad}@{self.expression(decorator)}"
        arguments = ", ".join([*map(self.expression, cls.bases), *map(self.argument, cls.keywords)])
        yield f"{pad}class {cls.qualname}({arguments}) @{cls.at.line}"
        yield from self.block(cls.body, depth + 1)

    def parameters(self, function: ir.Function) -> str:
        marks = {"vararg": "*", "kwarg": "**"}
        shown: list[str] = []
        previous = ""
        for parameter in function.parameters:
            if previous == "positional" and parameter.kind != "positional":
                shown.append("/")
            if parameter.kind == "keyword" and previous not in ("keyword", "vararg"):
                shown.append("*")
            annotation = f": {self.expression(parameter.annotation)}" if parameter.annotation is not None else ""
            default = f"={self.expression(parameter.default)}" if parameter.default is not None else ""
            shown.append(f"{marks.get(parameter.kind, '')}{parameter.name}{annotation}{default}")
            previous = parameter.kind
        if previous == "positional":
            shown.append("/")
        return ", ".join(shown)

    def argument(self, argument: ir.Argument) -> str:
        keyword = f"{argument.keyword}=" if argument.keyword else ""
        return f"{keyword}{'*' * argument.star}{self.expression(argument.value)}"

    def expression(self, node: ir.Expr) -> str:
        text = self.expression
        match node:
            case ir.Name(name):
                return name
            case ir.Constant(kind, source):
                return repr(source) if kind == "str" else source
            case ir.Attribute(base, name):
                return f"{self.base(base)}.{name}"
            case ir.Call(function, arguments):
                return f"call {self.base(function)}({', '.join(map(self.argument, arguments))})"
            case ir.Await(value):
                return f"await {self.operand(value)}"
            case ir.Yield(yielded, delegates):
                return ("yield from" if delegates else "yield") + ("" if yielded is None else f" {text(yielded)}")
            case ir.Lambda(index):
                function_ = self.summary.functions[index]
                return f"lambda({self.parameters(function_)}): {', '.join(map(self.returned, function_.body))}"
            case ir.Display(kind, items):
                return _display(kind, [*map(text, items)])
            case ir.Mapping(pairs):
                return "{" + ", ".join(f"**{text(value)}" if key is None else f"{text(key)}: {text(value)}" for key, value in pairs) + "}"
            case ir.Starred(value):
                return f"*{self.operand(value)}"
            case ir.Comprehension(kind, key, element, clauses):
                made = text(element) if key is None else f"{text(key)}: {text(element)}"
                return f"{kind}({made} {' '.join(map(self.clause, clauses))})"
            case ir.Subscript(base, index_):
                return f"{self.base(base)}[{text(index_)}]"
            case ir.Slice(lower, upper, step):
                bounds = (lower, upper) if step is None else (lower, upper, step)
                return ":".join("" if part is None else text(part) for part in bounds)
            case ir.Operation(operator, (operand,)):
                return f"{operator}{' ' if operator == 'not' else ''}{self.operand(operand)}"
            case ir.Operation(operator, operands):
                return f" {operator} ".join(map(self.operand, operands))
            case ir.Comparison(left, operators, rights):
                tests = (f"{operator} {self.operand(right)}" for operator, right in zip(operators, rights, strict=True))
                return " ".join([self.operand(left), *tests])
            case ir.Choice(test, then, otherwise):
                return f"{self.operand(then)} if {self.operand(test)} else {self.operand(otherwise)}"
            case ir.Walrus(target, value):
                return f"({target.id} := {text(value)})"
            case ir.Template(parts):
                return f"template({', '.join(map(text, parts))})"
            case _:
                assert_never(node)

    def returned(self, node: ir.Stmt) -> str:
        return self.expression(node.value) if isinstance(node, ir.Return) and node.value is not None else "?"

    def operand(self, node: ir.Expr) -> str:
        """In parentheses unless it cannot be misread."""
        shown = self.expression(node)
        return shown if isinstance(node, _CLOSED) else f"({shown})"

    def base(self, node: ir.Expr) -> str:
        """What an attribute, an index or a call stands on: `call a.b()` would swallow what follows it."""
        return f"({self.expression(node)})" if isinstance(node, ir.Call) else self.operand(node)

    def clause(self, clause: ir.Clause) -> str:
        conditions = "".join(f" if {self.expression(condition)}" for condition in clause.conditions)
        return f"{_async(clause.is_async)}for {self.expression(clause.target)} in {self.expression(clause.iterable)}{conditions}"


def _async(is_async: bool) -> str:
    return "async " if is_async else ""


def _display(kind: str, items: list[str]) -> str:
    match kind:
        case "list":
            return f"[{', '.join(items)}]"
        case "set":
            return f"{{{', '.join(items)}}}"
        case _:
            return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def _imported(name: ir.Imported) -> str:
    module = "." * name.level + name.module
    if name.name is None:
        return module if name.local == module.partition(".")[0] else f"{module} as {name.local}"
    separator = "" if module.endswith(".") else "."
    renamed = f" as {name.local}" if name.local != name.name else ""
    return f"{module}{separator}{name.name}{renamed}"
