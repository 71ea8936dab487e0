"""Why code out of sight may use an object or call a function."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Why(StrEnum):
    """The kinds of reasons."""

    RETURNED = "returned from a function that code out of sight may call"
    PASSED = "passed to a library function"
    UNRESOLVED = "passed to a call that cannot be resolved"
    STORED = "stored on an unknown object"
    UNKNOWN_OBJECT = "an attribute of its name is used on an unknown object"
    PUBLIC_NAME = "a public name of its module"
    PUBLIC_ATTRIBUTE = "a public attribute"
    MADE_ELSEWHERE = "code out of sight may make its owner too"
    IMPORTED = "imported by a file that is known only in outline"
    WIDENED = "passes through a variable that can hold anything"
    PUBLIC = "a function that code out of sight may call"
    OVERRIDES = "a method that a library may call"


class Reason(Struct, frozen=True):
    """`text` says it for one object or function, with names and places."""

    why: Why
    text: str
