"""Gitignore-style patterns, compiled once and matched against absolute paths."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_PLAIN = re.compile(r"[^/*?\[\]\\!#\s]+/?")


@dataclass(frozen=True, slots=True)
class Globs:
    """Patterns relative to `folder`, an absolute path. Plain names, most of what people write, are looked up in sets:
    `names` fit files and folders at any depth, `folders` only folders; the others are in `spec`."""

    folder: str
    names: frozenset[str]
    folders: frozenset[str]
    spec: GitIgnoreSpec | None


def compile_globs(folder: str, patterns: Iterable[str]) -> Globs:
    """Patterns that git would not accept are left out, as git does."""
    lines = [line for line in (pattern.rstrip("\r\n") for pattern in patterns) if line.strip() and not line.startswith("#")]
    if any(line.startswith("!") for line in lines):
        return Globs(folder, frozenset(), frozenset(), _spec(tuple(lines)))  # the order counts
    plain = [line.rstrip(" ") for line in lines if _PLAIN.fullmatch(line.rstrip(" "))]
    rest = tuple(line for line in lines if line.rstrip(" ") not in plain)
    return Globs(
        folder,
        frozenset(name for name in plain if not name.endswith("/")),
        frozenset(name[:-1] for name in plain if name.endswith("/")),
        _spec(rest) if rest else None,
    )


def verdict(globs: Globs, path: str, is_folder: bool) -> bool | None:
    """True: a pattern fits `path` (absolute, inside `globs.folder`) or a folder on the way to it; False: a `!` pattern
    takes it out again; None: nothing is said about it."""
    relative = os.path.relpath(path, globs.folder) if globs.folder == os.sep else path[len(globs.folder) + 1 :]
    relative = relative.replace(os.sep, "/")
    parts = relative.split("/")
    if not globs.names.isdisjoint(parts) or not globs.folders.isdisjoint(parts if is_folder else parts[:-1]):
        return True
    return globs.spec.check_file(f"{relative}/" if is_folder else relative).include if globs.spec else None


@lru_cache(maxsize=256)
def _spec(lines: tuple[str, ...]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    def accepted(line: str) -> bool:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            return False
        return True

    return GitIgnoreSpec.from_lines(filter(accepted, lines))
