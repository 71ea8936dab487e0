"""The table of units for a reader: for each module its units, and below each what owns it, what it can wait for, and how it exits."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from leaklint.exits import Verdict
from leaklint.finding import Growth
from leaklint.link.owners import OwnerKind
from leaklint.report.color import Ink, paint
from leaklint.roster import Row

WIDTH = 100
"""Columns, unless the terminal has fewer."""
_SHOWN = 4
"""Waits and exits of one unit that are told; of the others only how many there are."""

_OWNER = {
    OwnerKind.GROUP: "the group `{}`",
    OwnerKind.EXECUTOR: "{}",
    OwnerKind.ATTRIBUTE: "the attribute `{}`",
    OwnerKind.GLOBAL: "the global `{}`",
    OwnerKind.CONTAINER: "the container `{}`",
    OwnerKind.RETURNED: "whoever gets it: {}",
    OwnerKind.ESCAPES: "out of sight: {}",
    OwnerKind.LOCAL: "the local variable `{}`",
    OwnerKind.AWAITED: "whoever waits for it here",
    OwnerKind.LIBRARY: "the library",
    OwnerKind.DROPPED: "nobody: its handle is dropped",
}
_MANY = {
    Growth.ONCE: "once",
    Growth.PER_CALL: "one for each call of `{}`",
    Growth.PER_ITERATION: "one for each turn of a loop in `{}`",
    Growth.AT_EXIT: "once",
}


def render(rows: Sequence[Row], color: bool, width: int = WIDTH) -> Iterator[str]:
    """Lines without line ends, at most `width` columns wide where words allow it; a blank one between modules."""
    for number, (path, group) in enumerate(groupby(rows, key=lambda row: row.path)):
        if number:
            yield ""
        yield paint(path, Ink.BOLD, color)
        units = list(group)
        margin = len(str(max(row.line for row in units)))
        for row in units:
            yield from _unit(row, margin, color, width)


def closing(rows: Sequence[Row]) -> str:
    """`41 units: 35 end, 2 only by code out of sight, 1 only with the process, 3 with no exit found`."""
    counts = Counter(row.verdict for row in rows)
    told = [f"{counts[Verdict.ENDS]} end{'s' if counts[Verdict.ENDS] == 1 else ''}"]
    if open_ := counts[Verdict.OPEN]:
        told.append(f"{open_} only by code out of sight")
    if kept := counts[Verdict.WITH_PROCESS]:
        told.append(f"{kept} only with the process")
    told.append(f"{counts[Verdict.NO_EXIT]} with no exit found")
    return f"{len(rows)} unit{'' if len(rows) == 1 else 's'}: {', '.join(told)}"


def _unit(row: Row, margin: int, color: bool, width: int) -> Iterator[str]:
    daemon = " (daemon)" if row.daemon else ""
    yield f"  {paint(f'{row.line:>{margin}}', Ink.PLACE, color)}  {row.kind} {paint(row.name, Ink.BOLD, color)}{daemon}"
    indent = " " * (margin + 4)

    def part(label: str, texts: Sequence[str]) -> Iterator[str]:
        for number, text in enumerate(texts):
            head = f"{label if not number else '':<7}"
            lines = textwrap.wrap(text, max(width - len(indent) - 7, 20), break_long_words=False, break_on_hyphens=False)
            for place, line in enumerate(lines):
                yield f"{indent}{paint(head, Ink.DIM, color) if not place else ' ' * 7}{line}"

    yield from part("starts", [_starts(row)])
    yield from part("owner", [_OWNER[row.owner.kind].format(row.owner.name)])
    if row.blocks:
        told = [f"`{one.operation}` {_at(row, one.path, one.line)}" for one in row.blocks[:_SHOWN]]
        yield from part("waits", ["; ".join((*told, *_more(len(row.blocks))))])
    exits = [f"{one.kind}: {one.message} {_at(row, one.path, one.line)}" for one in row.exits]
    yield from part("exits", [*exits[:_SHOWN], *_more(len(exits))])
    if row.verdict is Verdict.NO_EXIT:
        yield f"{indent}{paint('no exit found', Ink.CODE, color)}"
    if row.hindrances:
        yield from part("but", [f"{one.message} {_at(row, one.path, one.line)}" for one in row.hindrances[:_SHOWN]])


def _starts(row: Row) -> str:
    many = _MANY[row.multiplicity].format(row.function) if row.function else "once"
    elsewhere = [start for start in row.starts if (start.path, start.line) != (row.path, row.line)]
    if not row.starts:
        return "never started"
    if not elsewhere:
        return many
    places = [_at(row, start.path, start.line) for start in elsewhere[:_SHOWN]]
    return f"{many}, started {', '.join((*places, *_more(len(elsewhere))))}"


def _at(row: Row, path: str, line: int) -> str:
    return f"at line {line}" if path == row.path else f"at {path}:{line}"


def _more(count: int) -> list[str]:
    return [f"and {count - _SHOWN} more"] if count > _SHOWN else []
