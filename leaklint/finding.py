"""What a query yields and what a reader gets: `Leak` crosses from `queries` to the engine, `Finding` from there to `report`."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from leaklint.ir import Span
from leaklint.witness import Event


class Confidence(StrEnum):
    """How sure one finding is. `POSSIBLE` ones are reported only when asked for."""

    PROVEN = "proven"
    LIKELY = "likely"
    POSSIBLE = "possible"


class Growth(StrEnum):
    """How many of the leaked thing pile up, the worst first. What grows ends a long-lived process; what keeps a process from ending is
    noticed; a fixed number costs what it costs."""

    PER_ITERATION = "per-iteration"
    PER_CALL = "per-call"
    AT_EXIT = "at-exit"
    ONCE = "once"


class Step(Struct, frozen=True):
    """One line of a trace: a place and what happens there."""

    path: str
    at: Span
    message: str


class Leak(Struct, frozen=True):
    """Where and why, as a query sees it. The card's message and mend named `variant` are filled in with `facts`. `blocked`: the waits
    one of which is said never to end, where there are such: that can be proven or refuted."""

    path: str
    at: Span
    function: str
    facts: dict[str, str]
    confidence: Confidence
    growth: Growth
    trace: tuple[Step, ...]
    variant: str = "default"
    witness: tuple[Event, ...] = ()
    blocked: tuple[Step, ...] = ()


class TraceStep(Struct, frozen=True):
    path: str
    line: int
    column: int
    message: str


class Edit(Struct, frozen=True):
    """Replace the text from (line, column) to (end_line, end_column), exclusive, of `path` by `text`."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    text: str


class Fix(Struct, frozen=True):
    safe: bool
    message: str
    edits: tuple[Edit, ...]


class Finding(Struct, frozen=True):
    """One entry of the JSON output; the field order is the schema's. `function` is "" at module level, an event of the witness one line of
    text."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    code: str
    name: str
    message: str
    function: str
    confidence: Confidence
    growth: Growth
    trace: tuple[TraceStep, ...]
    witness: tuple[Event, ...] = ()
    fix: Fix | None = None


class FileError(Struct, frozen=True):
    """A file or folder that could not be read."""

    path: str
    message: str


class Report(Struct, frozen=True):
    """The JSON output as a whole; `files` counts the files analysed."""

    version: str
    files: int
    findings: tuple[Finding, ...]
    errors: tuple[FileError, ...]
