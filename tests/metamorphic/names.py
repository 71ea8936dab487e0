"""Which names of a program are its own to change: those that mean something to Python, to a library or to leaklint are not."""

from __future__ import annotations

import builtins
import importlib.util
import keyword
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from types import ModuleType

import libcst as cst
import libcst.matchers as m
from link.programs import models

from leaklint.obligations.owned import ENDINGS

_WORD = re.compile(r"[A-Za-z_]\w*")
_TELLING = {*ENDINGS, "self", "exit", "lost", "abort", "clear", "reset", "del", "fail", "main"}
"""Words in names by which leaklint knows a teardown, the beginning of a program, the object of a method: without them it is told less."""


def own(files: Mapping[str, cst.Module]) -> list[str]:
    """The names that the program binds and that nobody else knows, in their order of the alphabet."""
    found = _Names()
    for path, module in files.items():
        found.fixed.update(path.removesuffix(".py").split("/"))
        module.visit(found)
    outside = found.fixed | _libraries() | {name for module in found.imported for name in _names_in(module)}
    for bases, methods in found.classes:
        if not bases <= found.made:
            outside |= methods  # it may override one of a base that is out of sight
    called = {word for callee, word in found.keywords if callee not in found.made or callee in outside}
    return sorted(name for name in found.bound - outside - called if not _is_telling(name))


def _is_telling(name: str) -> bool:
    return name.startswith("__") or keyword.issoftkeyword(name) or any(word in name.lower() for word in _TELLING)


@cache
def _libraries() -> frozenset[str]:
    """Whatever the models and the built-in types name."""
    known = models()
    found = {part for name in (*known.types, *known.functions) for part in name.split(".")}
    found |= {name for model in known.types.values() for name in model.methods}
    found |= {name for one in vars(builtins).values() for name in dir(one)} | set(dir(builtins))
    return frozenset(found)


@cache
def _names_in(name: str) -> frozenset[str]:
    """The names of a module of the standard library, and those that its classes have."""
    if name.partition(".")[0] not in sys.stdlib_module_names:
        return frozenset()
    module = importlib.import_module(name)
    inside = [one for one in vars(module).values() if isinstance(one, type | ModuleType)]
    return frozenset({*dir(module), *(word for one in inside for word in dir(one))})


class _Names(cst.CSTVisitor):
    """`bound`: what assignments, parameters, loops, definitions bind; `fixed`: what strings and imports from elsewhere name; `keywords`:
    (last word of what is called, keyword); `classes`: (names of the bases, names inside)."""

    def __init__(self) -> None:
        self.bound: set[str] = set()
        self.fixed: set[str] = set()
        self.made: set[str] = set()
        self.imported: set[str] = set()
        self.keywords: set[tuple[str, str]] = set()
        self.classes: list[tuple[set[str], set[str]]] = []

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self.bound.add(node.name.value)
        self.made.add(node.name.value)

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self.bound.add(node.name.value)
        self.made.add(node.name.value)
        bases = {_last(base.value) for base in (*node.bases, *node.keywords)}
        names = {one.name.value for one in m.findall(node.body, m.FunctionDef()) if isinstance(one, cst.FunctionDef)}
        names |= {
            one.value
            for target in m.findall(node.body, m.AssignTarget())
            for one in m.findall(target, m.Name())
            if isinstance(one, cst.Name)
        }
        self.classes.append((bases - {"object", "ABC", "Protocol", "Exception", "Generic"}, names))

    def visit_Param(self, node: cst.Param) -> None:
        self.bound.add(node.name.value)

    def visit_AssignTarget(self, node: cst.AssignTarget) -> None:
        self.bound.update(_targets(node.target))

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        self.bound.update(_targets(node.target))

    def visit_For(self, node: cst.For) -> None:
        self.bound.update(_targets(node.target))

    def visit_CompFor(self, node: cst.CompFor) -> None:
        self.bound.update(_targets(node.target))

    def visit_NamedExpr(self, node: cst.NamedExpr) -> None:
        self.bound.update(_targets(node.target))

    def visit_AsName(self, node: cst.AsName) -> None:
        self.bound.update(_targets(node.name))

    def visit_Call(self, node: cst.Call) -> None:
        self.keywords.update((_last(node.func), arg.keyword.value) for arg in node.args if arg.keyword is not None)

    def visit_SimpleString(self, node: cst.SimpleString) -> None:
        if " " not in node.value:
            self.fixed.update(_WORD.findall(node.value))

    def visit_Import(self, node: cst.Import) -> bool:
        self._import([alias.evaluated_name for alias in node.names])
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        module = cst.Module([]).code_for_node(node.module) if node.module is not None else ""
        self._import([module])
        if not node.relative and not isinstance(node.names, cst.ImportStar):
            self.imported.update(
                f"{module}.{alias.evaluated_name}" for alias in node.names if _is_module(f"{module}.{alias.evaluated_name}")
            )
            if module.partition(".")[0] in sys.stdlib_module_names:
                self.fixed.update(alias.evaluated_name for alias in node.names)
        if not isinstance(node.names, cst.ImportStar):
            self.fixed.update(alias.evaluated_alias for alias in node.names if alias.evaluated_alias)
        return False

    def _import(self, names: list[str]) -> None:
        for name in names:
            self.fixed.update(name.split("."))
            self.imported.add(name)


@cache
def _is_module(name: str) -> bool:
    if name.partition(".")[0] not in sys.stdlib_module_names:
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _targets(target: cst.CSTNode) -> Iterator[str]:
    match target:
        case cst.Name(value=name):
            yield name
        case cst.Attribute(attr=cst.Name(value=name)):
            yield name
        case cst.Tuple() | cst.List():
            for element in target.elements:
                yield from _targets(element.value)
        case _:
            pass


def _last(node: cst.BaseExpression) -> str:
    match node:
        case cst.Name(value=name):
            return name
        case cst.Attribute(attr=cst.Name(value=name)):
            return name
        case cst.Subscript(value=value):
            return _last(value)
        case cst.Call(func=function):
            return _last(function)
        case _:
            return ""


class Rename(cst.CSTTransformer):
    """Each of the names is another wherever it stands."""

    def __init__(self, words: Mapping[str, str]) -> None:
        super().__init__()
        self.words = words

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        return updated_node.with_changes(value=self.words.get(original_node.value, original_node.value))
