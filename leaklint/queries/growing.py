"""Attributes that hold a container which only ever grows."""

from __future__ import annotations

from leaklint import ir
from leaklint.graph import Graph
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.values import FunctionId

_ADDS = frozenset({"append", "appendleft", "extend", "extendleft", "insert", "add", "update", "setdefault"})
_TAKES = frozenset({"pop", "popleft", "popitem", "remove", "discard", "clear"})


def only_grows(graph: Graph, function: FunctionId, name: str) -> bool:
    """Whether the attribute of `self`, in the class that the function belongs to, is made empty and later gets elements but never loses
    any: nothing is taken out, and nothing but the constructor binds it."""
    summary = graph.program.modules[function.module].summary
    index: int | None = function.index
    while index is not None and summary.functions[index].owner is None:
        index = summary.functions[index].parent
    if index is None:
        return False
    made = grown = False
    for method in (f for f in summary.functions if f.owner == summary.functions[index].owner):
        for stmt in walk(method.body):
            match stmt:
                case ir.Bind(targets=targets, value=value) if any(_is_it(t, name) for t in targets):
                    if method.name != "__init__" or not _is_empty(value):
                        return False
                    made = True
                case ir.Bind(targets=(ir.Subscript(base=base),)) if _is_it(base, name):
                    grown = grown or method.name != "__init__"
                case ir.Delete(targets=targets) if any(isinstance(t, ir.Subscript) and _is_it(t.base, name) for t in targets):
                    return False
                case _:
                    pass
            for part in (p for e in expressions(stmt) for p in subexpressions(e)):
                match part:
                    case ir.Call(function=ir.Attribute(base=base, name=verb)) if _is_it(base, name):
                        if verb in _TAKES:
                            return False
                        grown = grown or (verb in _ADDS and method.name != "__init__")
                    case _:
                        pass
    return made and grown


def _is_it(expression: ir.Expr, name: str) -> bool:
    return expression == ir.Attribute(ir.Name("self"), name)


def _is_empty(value: ir.Expr) -> bool:
    match value:
        case ir.Display(items=()) | ir.Mapping(items=()):
            return True
        case ir.Call(function=ir.Name(id="list" | "dict" | "set" | "deque" | "defaultdict"), arguments=arguments):
            return len(arguments) < 2 and not any(a.keyword == "maxlen" for a in arguments)
        case _:
            return False
