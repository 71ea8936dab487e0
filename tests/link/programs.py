"""Small programs, linked, and what the tests of `link` say about them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from textwrap import dedent

from leaklint.catalog import load_catalog
from leaklint.catalog.grammar import Does, Models
from leaklint.ir import Module
from leaklint.link import Program, link
from leaklint.link.dump import origins
from leaklint.link.values import FunctionId
from leaklint.lower import lower


@cache
def models() -> Models:
    return load_catalog().models


def modules(files: Mapping[str, str]) -> list[Module]:
    """Path → source. Folders are packages: `shop/till.py` is the module `shop.till`."""
    return [_module(path, source) for path, source in files.items()]


def _module(path: str, source: str) -> Module:
    dotted = path.removesuffix(".py").replace("/", ".")
    is_package = path.endswith("__init__.py")
    return Module(dotted.removesuffix(".__init__"), path, is_package, lower(dedent(source).encode()))


def linked(program: str | Mapping[str, str]) -> Program:
    """A program of several files, or of one called `program.py`."""
    files = {"program.py": program} if isinstance(program, str) else program
    return link(modules(files), models())


def operations(program: str | Mapping[str, str]) -> list[str]:
    """Every operation on a known resource in the order of place, `send queue`; what makes and what only looks is left out. A method that
    runs on several objects counts once for each name."""
    found = linked(program)
    told: list[str] = []
    contexts: dict[tuple[int, int, str], int] = {}
    for action in found.actions:
        names = sorted(found.describe(obj) for obj in action.subjects if found.kind(obj) is not None)
        text = f"{action.does} {', '.join(names)}"
        site = action.site
        if not names or action.does in (Does.MAKE, Does.OBSERVE):
            continue
        if contexts.setdefault((site.module, site.number, text), site.context) == site.context:
            told.append(text)
    return told


def traced(program: str | Mapping[str, str]) -> list[str]:
    """The same, with the line that makes the resource for its name: `send 4`."""
    found = linked(program)
    told = []
    for action in found.actions:
        lines = sorted(origins(found, obj)[0].at.line for obj in action.subjects if found.kind(obj) is not None)
        if lines and action.does not in (Does.MAKE, Does.OBSERVE):
            told.append(f"{action.does} {', '.join(map(str, lines))}")
    return told


def owned(program: str | Mapping[str, str]) -> list[str]:
    """Every operation that may run and moves something, once for each line, with the lines that make the resource and the objects which it
    belongs to: `send 4 of 9`. Without such a line it belongs to all instances that are not told apart."""
    found = linked(program)
    told: dict[tuple[str, int], set[str]] = {}
    for action in found.actions:
        if action.function in found.live and action.does not in (Does.MAKE, Does.OBSERVE, Does.COPY, Does.VIEW, Does.STORE):
            lines = {belonging(found, obj) for obj in action.subjects if found.kind(obj) is not None}
            told.setdefault((found.path(action.site.module), action.at.line), set()).update(
                f"{action.does} {line}" for line in lines if line
            )
    return [text for _, texts in sorted(told.items()) for text in sorted(texts, key=_numbered)]


def _numbered(text: str) -> list[str | int]:
    return [int(word) if word.isdecimal() else word for word in text.split()]


def belonging(program: Program, obj: int | None) -> str:
    """Where an object is made, and where its owners are: `4 of 9 of 12`."""
    lines = []
    while obj is not None:
        lines += [str(record.at.line) for record in origins(program, obj)[:1]]
        obj = program.owner(obj)
    return " of ".join(lines)


def units(program: str | Mapping[str, str]) -> list[str]:
    """Every unit, `task produce`."""
    return [f"{unit.kind} {unit.name}" + (" (daemon)" if unit.daemon else "") for unit in linked(program).units]


def opened(program: str | Mapping[str, str]) -> dict[str, str | None]:
    """The name of every channel, lock, event … → why code out of sight may use it; None when it is closed."""
    found = linked(program)
    return {found.describe(obj): found.opened(obj) for obj in range(len(found.state.solver.objects)) if found.kind(obj) is not None}


def runners(program: str | Mapping[str, str], qualname: str) -> list[str]:
    """What may run a function: `main`, `anyone` (code out of sight), units."""
    found = linked(program)
    told: set[str] = set()
    for root in found.roots(named(found, qualname)):
        told |= {f"{unit.kind} {unit.name}" for unit in found.entered_by.get(root, ())}
        told |= {"main"} if root.index == 0 else set()
        told |= {"anyone"} if root in found.openness.callable else set()
    return sorted(told)


def named(program: Program, qualname: str) -> FunctionId:
    """The only function with this qualified name."""
    (found,) = (
        FunctionId(number, index)
        for number, module in enumerate(program.modules)
        for index, function in enumerate(module.summary.functions)
        if function.qualname == qualname
    )
    return found
