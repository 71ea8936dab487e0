"""Paths in, the Python files to analyse out: which they are, how they are shown, and what they are called as modules."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from leaklint.errors import LeaklintError
from leaklint.finding import FileError
from leaklint.globs import Globs, compile_globs, verdict
from leaklint.modules import module_names
from leaklint.settings import Settings


@dataclass(frozen=True, slots=True)
class Source:
    """`path` is shown: as given, with `/`; `real` is absolute and free of symlinks. `module` is dotted, or
    `real` where nobody can import the file; unique in a run."""

    path: str
    real: str
    module: str
    is_package: bool


def find(paths: Iterable[str], settings: Settings, unsaved: str | None = None) -> tuple[tuple[Source, ...], tuple[FileError, ...]]:
    """The Python files in and below `paths`, each once, sorted by shown path whatever the order of `paths`; and the files and
    folders that cannot be read. `unsaved` is a file to add whether it exists or not. A file given by name is always taken.
    Raises LeaklintError for a path that does not exist."""
    folders, files = _given(paths)
    found: dict[str, str] = {}  # real path → shown path
    errors: list[FileError] = []
    exclude = (*settings.exclude, *settings.extend_exclude)
    visited: set[str] = set()
    pending, are_asked_for = folders, True
    while pending:
        links: list[_Folder] = []
        for folder in sorted(pending, key=lambda one: (one.real.count(os.sep), one.path)):
            rules = _rules_above(folder.real, os.path.realpath(settings.root), exclude, are_asked_for, errors)
            if rules is not None:
                _walk(folder, rules, visited, found, links, errors)
        pending, are_asked_for = links, False
    for path in sorted(files):
        if os.path.exists(path):
            found.setdefault(os.path.realpath(path), _shown(path))
        else:
            errors.append(FileError(_shown(path), "broken symbolic link"))
    if unsaved is not None:
        found[os.path.realpath(unsaved)] = _shown(unsaved)
    return _named(found, [folder.real for folder in folders]), tuple(sorted(set(errors), key=lambda error: (error.path, error.message)))


def read(source: Source) -> bytes | FileError:
    try:
        with open(source.real, "rb") as stream:
            return stream.read()
    except OSError as error:
        return FileError(source.path, _reason(error))


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    real: str


def _given(paths: Iterable[str]) -> tuple[list[_Folder], list[str]]:
    folders: dict[str, _Folder] = {}
    files: list[str] = []
    for path in sorted(paths):
        if os.path.isdir(path):
            real = os.path.realpath(path)
            folders.setdefault(real, _Folder(_shown(path), real))
        elif os.path.lexists(path):
            files.append(path)
        else:
            raise LeaklintError(f"{path}: no such file or folder")
    return list(folders.values()), files


def _walk(
    top: _Folder, rules: tuple[Globs, ...], visited: set[str], found: dict[str, str], links: list[_Folder], errors: list[FileError]
) -> None:
    """Adds to `visited`, `found` and `errors` what is below `top`, and to `links` the folders that symbolic links lead to: these
    come after everything else, so that a file is shown under its own path when it has one, and no loop is walked twice."""
    linked: dict[str, str] = {}
    pending = [(top, rules)]
    while pending:
        folder, rules = pending.pop()
        if folder.real in visited:
            continue
        try:
            with os.scandir(folder.real) as listing:
                entries = {entry.name: entry for entry in listing}
        except OSError as error:
            visited.add(folder.real)
            errors.append(FileError(folder.path, _reason(error)))
            continue
        if folder is not top and _is_generated(folder.real, entries):
            continue
        visited.add(folder.real)
        if ".gitignore" in entries:
            rules = (*rules[:-1], *_ignore_file(folder.real, ".gitignore", folder.path, errors), rules[-1])
        for name in sorted(entries):
            entry, real = entries[name], os.path.join(folder.real, name)
            is_link = entry.is_symlink()
            is_folder = os.path.isdir(real) if is_link else entry.is_dir()
            if not (is_folder or name.endswith(".py")) or _is_ignored(rules, real, is_folder):
                continue
            path = _shown(name if folder.path == "." else os.path.join(folder.path, name))
            if is_folder and is_link:
                links.append(_Folder(path, os.path.realpath(real)))
            elif is_folder:
                pending.append((_Folder(path, real), rules))
            elif is_link and not os.path.exists(real):
                errors.append(FileError(path, "broken symbolic link"))
            elif is_link and os.path.isfile(real):
                linked.setdefault(os.path.realpath(real), path)
            elif entry.is_file(follow_symlinks=False):  # a pipe or a socket would keep us waiting
                found[real] = path
    for real, path in linked.items():
        found.setdefault(real, path)


def _is_ignored(rules: Sequence[Globs], path: str, is_folder: bool) -> bool:
    """The last rule that has something to say decides: the project's `exclude`, then the nearest ignore file."""
    for globs in reversed(rules):
        if (said := verdict(globs, path, is_folder)) is not None:
            return said
    return False


def _is_generated(folder: str, entries: Iterable[str]) -> bool:
    """Virtual environments, and `build` and `dist` unless they are packages."""
    return "pyvenv.cfg" in entries or (os.path.basename(folder) in {"build", "dist"} and "__init__.py" not in entries)


def _rules_above(folder: str, root: str, exclude: Iterable[str], is_asked_for: bool, errors: list[FileError]) -> tuple[Globs, ...] | None:
    """The ignore files above `folder`, the outermost first, and the project's `exclude`. When these leave out the folder itself,
    only `exclude` counts, and only inside it, if the user asked for the folder; otherwise None. A folder outside the
    project is a project of its own."""
    inside = folder == root or folder.startswith(os.path.join(root, ""))
    project = compile_globs(root if inside else folder, exclude)
    rules = (*_ignore_files_above(folder, errors), project)
    if not _is_ignored(rules, folder, True):
        return rules
    return (replace(project, folder=folder),) if is_asked_for else None


def _ignore_files_above(folder: str, errors: list[FileError]) -> Iterator[Globs]:
    """Those of the repository that holds `folder`, if one does."""
    above = [folder]
    while not os.path.lexists(os.path.join(above[-1], ".git")):
        if (parent := os.path.dirname(above[-1])) == above[-1]:
            return
        above.append(parent)
    yield from _ignore_file(above[-1], os.path.join(".git", "info", "exclude"), above[-1], errors)
    for parent in reversed(above[1:]):
        yield from _ignore_file(parent, ".gitignore", parent, errors)


def _ignore_file(folder: str, name: str, shown: str, errors: list[FileError]) -> tuple[Globs, ...]:
    file = os.path.join(folder, name)
    if not os.path.isfile(file):
        return ()
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as stream:
            return (compile_globs(folder, stream),)
    except OSError as error:
        errors.append(FileError(_shown(os.path.join(shown, name)), _reason(error)))
        return ()


def _named(found: dict[str, str], folders: Sequence[str]) -> tuple[Source, ...]:
    order = sorted(found, key=lambda real: (found[real], real))
    names = module_names(order, folders)
    return tuple(
        Source(found[real], real, _printable(name), os.path.basename(real) == "__init__.py")
        for real, name in zip(order, names, strict=True)
    )


def _shown(path: str) -> str:
    """With `/`, without a leading `./`, doubled or trailing slashes."""
    parts = [part for part in path.replace(os.sep, "/").split("/") if part not in {"", "."}]
    return _printable(("/" if path.startswith("/") else "") + "/".join(parts)) or "."


def _printable(path: str) -> str:
    """File names need not be text; reports must be."""
    return path if path.isascii() else os.fsencode(path).decode("utf-8", "backslashreplace")


def _reason(error: OSError) -> str:
    return f"cannot be read: {error.strerror or error}"
