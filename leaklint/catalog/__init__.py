"""The rules and the library models, read from `rules/` and from what the user adds, checked as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, json

from leaklint.catalog.cards import read_card
from leaklint.catalog.grammar import Card, Models
from leaklint.catalog.models import ModelTables, build_models, read_tables
from leaklint.errors import LeaklintError

__all__ = ["INLINE", "Catalog", "catalog_digest", "load_catalog", "rules_folder"]

INLINE = "[tool.leaklint.models]"
"""How messages name models that stand in the user's settings."""


class Catalog(Struct, frozen=True):
    """`cards` by code, in the order of the codes. `digest` names the bytes that all of it came from."""

    cards: dict[str, Card]
    models: Models
    digest: str


def load_catalog(extra_folders: Sequence[Path] = (), inline_models: Mapping[str, object] | None = None) -> Catalog:
    """Read the shipped rules, then each extra folder, then the inline models; a later table replaces an earlier one of its name.

    Raises LeaklintError for the first card or model that breaks the grammar."""
    inline = dict(inline_models or {})
    tables = ModelTables()
    cards: dict[str, Card] = {}
    hasher = hashlib.blake2b(digest_size=16)
    for path in _files(extra_folders):
        content = path.read_bytes()
        hasher.update(content)
        if path.suffix == ".toml":
            tables = tables.extended(read_tables(content, path.as_posix()))
        else:
            card = read_card(content, path)
            if card.code in cards:
                raise LeaklintError(f"{path.as_posix()}: code: {card.code} is already the code of {cards[card.code].path}")
            cards[card.code] = card
    tables = tables.extended(ModelTables.of(inline, INLINE))
    hasher.update(_inline_bytes(inline))
    return Catalog(cards=dict(sorted(cards.items())), models=build_models(tables), digest=hasher.hexdigest())


def catalog_digest(extra_folders: Sequence[Path] = (), inline_models: Mapping[str, object] | None = None) -> str:
    """The digest that `load_catalog` would give, without reading more than bytes: enough to ask a cache."""
    hasher = hashlib.blake2b(digest_size=16)
    for path in _files(extra_folders):
        hasher.update(path.read_bytes())
    hasher.update(_inline_bytes(inline_models or {}))
    return hasher.hexdigest()


def rules_folder() -> Path:
    """The `rules` folder: inside the installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "rules"
    return installed if installed.is_dir() else package.parent / "rules"


def _files(extra_folders: Sequence[Path]) -> Iterator[Path]:
    """Cards (`*.md` but the README) and model files (`*.toml`, there or in `models/`), folder by folder, each sorted by name."""
    for folder in (rules_folder(), *extra_folders):
        if not folder.is_dir():
            raise LeaklintError(f"extend-rules: {folder.as_posix()} is not a folder")
        yield from sorted(folder.glob("*.toml"))
        yield from sorted(folder.glob("models/*.toml"))
        yield from sorted(path for path in folder.glob("*.md") if path.name != "README.md")


def _inline_bytes(inline: Mapping[str, object]) -> bytes:
    return json.encode(inline, order="sorted")
