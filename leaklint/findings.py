"""Leaks and cards in, findings out: where what a query saw gets its code, its words and its mend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from leaklint.catalog.cards import template_fields
from leaklint.catalog.grammar import Card, Family, Models
from leaklint.collector import paused
from leaklint.errors import LeaklintError
from leaklint.finding import Confidence, Finding, Growth, Leak, Step, TraceStep
from leaklint.ir import Module, Span
from leaklint.settings import nearest, sureness
from leaklint.suppress import UNUSED, UNUSED_FACTS

if TYPE_CHECKING:
    from leaklint.graph import Graph
    from leaklint.link.inlining import Through

CANNOT_PARSE = "LK001"
CANNOT_PARSE_FACTS: dict[str, frozenset[str]] = {"default": frozenset({"reason"})}


def graph_of(modules: Sequence[Module], models: Models) -> Graph:
    """The graph of the modules that parse."""
    from leaklint.graph import build
    from leaklint.link import link

    with paused():
        return build(link([module for module in modules if module.summary.problem is None], models))


def queried(graph: Graph, cards: Iterable[Card]) -> list[Finding]:
    """What the queries of the cards find in the program. Raises LeaklintError for a card that does not fit its query."""
    from leaklint.explore import Explorer
    from leaklint.queries import QUERIES

    explorer = Explorer(graph)
    plan = []
    for card in cards:
        if card.family is Family.ENGINE:
            continue
        if (query := QUERIES.get(card.query)) is None:
            raise LeaklintError(f'{card.path}: query: there is no query "{card.query}"; {nearest(card.query, QUERIES, "queries")}')
        _check_templates(card, query.facts)
        plan.append((card, query, _options(card, query.options)))
    with paused():
        seen = [(card, explorer.judged(leak)) for card, query, options in plan for leak in query.run(graph, options)]
    return [_finding(card, leak, graph.program.through) for card, leak in seen if leak is not None]


def problems(modules: Iterable[Module], cards: Iterable[Card]) -> Iterator[Finding]:
    """The files that do not parse."""
    leaks = (
        Leak(
            path=module.path,
            at=Span(problem.line, problem.column, problem.line, problem.column + 1),
            function="",
            facts={"reason": problem.message},
            confidence=Confidence.PROVEN,
            growth=Growth.ONCE,
            trace=(),
        )
        for module in modules
        if (problem := module.summary.problem) is not None
    )
    return _engine_findings(leaks, CANNOT_PARSE, CANNOT_PARSE_FACTS, cards)


def idle_comments(leaks: Iterable[Leak], cards: Iterable[Card]) -> Iterator[Finding]:
    """The comments that silence nothing."""
    return _engine_findings(leaks, UNUSED, UNUSED_FACTS, cards)


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """By path, line, column and code; of several with the same ones the surest, then the one whose text comes first."""
    best: dict[tuple[str, int, int, str], Finding] = {}
    for finding in findings:
        key = (finding.path, finding.line, finding.column, finding.code)
        if key not in best or _choice(finding) < _choice(best[key]):
            best[key] = finding
    return [best[key] for key in sorted(best)]


def _choice(finding: Finding) -> tuple[int, str, tuple[tuple[str, int, str], ...]]:
    return -sureness(finding.confidence), finding.message, tuple((step.path, step.line, step.message) for step in finding.trace)


def _engine_findings(leaks: Iterable[Leak], code: str, facts: Mapping[str, frozenset[str]], cards: Iterable[Card]) -> Iterator[Finding]:
    """Nothing when the user did not select the card."""
    for card in cards:
        if card.code == code:
            _check_templates(card, facts)
            yield from (_finding(card, leak, {}) for leak in leaks)


def _finding(card: Card, leak: Leak, through: Through) -> Finding:
    """What a function does for its callers is shown where it does it."""
    if leak.variant not in card.messages:
        raise LeaklintError(f"{card.path}: messages: {leak.variant} is missing, for a leak at {leak.path}:{leak.at.line}")
    operation = through.get((leak.path, leak.at))
    path, at = (operation.path, operation.at) if operation is not None and operation.waits else (leak.path, leak.at)
    trace = [one for step in leak.trace for one in _steps(step, through)]
    if mend := card.mends.get(leak.variant):
        trace.append(TraceStep(path, at.line, at.column, f"mend: {mend.format_map(leak.facts)}"))
    return Finding(
        path=path,
        line=at.line,
        column=at.column,
        end_line=at.end_line,
        end_column=at.end_column,
        code=card.code,
        name=card.name,
        message=card.messages[leak.variant].format_map(leak.facts),
        function=leak.function,
        confidence=leak.confidence,
        growth=leak.growth,
        trace=tuple(trace),
        witness=leak.witness,
    )


def _steps(step: Step, through: Through) -> Iterator[TraceStep]:
    operation = through.get((step.path, step.at))
    if operation is None:
        yield TraceStep(step.path, step.at.line, step.at.column, step.message)
    else:
        yield TraceStep(step.path, step.at.line, step.at.column, f"`{operation.by}` is called here")
        yield TraceStep(operation.path, operation.at.line, operation.at.column, step.message)


def _options(card: Card, form: type[Struct]) -> Struct:
    try:
        return msgspec.convert(card.options, form)
    except msgspec.ValidationError as error:
        raise LeaklintError(f"{card.path}: options: {str(error).replace('`', '')}") from None


def _check_templates(card: Card, facts: Mapping[str, frozenset[str]]) -> None:
    for table, templates in (("messages", card.messages), ("mends", card.mends)):
        for variant, template in templates.items():
            if variant not in facts:
                raise LeaklintError(f'{card.path}: {table}: no variant "{variant}" here; {nearest(variant, facts, "variants")}')
            for field in sorted(template_fields(template) - facts[variant]):
                raise LeaklintError(f"{card.path}: {table}.{variant}: no fact {{{field}}}; {nearest(field, facts[variant], 'facts')}")
