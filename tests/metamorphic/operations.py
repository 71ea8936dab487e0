"""Operations done in another place: by a function that is given the thing, by a method of the same class, on a local name."""

from __future__ import annotations

import random
from itertools import count

import libcst as cst
import libcst.matchers as m
from metamorphic.rewriting import Program, Rewriting, is_head, visited

_OPERATIONS = frozenset({
    "put", "get", "put_nowait", "get_nowait",
    "send", "receive", "set", "wait", "acquire", "release", "join", "cancel", "close", "task_done",
})  # fmt: skip


def behind_functions(program: Program, chance: random.Random) -> Program:
    """Some operations are done by a function that is given the thing and the rest: `await q.put(x)` is `await _put_for_1(q, x)`."""
    return {path: _with_functions(module, chance) for path, module in program.items()}


def behind_methods(program: Program, chance: random.Random) -> Program:
    """Some operations on the parts of an object are done by a method of its own: `self._q.put(x)` is `self._put_for_1(x)`."""
    return {path: visited(module, _Methods(chance)) for path, module in program.items()}


def on_local_names(program: Program, chance: random.Random) -> Program:
    """Some operations are done on a local name for the thing: `await self._q.put(x)` is `thing = self._q`, `await thing.put(x)`."""
    return {path: visited(module, _Local(chance)) for path, module in program.items()}


OPERATIONS: dict[str, Rewriting] = {
    "operations behind functions": behind_functions,
    "operations behind methods": behind_methods,
    "local names for things": on_local_names,
}


def _is_operation(call: cst.BaseExpression) -> bool:
    """A call of an operation on a name or an attribute of one, of which no argument is unpacked."""
    return (
        isinstance(call, cst.Call)
        and isinstance(call.func, cst.Attribute)
        and call.func.attr.value in _OPERATIONS
        and m.matches(call.func.value, m.Name() | m.Attribute(value=m.Name()))
        and all(not arg.star and arg.keyword is None for arg in call.args)
        and not m.findall(call, m.Await() | m.Yield() | m.NamedExpr())
    )


class _Behind(cst.CSTTransformer):
    """Awaited calls in functions, and calls that are a statement or all that is assigned; a coroutine that is handed on stays one."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance, self.number = chance, count()

    def moved(self, call: cst.Call, is_async: bool) -> cst.Call | None:
        """The call of what does the operation from now on; None where it stays."""
        raise NotImplementedError

    def _moved(self, call: cst.BaseExpression | None, is_async: bool) -> cst.BaseExpression | None:
        moved = self.moved(call, is_async) if isinstance(call, cst.Call) and _is_operation(call) else None
        return call if moved is None else moved

    def leave_Await(self, original_node: cst.Await, updated_node: cst.Await) -> cst.Await:
        return updated_node.with_changes(expression=self._moved(updated_node.expression, True))

    def leave_Expr(self, original_node: cst.Expr, updated_node: cst.Expr) -> cst.Expr:
        return updated_node.with_changes(value=self._moved(updated_node.value, False))

    def leave_Assign(self, original_node: cst.Assign, updated_node: cst.Assign) -> cst.Assign:
        return updated_node.with_changes(value=self._moved(updated_node.value, False))

    def definition(self, name: str, call: cst.Call, first: str, thing: str, is_async: bool) -> cst.BaseStatement | cst.SimpleStatementLine:
        """`def name(first, …): return thing.operation(…)`."""
        assert isinstance(call.func, cst.Attribute)
        given = [f"given{n}" for n in range(len(call.args))]
        head, wait = ("async def", "await ") if is_async else ("def", "")
        operation = f"{thing}.{call.func.attr.value}({', '.join(given)})"
        return cst.parse_statement(f"{head} {name}({', '.join([first, *given])}):\n    return {wait}{operation}\n")


def _name(call: cst.Call, number: int) -> str:
    assert isinstance(call.func, cst.Attribute)
    return f"_{call.func.attr.value}_for_{number}"


def _with_functions(module: cst.Module, chance: random.Random) -> cst.Module:
    wrapping = _Functions(chance)
    module = visited(module, wrapping)
    head = next((n for n, stmt in enumerate(module.body) if not is_head(stmt)), len(module.body))
    return module.with_changes(body=[*module.body[:head], *wrapping.made, *module.body[head:]])


class _Functions(_Behind):
    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.made: list[cst.BaseStatement | cst.SimpleStatementLine] = []

    def moved(self, call: cst.Call, is_async: bool) -> cst.Call | None:
        if self.chance.random() >= 0.4:
            return None
        assert isinstance(call.func, cst.Attribute)
        name = _name(call, next(self.number))
        self.made.append(self.definition(name, call, "thing", "thing", is_async))
        return cst.Call(cst.Name(name), [cst.Arg(call.func.value), *(cst.Arg(arg.value) for arg in call.args)])


class _Methods(_Behind):
    """In methods themselves, not in the functions that these define."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.made: list[list[cst.BaseStatement | cst.SimpleStatementLine]] = []
        self.inside: list[cst.FunctionDef] = []

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self.made.append([])

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:
        made = self.made.pop()
        if not made or not isinstance(updated_node.body, cst.IndentedBlock):
            return updated_node
        return updated_node.with_deep_changes(updated_node.body, body=[*updated_node.body.body, *made])

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self.inside.append(node)

    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.FunctionDef:
        self.inside.pop()
        return updated_node

    def moved(self, call: cst.Call, is_async: bool) -> cst.Call | None:
        if not self.made or len(self.inside) != 1 or not m.matches(call.func, m.Attribute(m.Attribute(m.Name("self"), m.Name()))):
            return None
        if self.chance.random() >= 0.5:
            return None
        assert isinstance(call.func, cst.Attribute)
        assert isinstance(call.func.value, cst.Attribute)
        name = _name(call, next(self.number))
        self.made[-1].append(self.definition(name, call, "self", f"self.{call.func.value.attr.value}", is_async))
        return cst.Call(cst.Attribute(cst.Name("self"), cst.Name(name)), [cst.Arg(arg.value) for arg in call.args])


class _Local(cst.CSTTransformer):
    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance, self.number, self.depth = chance, count(), 0

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self.depth += 1

    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.FunctionDef:
        self.depth -= 1
        return updated_node

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.FlattenSentinel[cst.SimpleStatementLine]:
        one = updated_node.body[0]
        if not self.depth or len(updated_node.body) > 1 or not isinstance(one, cst.Expr | cst.Assign):
            return updated_node
        call = one.value.expression if isinstance(one.value, cst.Await) else one.value
        if not _is_operation(call) or self.chance.random() >= 0.4:
            return updated_node
        assert isinstance(call, cst.Call)
        assert isinstance(call.func, cst.Attribute)
        name = f"same_thing_{next(self.number)}"
        bind = cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(cst.Name(name))], call.func.value)], updated_node.leading_lines)
        changed = updated_node.with_deep_changes(call.func, value=cst.Name(name))
        return cst.FlattenSentinel([bind, changed.with_changes(leading_lines=[])])
