"""Programs written in another way: the same to who runs them, and so the same to who looks for leaks in them.

A program is a mapping of paths to parsed modules. A rewriting takes one, and a source of chance; it gives the program back as it is where
there is nothing for it to do.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

import libcst as cst
import libcst.matchers as m
from metamorphic.names import Rename, own

Program = Mapping[str, cst.Module]
Rewriting = Callable[[Program, random.Random], Program]


def parsed(files: Mapping[str, str]) -> dict[str, cst.Module]:
    return {path: cst.parse_module(source) for path, source in files.items()}


def written(program: Program) -> dict[str, str]:
    return {path: module.code for path, module in program.items()}


def visited(module: cst.Module, transformer: cst.CSTTransformer) -> cst.Module:
    found = module.visit(transformer)
    assert isinstance(found, cst.Module)
    return found


# --- names


_SYLLABLES = ("va", "ko", "ri", "mu", "te", "lo", "na", "shi", "pe", "du")


def rename(program: Program, chance: random.Random) -> Program:
    """Locals, parameters, attributes, methods, functions, classes. What says something stays: `_` in front, capitals, and words."""
    words = {}
    for number, name in enumerate(own(program)):
        word = "".join(chance.choices(_SYLLABLES, k=3)) + str(number)
        body = name.lstrip("_")
        styled = word.upper() if body.isupper() else word.title() if body[:1].isupper() else word
        words[name] = "_" * (len(name) - len(body)) + styled
    return {path: visited(module, Rename(words)) for path, module in program.items()}


# --- the order of definitions


def reorder(program: Program, chance: random.Random) -> Program:
    """Functions and classes of a module, and methods of a class, in another order, where that order means nothing to who runs it."""
    return {path: visited(_shuffled(module, chance), _Methods(chance)) for path, module in program.items()}


def _shuffled(module: cst.Module, chance: random.Random) -> cst.Module:
    body: list[cst.BaseStatement | cst.SimpleStatementLine] = []
    for run in _runs(module.body):
        body += _permuted(run, chance)
    return module.with_changes(body=body)


def _runs(body: Sequence[cst.CSTNode]) -> Iterator[list[cst.CSTNode]]:
    """Neighbours that are definitions; anything else is alone."""
    run: list[cst.CSTNode] = []
    for stmt in body:
        if isinstance(stmt, cst.FunctionDef | cst.ClassDef):
            run.append(stmt)
            continue
        if run:
            yield run
            run = []
        yield [stmt]
    if run:
        yield run


def _permuted(run: list[cst.CSTNode], chance: random.Random) -> list[cst.CSTNode]:
    """A definition stays behind those that it needs when it is made, and one that is made again where it was."""
    names = [_defined(stmt) for stmt in run] if len(run) > 1 else []
    if len(set(names)) < len(run):
        return run
    left, order = list(range(len(run))), []
    needs = [_needed_at_once(stmt) & set(names[:place]) for place, stmt in enumerate(run)]
    while left:
        done = {names[n] for n in order}
        able = [n for n in left if needs[n] <= done]
        order.append(chance.choice(able))
        left.remove(order[-1])
    return [run[n] for n in order]


def _defined(stmt: cst.CSTNode) -> str:
    assert isinstance(stmt, cst.FunctionDef | cst.ClassDef)
    return stmt.name.value


def _needed_at_once(stmt: cst.CSTNode) -> set[str]:
    """Names that are looked up when the definition runs, and not when its body does."""
    names = cst.Module(body=[stmt.visit(_WithoutBodies())])  # type: ignore[list-item]
    return {one.value for one in m.findall(names, m.Name()) if isinstance(one, cst.Name)} - {_defined(stmt)}


class _WithoutBodies(cst.CSTTransformer):
    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.FunctionDef:
        return updated_node.with_changes(body=cst.SimpleStatementSuite([cst.Pass()]))


class _Methods(cst.CSTTransformer):
    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:
        if not isinstance(updated_node.body, cst.IndentedBlock):
            return updated_node
        body: list[cst.CSTNode] = []
        for run in _runs(updated_node.body.body):
            body += _permuted(run, self.chance)
        return updated_node.with_deep_changes(updated_node.body, body=body)


# --- more code


def add_unrelated(program: Program, chance: random.Random) -> Program:
    """Functions, channels and threads that have nothing to do with it, comments, decorators that do nothing."""
    return {path: _added(module, chance, number) for number, (path, module) in enumerate(program.items())}


_UNRELATED = """
def {same}(wrapped):
    return wrapped


def _{one}(numbers):
    {box} = {queue}.Queue()
    for number in numbers:
        {box}.put(number)
    return [{box}.get() for _ in numbers]


class _{two}:
    def __init__(self, size):
        self._size = size

    def half(self):
        # half of it, and no more
        return self._size // 2
"""


def _added(module: cst.Module, chance: random.Random, number: int) -> cst.Module:
    words = {key: f"{chance.choice(_SYLLABLES)}{key}{number}" for key in ("same", "one", "two", "box", "queue")}
    head = next((n for n, stmt in enumerate(module.body) if not is_head(stmt)), len(module.body))
    imported = cst.parse_statement(f"import queue as {words['queue']}\n")
    more = cst.parse_module(_UNRELATED.format(**words)).body
    body = list(module.body)
    marked = [_decorated(stmt, words["same"], chance) for stmt in body[head:]]
    return module.with_changes(body=[*body[:head], imported, *more, *marked])


def is_head(stmt: cst.CSTNode) -> bool:
    """A docstring, or an import from the future."""
    if not isinstance(stmt, cst.SimpleStatementLine):
        return False
    one = stmt.body[0]
    return m.matches(one, m.Expr(m.SimpleString())) or m.matches(one, m.ImportFrom(module=m.Name("__future__")))


def _decorated(stmt: cst.CSTNode, same: str, chance: random.Random) -> cst.CSTNode:
    if isinstance(stmt, cst.FunctionDef) and not stmt.decorators and chance.random() < 0.3:
        return stmt.with_changes(decorators=[cst.Decorator(cst.Name(same))])
    return stmt


# --- imports


def reimport(program: Program, chance: random.Random) -> Program:
    """`import asyncio as other`, and `asyncio.Queue` by its own name."""
    return {path: _reimported(module, chance) for path, module in program.items()}


def _reimported(module: cst.Module, chance: random.Random) -> cst.Module:
    names = [one.value for one in m.findall(module, m.Name()) if isinstance(one, cst.Name)]
    plain = [s.body[0].names[0].name.value for s in module.body if m.matches(s, _PLAIN_IMPORT)]  # type: ignore[union-attr]
    for name in plain:
        binders = m.findall(
            module, m.Param(name=m.Name(name)) | m.AssignTarget(m.Name(name)) | m.ImportAlias(name=m.Name(name)) | m.For(m.Name(name))
        )
        strings = any(name in one.value for one in m.findall(module, m.SimpleString()) if isinstance(one, cst.SimpleString))
        if len(binders) == 1 and not strings:
            used = [one.attr.value for one in m.findall(module, m.Attribute(value=m.Name(name))) if isinstance(one, cst.Attribute)]
            free = [attribute for attribute in used if attribute not in names or names.count(attribute) == used.count(attribute)]
            module = visited(module, _Import(name, free if chance.random() < 0.5 else []))
    return module


_PLAIN_IMPORT = m.SimpleStatementLine([m.Import([m.ImportAlias(m.Name(), asname=None)])])


class _Import(cst.CSTTransformer):
    """`direct`: what is imported from the module by name; else the module has another name."""

    def __init__(self, name: str, direct: list[str]) -> None:
        super().__init__()
        self.name, self.direct, self.other = name, list(dict.fromkeys(direct)), f"{name}_under_another_name"

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.FlattenSentinel[cst.SimpleStatementLine]:
        if not m.matches(original_node, m.SimpleStatementLine([m.Import([m.ImportAlias(m.Name(self.name), asname=None)])])):
            return updated_node
        lines = [f"import {self.name} as {self.other}"]
        if self.direct:
            lines.append(f"from {self.name} import {', '.join(self.direct)}")
        return cst.FlattenSentinel([stmt for line in lines if isinstance(stmt := cst.parse_statement(line), cst.SimpleStatementLine)])

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        if not m.matches(original_node, m.Attribute(value=m.Name(self.name))):
            return updated_node
        if updated_node.attr.value in self.direct:
            return updated_node.attr
        return updated_node.with_changes(value=cst.Name(self.other))

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        return updated_node


REWRITINGS: dict[str, Rewriting] = {
    "rename": rename,
    "reorder": reorder,
    "add unrelated code": add_unrelated,
    "import otherwise": reimport,
}
