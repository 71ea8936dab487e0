"""A rule's card: TOML front matter between `+++` lines, prose, and the programs under `## Leaks` and `## Fixed`."""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from leaklint.catalog.complaint import Place
from leaklint.catalog.grammar import Card, Family

_FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"[A-Z]{1,3}[0-9]{3}")
_NAME = re.compile(r"[a-z]+(-[a-z]+)*")


class _FrontMatter(msgspec.Struct, frozen=True):
    code: str
    name: str
    family: Family
    says: str
    on: bool
    query: str
    messages: dict[str, str]
    options: dict[str, bool | int | str | tuple[str, ...]] = {}
    mends: dict[str, str] = {}


_KEYS = frozenset(field.encode_name for field in msgspec.structs.fields(_FrontMatter))


def read_card(content: bytes, path: Path) -> Card:
    """The card in one Markdown file. Raises LeaklintError if it breaks the grammar of rules/README.md."""
    place = Place(path.as_posix(), "card")
    front, body = _halves(place, content)
    place = Place(path.as_posix(), "front matter")
    matter = _front_matter(place, front)
    _check_names(place, matter, path)
    for table, templates in (("messages", matter.messages), ("mends", matter.mends)):
        _check_templates(place.at(table), templates)
    sections = re.split(r"^## (Leaks|Fixed)\n", body, flags=re.MULTILINE)
    if sections[1::2] != ["Leaks", "Fixed"]:
        raise Place(path.as_posix(), "card").error("the headings `## Leaks` and `## Fixed` must follow the prose, once each")
    prose, leaks, fixed = sections[0].strip(), _programs(sections[2]), _programs(sections[4])
    if not (prose and leaks and fixed):
        raise Place(path.as_posix(), "card").error("prose and, under `## Leaks` and `## Fixed`, a ```python block each are wanted")
    return Card(
        code=matter.code,
        name=matter.name,
        family=matter.family,
        says=matter.says,
        on=matter.on,
        query=matter.query,
        options=matter.options,
        messages=matter.messages,
        mends=matter.mends,
        prose=prose,
        leaks=leaks,
        fixed=fixed,
        path=path.as_posix(),
    )


def template_fields(template: str) -> frozenset[str]:
    """The names of the facts in a template. Raises ValueError if its braces do not match."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(template) if name is not None)


def _halves(place: Place, content: bytes) -> tuple[str, str]:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise place.error(f"not UTF-8: {error}") from error
    parts = re.split(r"^\+\+\+\n", text.replace("\r\n", "\n"), maxsplit=2, flags=re.MULTILINE)
    if len(parts) != 3 or parts[0]:
        raise place.error("must begin with TOML front matter between two `+++` lines")
    return parts[1], parts[2]


def _front_matter(place: Place, front: str) -> _FrontMatter:
    try:
        table = tomllib.loads(front)
    except tomllib.TOMLDecodeError as error:
        raise place.error(f"not valid TOML: {error}") from error
    place.known_keys(table, _KEYS)
    return place.convert(table, _FrontMatter)


def _check_names(place: Place, matter: _FrontMatter, path: Path) -> None:
    if not _CODE.fullmatch(matter.code):
        raise place.at("code").error(f"{matter.code!r} must be one to three capital letters and three digits")
    if not _NAME.fullmatch(matter.name):
        raise place.at("name").error(f"{matter.name!r} must be small words joined by `-`")
    if path.name != f"{matter.code}-{matter.name}.md":
        raise place.at("name").error(f"the file must be called {matter.code}-{matter.name}.md")
    if not matter.messages:
        raise place.at("messages").error("at least one message is wanted, such as `default`")
    for variant in matter.mends:
        if variant not in matter.messages:
            raise place.at("mends").at(variant).error("no message has this variant")


def _check_templates(place: Place, templates: Mapping[str, str]) -> None:
    for variant, template in templates.items():
        try:
            names = template_fields(template)
        except ValueError as error:
            raise place.at(variant).error(str(error)) from error
        for name in names:
            if not name.isidentifier():
                raise place.at(variant).error(f"{{{name}}} is no fact: a field is one plain name")


def _programs(section: str) -> tuple[str, ...]:
    return tuple(match.group(1) for match in _FENCE.finditer(section))
