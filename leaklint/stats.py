"""How much is known of the resources of a program, counted: as a table for people and as plain facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypedDict

from leaklint.knowledge import Knowledge, Standing


class Row(TypedDict):
    """Counts of one group. `end` is None where resources are counted as a whole; `library` None where all libraries are together."""

    kind: str
    library: str | None
    end: str | None
    count: int
    resolved: int
    escapes: int
    unknown: int


class Entry(TypedDict):
    """One resource; `missing` names the ends that are not in sight, `reason` says why code out of sight may use it."""

    path: str
    line: int
    column: int
    kind: str
    library: str
    name: str
    missing: list[str]
    reason: str | None


class Escaping(TypedDict):
    """Why resources escape, without the names and places that tell one from the other."""

    kind: str
    reason: str
    count: int


class Stats(TypedDict):
    """`resources` by kind and library; `ends` by kind and end, of all resources and of those that an attribute keeps."""

    resources: list[Row]
    ends: list[Row]
    ends_in_attributes: list[Row]
    reasons: list[Escaping]
    listed: list[Entry]


def count(known: Sequence[Knowledge], listed: Standing | None = None) -> Stats:
    """`listed`: which resources to name one by one."""
    kept = [one for one in known if one.in_attribute]
    escaping = Counter((one.kind, one.reason.why.value) for one in known if one.standing is Standing.ESCAPES and one.reason is not None)
    return {
        "resources": list(_resources(known)),
        "ends": list(_ends(known)),
        "ends_in_attributes": list(_ends(kept)),
        "reasons": [{"kind": kind, "reason": reason, "count": n} for (kind, reason), n in sorted(escaping.items(), key=_most_first)],
        "listed": [_entry(one) for one in known if one.standing is listed],
    }


def table(stats: Stats) -> Iterator[str]:
    """The same as lines without line ends; shares in per cent of the row."""
    yield from _table("resources", "library", stats["resources"])
    yield from _table("ends", "end", stats["ends"])
    yield from _table("ends of what attributes keep", "end", stats["ends_in_attributes"])
    reasons: Counter[str] = Counter()
    for row in stats["reasons"]:
        reasons[row["reason"]] += row["count"]
    if reasons:
        yield "why they escape"
        yield from (f"{n:>6}  {reason}" for reason, n in sorted(reasons.items(), key=_most_first))
        yield ""
    for entry in stats["listed"]:
        missing = f": no {', no '.join(entry['missing'])}" if entry["missing"] else ""
        reason = f" ({entry['reason']})" if entry["reason"] is not None else ""
        yield f"{entry['path']}:{entry['line']}:{entry['column']}: {entry['kind']} {entry['name']}{missing}{reason}"


def _resources(known: Iterable[Knowledge]) -> Iterator[Row]:
    groups: dict[tuple[str, str], Counter[Standing]] = {}
    for one in known:
        groups.setdefault((one.kind, one.library), Counter())[one.standing] += 1
    for (kind, library), standings in sorted(groups.items()):
        yield _row(kind, library, None, standings)


def _ends(known: Iterable[Knowledge]) -> Iterator[Row]:
    groups: dict[tuple[str, str], Counter[Standing]] = {}
    for one in known:
        for end, standing in one.ends.items():
            groups.setdefault((one.kind, end), Counter())[standing] += 1
    for (kind, end), standings in sorted(groups.items()):
        yield _row(kind, None, end, standings)


def _row(kind: str, library: str | None, end: str | None, standings: Mapping[Standing, int]) -> Row:
    resolved, escapes, unknown = (standings.get(one, 0) for one in (Standing.RESOLVED, Standing.ESCAPES, Standing.UNKNOWN))
    total = resolved + escapes + unknown
    return {"kind": kind, "library": library, "end": end, "count": total, "resolved": resolved, "escapes": escapes, "unknown": unknown}


def _entry(one: Knowledge) -> Entry:
    return {
        "path": one.path, "line": one.line, "column": one.column, "kind": one.kind, "library": one.library, "name": one.name,
        "missing": list(one.missing), "reason": one.reason.text if one.reason is not None else None,
    }  # fmt: skip


def _table(title: str, heading: str, rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    names = [(row["kind"], row["library"] or row["end"] or "") for row in rows]
    wide, wider = max(len(kind) for kind, _ in [("kind", ""), *names]), max(len(name) for _, name in [("", heading), *names])
    yield title
    yield f"  {'kind':<{wide}}  {heading:<{wider}}  {'count':>6}  {'resolved':>14}  {'escapes':>14}  {'unknown':>14}"
    for (kind, name), row in zip(names, rows, strict=True):
        shares = "  ".join(f"{_share(part, row['count']):>14}" for part in (row["resolved"], row["escapes"], row["unknown"]))
        yield f"  {kind:<{wide}}  {name:<{wider}}  {row['count']:>6}  {shares}"
    yield ""


def _share(part: int, whole: int) -> str:
    return f"{part} {100 * part / whole:5.1f} %"


def _most_first(item: tuple[object, int]) -> tuple[int, str]:
    return -item[1], str(item[0])


__all__ = ["Stats", "count", "table"]
