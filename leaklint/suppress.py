"""Findings in, those that no comment and no setting silences out; and the comments that silence nothing (LK002)."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence

from leaklint.finding import Confidence, Finding, Growth, Leak
from leaklint.globs import compile_globs, verdict
from leaklint.ir import Suppression
from leaklint.settings import Settings

UNUSED = "LK002"

UNUSED_FACTS: dict[str, frozenset[str]] = {"blanket": frozenset(), "unused": frozenset({"codes"}), "unknown": frozenset({"codes"})}
"""Variant of LK002 → the facts that its message may use: a comment without codes that silences nothing; codes in a comment that
silence nothing; codes that no rule has."""

Comments = Mapping[str, Sequence[Suppression]]
"""Shown path of a file → its comments."""

Use = tuple[str, Suppression, str]
"""A comment of a file silenced something, with this one of its codes; "" when it has none."""


def silence(findings: Sequence[Finding], comments: Comments) -> tuple[list[Finding], set[Use]]:
    """The findings that no comment silences, and what the comments were good for."""
    kept: list[Finding] = []
    uses: set[Use] = set()
    for finding in findings:
        silenced_by = [
            (finding.path, comment, code)
            for comment in comments.get(finding.path, ())
            if _covers(comment, finding.line, finding.end_line)
            for code in comment.codes or ("",)
            if finding.code.startswith(code)
        ]
        uses.update(silenced_by)
        if not silenced_by:
            kept.append(finding)
    return kept, uses


def unused(comments: Comments, uses: Collection[Use], selected: Collection[str], on: Mapping[str, bool]) -> Iterator[Leak]:
    """One leak for each comment of ours that silences nothing or has codes that do not; codes that no rule has are told first. `on`
    maps all codes that there are to whether they are on by default. Nothing is said about codes whose rules did not all run."""
    for path, of_file in comments.items():
        for comment in of_file:
            line = comment.at.line
            if comment.style != "leaklint" or any(UNUSED in other.codes and _covers(other, line, line) for other in of_file):
                continue
            useless = [code for code in comment.codes or ("",) if (path, comment, code) not in uses]
            unknown = [code for code in useless if not _fitting(code, on)]
            idle = [code for code in useless if _fitting(code, on) and _did_run(code, selected, on)]
            if unknown:
                yield _leak(path, comment, "unknown", unknown)
            elif idle:
                yield _leak(path, comment, "unused" if comment.codes else "blanket", idle)


def without_ignored_files(findings: Sequence[Finding], settings: Settings, real: Mapping[str, str]) -> list[Finding]:
    """The findings that `per-file-ignores` leaves; `real` maps shown paths to real ones."""
    root = os.path.realpath(settings.root)
    rules = [(compile_globs(root, [glob]), codes) for glob, codes in settings.per_file_ignores.items()]

    def is_ignored(finding: Finding) -> bool:
        file = real[finding.path]
        return file.startswith(os.path.join(root, "")) and any(
            finding.code.startswith(codes) and verdict(globs, file, False) for globs, codes in rules
        )

    return [finding for finding in findings if not is_ignored(finding)]


def _covers(comment: Suppression, line: int, end_line: int) -> bool:
    return comment.whole_file or line <= comment.at.line <= end_line


def _fitting(code: str, on: Mapping[str, bool]) -> list[str]:
    return [one for one in on if one.startswith(code)]


def _did_run(code: str, selected: Collection[str], on: Mapping[str, bool]) -> bool:
    """Whether the rules that `code` stands for ran: those of them that are on by default, or all when none is."""
    fitting = _fitting(code, on)
    return all(one in selected for one in ([one for one in fitting if on[one]] or fitting))


def _leak(path: str, comment: Suppression, variant: str, codes: Sequence[str]) -> Leak:
    return Leak(
        path=path,
        at=comment.at,
        function="",
        facts={"codes": ", ".join(codes)} if comment.codes else {},
        confidence=Confidence.PROVEN,
        growth=Growth.ONCE,
        trace=(),
        variant=variant,
    )
