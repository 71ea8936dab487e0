"""The table of units: what runs on its own, where it starts, how many, who owns it, what it can wait for, and how it exits.

The structs are the schema of `leaklint units --format json`, field order included. Lines and columns start at 1; paths are as given.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TypeVar

from msgspec import Struct

from leaklint.catalog.grammar import Kind, UnitKind, Waits
from leaklint.exits import Ending, ExitKind, Exits, Started, Verdict, WayOut, started
from leaklint.exits.leaving import named
from leaklint.exits.started import bound_to
from leaklint.finding import Growth, Step
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.flow.state import CallRecord
from leaklint.link.owners import OwnerKind, Owners

_T = TypeVar("_T")


class Start(Struct, frozen=True):
    """A call that starts the unit. `function` is "" at module level."""

    path: str
    line: int
    column: int
    function: str


class Holder(Struct, frozen=True):
    """Who owns a unit. `name`: the attribute, variable, group or function; the reason where code out of sight has it; else ""."""

    kind: OwnerKind
    name: str


class Wait(Struct, frozen=True):
    """An operation that waits without a bound. `operation` is `resource.method`; `resource` its kind, null when it is not known."""

    operation: str
    resource: Kind | None
    waits: Waits
    path: str
    line: int
    column: int


class Exit(Struct, frozen=True):
    """A way to the end of the unit, with the place that brings it about."""

    kind: ExitKind
    path: str
    line: int
    column: int
    message: str


class Hindrance(Struct, frozen=True):
    """Why something that looks like an end of the unit is none."""

    path: str
    line: int
    column: int
    message: str


class Row(Struct, frozen=True):
    """A unit: what one place starts under one name. `multiplicity` counts over the life of the process."""

    kind: UnitKind
    name: str
    path: str
    line: int
    column: int
    function: str
    starts: tuple[Start, ...]
    multiplicity: Growth
    owner: Holder
    daemon: bool
    blocks: tuple[Wait, ...]
    verdict: Verdict
    exits: tuple[Exit, ...]
    hindrances: tuple[Hindrance, ...]


class Roster(Struct, frozen=True):
    """The JSON output as a whole; `files` counts the files analysed. Units are sorted by place."""

    version: str
    files: int
    units: tuple[Row, ...]


def roster(graph: Graph) -> tuple[Row, ...]:
    """One row for each unit of the program that somebody may start, by place. What one place starts under one name is one row, for whatever
    object it is; it is split only where some of it ends and some does not."""
    exits, owners = Exits(graph), Owners(graph.program)
    found = [one for one in started(graph) if one.made.function in graph.program.live]
    told = {(one.made.function.source, one.made.at) for one in found if one.values}
    # In a context in which nothing is given to it, a helper starts nothing.
    rows = [_row(graph, one, exits, owners) for one in found if one.values or (one.made.function.source, one.made.at) not in told]
    rows.sort(key=_key)
    return tuple(_merged(list(group)) for _, group in groupby(rows, key=_key))


def _key(row: Row) -> tuple[str, int, int, str, str, str]:
    return row.path, row.line, row.column, row.kind, row.name, row.verdict


def _row(graph: Graph, one: Started, exits: Exits, owners: Owners) -> Row:
    unit, ending = one.unit, exits.of(one)
    known_as = bound_to(graph, one.made) if one.is_shared else None
    owner = owners.of(unit, known_as)
    return Row(
        unit.kind, one.name, graph.program.path(one.made.function.module), one.made.at.line, one.made.at.column,
        graph.qualname(one.made.function), tuple(_start(graph, spawn.record) for spawn in unit.spawns), _multiplicity(graph, one),
        Holder(owner.kind, owner.name), unit.daemon, tuple(_wait(graph, a) for a in exits.blocks(one)), ending.verdict,
        *_told(ending),
    )  # fmt: skip


def _told(ending: Ending) -> tuple[tuple[Exit, ...], tuple[Hindrance, ...]]:
    return tuple(map(_exit, ending.ways)), tuple(map(_hindrance, ending.hindrances))


def _multiplicity(graph: Graph, one: Started) -> Growth:
    """Of what a helper starts: how often the helper is called for it."""
    own = one.unit.made is not None and one.unit.made.record is one.made
    return graph.growth(one.unit.spawns) if own else graph.growth_at([one.made])


def _start(graph: Graph, record: CallRecord) -> Start:
    path = graph.program.path(record.function.module)
    return Start(path, record.at.line, record.at.column, graph.qualname(record.function))


def _wait(graph: Graph, action: Action) -> Wait:
    kinds = (graph.program.kind(o) for o in sorted(action.subjects))
    assert action.waits is not None
    path = graph.program.path(action.function.module)
    return Wait(named(graph, action), next((k for k in kinds if k is not None), None), action.waits, path, action.at.line, action.at.column)


def _exit(way: WayOut) -> Exit:
    step = way.step
    return Exit(way.kind, step.path, step.at.line, step.at.column, step.message)


def _hindrance(step: Step) -> Hindrance:
    return Hindrance(step.path, step.at.line, step.at.column, step.message)


def _merged(rows: list[Row]) -> Row:
    """One row for what one place starts in several contexts."""
    first = rows[0]
    return Row(
        first.kind, first.name, first.path, first.line, first.column, first.function,
        _union(row.starts for row in rows), _worst(row.multiplicity for row in rows), first.owner, all(row.daemon for row in rows),
        _union(row.blocks for row in rows), first.verdict, _union(row.exits for row in rows), _union(row.hindrances for row in rows),
    )  # fmt: skip


def _worst(growths: Iterable[Growth]) -> Growth:
    return min(growths, key=list(Growth).index)


def _union(parts: Iterable[tuple[_T, ...]]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(one for part in parts for one in part))
