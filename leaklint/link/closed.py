"""Which modules make up programs that are all in sight."""

from __future__ import annotations

from leaklint import ir
from leaklint.link.names import Names


def is_hidden(name: str) -> bool:
    """Whether a name says that it is the affair of its module, or of its class, alone."""
    return name.startswith("_") and not name.startswith("__")


def main_function(module: ir.Module) -> int | None:
    """The index of a top-level function called `main`."""
    functions = enumerate(module.summary.functions)
    return next((i for i, f in functions if f.name == "main" and f.parent == 0 and f.owner is None), None)


def closed_modules(names: Names) -> frozenset[int]:
    """The modules of programs that are all in sight: scripts (a `__main__` guard or a `main`, outside any package) and the project modules
    outside packages that they import, directly or not. Nobody else uses what these define."""
    modules = names.modules
    lone = {i for i, m in enumerate(modules) if "." not in m.name and not m.is_package}
    todo = [i for i in lone if modules[i].summary.starts_program or main_function(modules[i]) is not None]
    closed: set[int] = set()
    while todo:
        module = todo.pop()
        if module in closed:
            continue
        closed.add(module)
        for imported in names.imports(module):
            if imported in lone:
                todo.append(imported)
    return frozenset(closed)
