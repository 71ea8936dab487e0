"""How a broken card or model is reported: one line with the file, the table, the key and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import msgspec

from leaklint.errors import LeaklintError

Wanted = TypeVar("Wanted")


@dataclass(frozen=True, slots=True)
class Place:
    """A file and the path of tables and keys that leads to one value in it."""

    file: str
    path: str

    def at(self, key: str) -> Place:
        return Place(self.file, f"{self.path}: {key}" if self.path else key)

    def error(self, message: str) -> LeaklintError:
        return LeaklintError(f"{self.file}: {self.path}: {message}")

    def known_keys(self, table: Mapping[str, object], keys: Collection[str]) -> None:
        """Raises LeaklintError for a key of the table that is not one of `keys`."""
        for key in table:
            if key not in keys:
                raise self.at(key).error(expected("unknown key", key, keys))

    def convert(self, value: object, wanted: type[Wanted]) -> Wanted:
        """The value as a `wanted`. Raises LeaklintError, with the closest member where `wanted` or a field of it is an enum."""
        try:
            return msgspec.convert(value, wanted)
        except msgspec.ValidationError as error:
            raise self._located(value, wanted, str(error)) from error

    def _located(self, value: object, wanted: type[object], problem: str) -> LeaklintError:
        message, _, where = problem.partition(" - at `$.")
        key = where.rstrip("`").partition("[")[0].partition(".")[0]
        given = value.get(key) if key and isinstance(value, Mapping) else value
        place = self.at(key) if key else self
        members = _members(wanted, key)
        if members and isinstance(given, str):
            return place.error(expected(f"unknown value {given!r}", given, members))
        return place.error(message[:1].lower() + message[1:])


def expected(problem: str, given: str, choices: Iterable[str]) -> str:
    """The problem with the closest of the choices, or with all of them if they are few."""
    known = sorted(choices)
    guess = closest(given, known)
    if guess is not None:
        return f"{problem}; did you mean {guess!r}?"
    return f"{problem}; known: {', '.join(known)}" if 0 < len(known) <= 40 else problem


def closest(given: str, choices: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(given, sorted(choices), n=1)), None)


def _members(wanted: type[object], key: str) -> tuple[str, ...]:
    """The values of the enum that `wanted`, or its field `key`, is."""
    if not key:
        return _values(wanted)
    for field in msgspec.structs.fields(wanted):  # type: ignore[arg-type]  # only a Struct gives a problem with a key
        if field.encode_name == key:
            return tuple(value for choice in (field.type, *getattr(field.type, "__args__", ())) for value in _values(choice))
    return ()


def _values(kind: object) -> tuple[str, ...]:
    return tuple(member.value for member in kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else ()
