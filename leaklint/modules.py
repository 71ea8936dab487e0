"""Files in, dotted module names out: under which name a file can be imported, as far as the folders tell."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache

Parts = tuple[str, ...]


def module_names(files: Sequence[str], roots: Sequence[str]) -> list[str]:
    """The name of each file (real paths), all different; `roots` are the folders that the user gave (real paths).

    A folder with `__init__.py` is a package. Any other one below a root is a namespace package, unless nobody can import
    through it: a folder called `src`, one with a pyproject.toml, one whose name is no identifier. Where a name occurs twice, as
    for two services that both have an `app`, all modules below the later folder get that folder's name in front."""
    package = _packages(roots)
    below: dict[str, dict[str, Parts]] = {}  # folder to import from → file → name
    for file in files:
        base, parts = package(os.path.dirname(file))
        stem = os.path.basename(file).removesuffix(".py")
        below.setdefault(base, {})[file] = parts if stem == "__init__" and parts else (*parts, stem)
    names: dict[str, str] = {}
    taken: set[Parts] = set()
    for base, inside in below.items():
        front = _front(base, inside.values(), taken)
        for file in sorted(inside, key=lambda one: (not one.endswith(f"{os.sep}__init__.py"), one)):
            parts = (*front, *inside[file])
            # a package hides the module of the same name beside it: nobody can import that one
            names[file] = ".".join(parts) if parts not in taken else file
            taken.add(parts)
    return [names[file] for file in files]


def _front(base: str, inside: Iterable[Parts], taken: set[Parts]) -> Parts:
    """The shortest end of `base` that makes the names below it differ from the taken ones; () when they already do."""
    folders = tuple(part for part in base.split(os.sep) if part)
    ends = [folders[start:] for start in range(len(folders), -1, -1)]
    names = list(inside)
    return next((end for end in ends if taken.isdisjoint((*end, *name) for name in names)), folders)


def _packages(roots: Iterable[str]) -> Callable[[str], tuple[str, Parts]]:
    """A function from a folder to the folder that its modules are imported from, and the packages in between."""
    prefixes = tuple(os.path.join(root, "") for root in roots)

    @cache
    def package(folder: str) -> tuple[str, Parts]:
        parent, name = os.path.split(folder)
        is_regular = os.path.isfile(os.path.join(folder, "__init__.py"))
        if not name or not (is_regular or is_namespace(folder, name)):
            return folder, ()
        base, parts = package(parent)
        return base, (*parts, name)

    def is_namespace(folder: str, name: str) -> bool:
        inside = folder.startswith(prefixes)
        return inside and name.isidentifier() and name != "src" and not os.path.isfile(os.path.join(folder, "pyproject.toml"))

    return package
