"""A module in two: some of its definitions, with all that they need, move to a new file."""

from __future__ import annotations

import random
from collections.abc import Iterator

import libcst as cst
import libcst.matchers as m
from metamorphic.rewriting import Program, is_head


def split(program: Program, chance: random.Random) -> Program:
    """One module of the program, if one can be: its new half holds definitions that need nothing of the other."""
    able = [(path, part) for path, module in program.items() if not path.endswith("__init__.py") for part in _parts(module)]
    if not able:
        return program
    path, part = chance.choice(able)
    module, stem = program[path], path.removesuffix(".py")
    new = f"{stem}_half.py"
    names = [name for stmt in module.body if any(stmt is one for one in part) for name in _bound(stmt)]
    half = stem.rpartition("/")[2] + "_half"
    package = f"{path.rpartition('/')[0]}/__init__.py"
    dots = "." if package in program else ""
    heads = [stmt for stmt in module.body if is_head(stmt)]
    imports = [stmt for stmt in module.body if m.matches(stmt, m.SimpleStatementLine([m.Import() | m.ImportFrom()])) and not is_head(stmt)]
    rest = [stmt for stmt in module.body if not any(stmt is one for one in (*part, *heads, *imports))]
    taken = cst.parse_statement(f"from {dots}{half} import {', '.join(names)}\n")
    return {
        **program,
        path: module.with_changes(body=[*heads, *imports, taken, *rest]),
        new: module.with_changes(body=[*heads, *imports, *part], header=[], footer=[]),
    }


def _parts(module: cst.Module) -> Iterator[list[cst.CSTNode]]:
    """For each definition, itself and all that it needs of the module; not where that is everything, or where a name is bound twice."""
    if m.findall(module, m.Global()) or m.findall(module, m.ImportStar()) or m.findall(module, m.Name("__all__") | m.Name("TYPE_CHECKING")):
        return
    made: dict[str, list[cst.CSTNode]] = {}
    for stmt in module.body:
        for name in _bound(stmt):
            made.setdefault(name, []).append(stmt)
    definitions = [stmt for stmt in module.body if isinstance(stmt, cst.FunctionDef | cst.ClassDef)]
    for start in definitions:
        part, todo = [start], [start]
        while todo:
            for name in _mentioned(todo.pop()):
                for other in made.get(name, ()):
                    if not any(other is one for one in part):
                        part.append(other)
                        todo.append(other)
        ordered = [stmt for stmt in module.body if any(stmt is one for one in part)]
        others = [stmt for stmt in definitions if not any(stmt is one for one in part)]
        if others and all(len(made[name]) == 1 for stmt in part for name in _bound(stmt)) and all(map(_is_plain, part)):
            yield ordered


def _bound(stmt: cst.CSTNode) -> list[str]:
    match stmt:
        case cst.FunctionDef(name=cst.Name(value=name)) | cst.ClassDef(name=cst.Name(value=name)):
            return [name]
        case cst.SimpleStatementLine(body=[cst.Assign(targets=targets)]):
            return [name for one in targets for name in _names(one.target)]
        case cst.SimpleStatementLine(body=[cst.AnnAssign(target=cst.Name(value=name))]):
            return [name]
        case _:
            return []


def _names(target: cst.CSTNode) -> list[str]:
    match target:
        case cst.Name(value=name):
            return [name]
        case cst.Tuple(elements=elements) | cst.List(elements=elements):
            return [name for element in elements for name in _names(element.value)]
        case _:
            return []


def _is_plain(stmt: cst.CSTNode) -> bool:
    return isinstance(stmt, cst.FunctionDef | cst.ClassDef) or bool(_bound(stmt))


def _mentioned(stmt: cst.CSTNode) -> set[str]:
    names = {one.value for one in m.findall(stmt, m.Name()) if isinstance(one, cst.Name)}
    strings = [one.value.strip("'\"") for one in m.findall(stmt, m.SimpleString()) if isinstance(one, cst.SimpleString)]
    return names | {text.partition("[")[0] for text in strings}
