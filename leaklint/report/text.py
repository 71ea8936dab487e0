"""Findings for a reader: the line, then the trace with the source lines it speaks of, the witness and the mend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from leaklint.finding import Finding, Growth, Report
from leaklint.report.color import Ink, paint
from leaklint.report.line import line_of
from leaklint.report.schedule import INDENT
from leaklint.report.schedule import render as schedule

LinesOf = Callable[[str], Sequence[str]]
"""Path as in the report → the lines of that file, without line ends; empty when they are not to be had."""

MEND = "mend: "
"""How the message of the last step of a trace begins when it says what to do."""


def render(report: Report, lines_of: LinesOf, color: bool) -> Iterator[str]:
    """Lines without line ends; a blank one between findings. What grows fastest comes first, then as in the report: by path and line."""
    for number, finding in enumerate(sorted(report.findings, key=lambda finding: list(Growth).index(finding.growth))):
        if number:
            yield ""
        yield from _finding(finding, lines_of, color)


def closing(report: Report) -> str:
    """`3 leaks in 2 of 54 files`. The codes LK0xx speak of files and comments, not of leaks, and are counted apart."""
    leaks = sum(not finding.code.startswith("LK0") for finding in report.findings)
    others = len(report.findings) - leaks
    touched = len({finding.path for finding in report.findings})
    found = " and ".join(
        [_count(leaks, "leak")] * (leaks > 0)
        + [_count(others, "other finding")] * (others > 0)
        + ["no leaks found"] * (not report.findings)
    )
    where = f"{touched} of {_count(report.files, 'file')}" if touched else _count(report.files, "file")
    return f"{found} in {where}{f'; {len(report.errors)} could not be read' if report.errors else ''}"


def statistics(report: Report) -> Iterator[str]:
    """One line for each code found: how often, in how many files, its name; the most frequent first."""
    counts = Counter((finding.code, finding.name) for finding in report.findings)
    width = len(str(max(counts.values(), default=0)))
    for (code, name), count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        files = len({finding.path for finding in report.findings if finding.code == code})
        yield f"{count:>{width}}  {code}  {name} in {_count(files, 'file')}"


def _finding(finding: Finding, lines_of: LinesOf, color: bool) -> Iterator[str]:
    yield _headline(finding, color)
    steps = [step for step in finding.trace if not step.message.startswith(MEND)]
    mends = [step.message for step in finding.trace if step.message.startswith(MEND)]
    margin = len(str(max([finding.line, *(step.line for step in steps)])))
    width = max((len(f"{step.path}:{step.line}") for step in steps), default=0)
    quoted: set[tuple[str, int]] = set()

    def line_at(path: str, line: int) -> str:
        lines = lines_of(path)
        return lines[line - 1].strip() if 0 < line <= len(lines) else ""

    def quote(path: str, line: int) -> Iterator[str]:
        """The source line, once for each trace."""
        if (text := line_at(path, line)) and (path, line) not in quoted:
            quoted.add((path, line))
            yield f"{INDENT}{INDENT}{paint(f'{line:>{margin}} |', Ink.DIM, color)} {text}"

    if (finding.path, finding.line) not in {(step.path, step.line) for step in steps}:
        yield from quote(finding.path, finding.line)
    for step in steps:
        place = f"{step.path}:{step.line}"
        yield f"{INDENT}{paint(place, Ink.PLACE, color)}{' ' * (width - len(place))}  {step.message}"
        yield from quote(step.path, step.line)
    yield from schedule(finding.witness, line_at, color)
    for mend in mends:
        yield f"{INDENT}{paint(MEND.rstrip(), Ink.BOLD, color)} {mend.removeprefix(MEND)}"


def _headline(finding: Finding, color: bool) -> str:
    if not color:
        return line_of(finding)
    place = f"{paint(finding.path, Ink.BOLD, color)}:{finding.line}:{finding.column}:"
    return f"{place} {paint(finding.code, Ink.CODE, color)} {finding.message} {paint(f'({finding.confidence})', Ink.SURE, color)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
