"""What the user asked for: `[tool.leaklint]` of the nearest pyproject.toml, and what the command line puts over it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from leaklint.errors import LeaklintError
from leaklint.finding import Confidence

DEFAULT_EXCLUDE = (
    ".direnv", ".eggs", ".git", ".hg", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", ".svn", ".tox", ".venv",
    "__pycache__", "__pypackages__", "node_modules", "site-packages", "venv", "*.egg-info/",
)  # fmt: skip


class Settings(Struct, frozen=True, rename="kebab"):
    """Every option once; in pyproject.toml and on the command line it has the kebab-case name of its field.

    select            code prefixes (`LK`, `LK1`, `LK103`) that replace the default, the cards that are on; empty: the default
    ignore            code prefixes to leave out; of all prefixes that fit a code the longest decides
    extend_select     code prefixes to add
    exclude           gitignore-style globs, relative to `root`, of what a folder given by the user is not searched for
    extend_exclude    the same, in addition
    confidence        the least sure findings to report
    jobs              processes; 0: as many as there are processors
    cache, cache_dir  whether and where to keep results; None: `.leaklint_cache` in `root`
    per_file_ignores  gitignore-style glob, relative to `root` → code prefixes
    extend_rules      folders of cards and models of the user, absolute
    models            models as in `rules/models/*.toml`, inline
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = DEFAULT_EXCLUDE
    extend_exclude: tuple[str, ...] = ()
    confidence: Confidence = Confidence.LIKELY
    jobs: Annotated[int, Meta(ge=0)] = 0
    cache: bool = True
    cache_dir: str | None = None
    per_file_ignores: dict[str, tuple[str, ...]] = {}
    extend_rules: tuple[str, ...] = ()
    models: dict[str, Any] = {}

    root: str = ""
    """Not an option: the folder, absolute, of the pyproject.toml that was read; "": the working directory."""
    file: str = ""
    """Not an option: that pyproject.toml as messages name it; "": none."""
    given: frozenset[str] = frozenset()
    """Not an option: the options that the command line set."""


_FIELDS = {field.encode_name: field for field in msgspec.structs.fields(Settings) if field.name not in {"root", "file", "given"}}
_SURENESS = (Confidence.POSSIBLE, Confidence.LIKELY, Confidence.PROVEN)


def load(paths: Iterable[str]) -> Settings:
    """The settings of the project that holds `paths`: the nearest pyproject.toml with a `[tool.leaklint]`, at or above their
    common parent. Raises LeaklintError for a file that is not TOML, an unknown key and a wrong type."""
    for folder in _upwards(_common_parent(paths)):
        file = os.path.join(folder, "pyproject.toml")
        if os.path.isfile(file) and (table := _table(file)) is not None:
            return _settings(table, file)
    return Settings()


def read(file: str) -> Settings:
    """The settings in one file laid out like a pyproject.toml, which must exist; the defaults when it has no `[tool.leaklint]`.
    Raises LeaklintError as `load` does."""
    path = os.path.abspath(file)
    return _settings(_table(path) or {}, path)


def override(settings: Settings, options: Mapping[str, object]) -> Settings:
    """The settings with the command line's options, by field name, put over them; None: not given. Raises LeaklintError for a
    wrong value."""
    given = {name.replace("_", "-"): value for name, value in options.items() if value is not None}
    values = {_FIELDS[key].name: _convert(value, key, f"--{key}") for key, value in given.items()}
    if "extend_rules" in values:
        values["extend_rules"] = tuple(os.path.abspath(folder) for folder in values["extend_rules"])
    if "cache_dir" in values:
        values["cache_dir"] = os.path.abspath(values["cache_dir"])
    return msgspec.structs.replace(settings, **values, given=settings.given | set(values))


def check_codes(settings: Settings, known: Collection[str]) -> None:
    """Raises LeaklintError for a prefix, anywhere in the settings, that fits no code of the catalogue."""
    for name in ("select", "extend_select", "ignore"):
        for code in getattr(settings, name):
            _check_code(code, known, _place(settings, name))
    for glob, codes in settings.per_file_ignores.items():
        for code in codes:
            _check_code(code, known, f'{_place(settings, "per_file_ignores")} "{glob}"')


def is_selected(settings: Settings, code: str, on: bool) -> bool:
    """Whether the user wants `code`, which is `on` by default or not."""
    chosen = _fit((*settings.select, *settings.extend_select), code)
    if not settings.select and on:
        chosen = max(chosen, 0)
    return chosen > _fit(settings.ignore, code)


def is_sure_enough(settings: Settings, confidence: Confidence) -> bool:
    return sureness(confidence) >= sureness(settings.confidence)


def sureness(confidence: Confidence) -> int:
    """Greater is surer."""
    return _SURENESS.index(confidence)


def nearest(word: str, known: Collection[str], what: str) -> str:
    """The end of a message about an unknown word: the known one that is most like it, or all of them."""
    close = get_close_matches(word, known, n=1)
    return f'did you mean "{close[0]}"?' if close else f"{what}: {', '.join(sorted(known))}"


def _fit(prefixes: Iterable[str], code: str) -> int:
    """The length of the longest prefix that fits, -1 when none does."""
    return max((len(prefix) for prefix in prefixes if code.startswith(prefix)), default=-1)


def _settings(table: dict[str, Any], path: str) -> Settings:
    folder, file = os.path.dirname(path), _shown(path)
    for key in table:
        if key not in _FIELDS:
            raise LeaklintError(f'{file}: [tool.leaklint]: unknown key "{key}"; {nearest(key, _FIELDS, "keys")}')
    values = {_FIELDS[key].name: _convert(value, key, f"{file}: [tool.leaklint] {key}") for key, value in table.items()}
    if "extend_rules" in values:
        values["extend_rules"] = tuple(os.path.join(folder, one) for one in values["extend_rules"])
    if "cache_dir" in values:
        values["cache_dir"] = os.path.join(folder, values["cache_dir"])
    return Settings(**values, root=folder, file=file)


def _convert(value: object, key: str, where: str) -> Any:
    try:
        return msgspec.convert(value, _FIELDS[key].type)
    except msgspec.ValidationError as error:
        if key == "confidence" and isinstance(value, str):
            raise LeaklintError(f'{where}: unknown confidence "{value}"; {nearest(value, list(Confidence), "choices")}') from None
        reason = str(error).replace("`", "").replace(" - at $", " at ")
        raise LeaklintError(f"{where}: {reason[:1].lower()}{reason[1:]}") from None


def _table(file: str) -> dict[str, Any] | None:
    try:
        with open(file, "rb") as stream:
            content = tomllib.load(stream)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LeaklintError(f"{_shown(file)}: not valid TOML: {error}") from None
    except OSError as error:
        raise LeaklintError(f"{_shown(file)}: cannot be read: {error.strerror}") from None
    tool = content.get("tool", {})
    table = tool.get("leaklint") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise LeaklintError(f"{_shown(file)}: tool.leaklint: expected a table, [tool.leaklint]")
    return table


def _place(settings: Settings, name: str) -> str:
    key = name.replace("_", "-")
    return f"--{key}" if name in settings.given or not settings.file else f"{settings.file}: [tool.leaklint] {key}"


def _check_code(code: str, known: Collection[str], place: str) -> None:
    if not code or not any(one.startswith(code) for one in known):
        prefixes = {one[:length] for one in known for length in (2, 3, len(one))}
        raise LeaklintError(f'{place}: unknown code "{code}"; {nearest(code.upper(), prefixes, "codes")}')


def _common_parent(paths: Iterable[str]) -> str:
    folders = [path if os.path.isdir(path) else os.path.dirname(path) for path in map(os.path.abspath, paths)]
    try:
        return os.path.commonpath(folders)
    except ValueError:  # no path at all, or paths on different drives
        return os.getcwd()


def _upwards(folder: str) -> Iterable[str]:
    yield folder
    while (parent := os.path.dirname(folder)) != folder:
        yield (folder := parent)


def _shown(file: str) -> str:
    near = file.startswith(os.path.join(os.getcwd(), ""))
    return (os.path.relpath(file) if near else file).replace(os.sep, "/")
