"""Paths and settings in, a report out: the whole analysis, from top to bottom."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from leaklint import __version__
from leaklint.cache import FOLDER, Cache, cache_stamp, key_of, load_report, load_summaries, save_report, save_summaries
from leaklint.finding import FileError, Finding, Report
from leaklint.ir import SUMMARY_VERSION, Module, Summary
from leaklint.settings import Settings, check_codes, is_selected, is_sure_enough
from leaklint.sources import Source, find, read
from leaklint.suppress import silence, unused, without_ignored_files

if TYPE_CHECKING:
    from leaklint.catalog import Catalog
    from leaklint.graph import Graph
    from leaklint.link import Program
    from leaklint.workers import Progress

# What an unchanged run does not need (libcst, networkx, the catalogue's grammar, processes) is imported where it is used.


def run(paths: Sequence[str], settings: Settings, *, progress: Progress | None = None, stdin: tuple[str, bytes] | None = None) -> Report:
    """Analyze the Python files in and below `paths` as one program.

    `progress` is called with the number of files lowered and their total. `stdin` is a path as the user shows it and the content
    that counts in its place, whether there is such a file or not. Raises LeaklintError for a mistake of the user."""
    sources, unread = find(paths, settings, stdin[0] if stdin else None)
    files, vanished = _contents(sources, stdin)
    hashes = {source: key_of(content) for source, content in files.items()}
    cache = _cache(settings)
    key = _report_key(hashes, (*unread, *vanished), settings)
    if (kept := load_report(cache, key)) is not None:
        return msgspec.msgpack.decode(kept, type=Report)

    catalog = _catalog(settings)
    modules, crashed = _modules(files, hashes, cache, settings.jobs, progress)
    _, findings = _findings(modules, catalog, settings, {source.path: source.real for source in files})
    report = Report(__version__, len(modules), findings, _sorted(unread, vanished, crashed))
    if not crashed:  # for want of memory, perhaps: worth another attempt
        save_report(cache, key, msgspec.msgpack.encode(report))
    return report


def examined(paths: Sequence[str], settings: Settings) -> tuple[Graph, tuple[Finding, ...], tuple[FileError, ...]]:
    """The graph that the queries of `run` are asked about, what they find there, and what could not be read."""
    catalog = _catalog(settings)
    modules, real, errors = _read(paths, settings)
    graph, findings = _findings(modules, catalog, settings, real)
    return graph, findings, errors


def linked(paths: Sequence[str], settings: Settings) -> tuple[Program, tuple[FileError, ...]]:
    """The program alone, and what could not be read."""
    from leaklint.findings import graph_of

    catalog = _catalog(settings)
    modules, _, errors = _read(paths, settings)
    return graph_of(modules, catalog.models).program, errors


def _read(paths: Sequence[str], settings: Settings) -> tuple[list[Module], dict[str, str], tuple[FileError, ...]]:
    """The modules, the real path of each by its path as shown, and what could not be read."""
    sources, unread = find(paths, settings)
    files, vanished = _contents(sources, None)
    hashes = {source: key_of(content) for source, content in files.items()}
    modules, crashed = _modules(files, hashes, _cache(settings), settings.jobs, None)
    return modules, {source.path: source.real for source in files}, _sorted(unread, vanished, crashed)


def _sorted(*errors: Iterable[FileError]) -> tuple[FileError, ...]:
    return tuple(sorted(chain(*errors), key=lambda error: (error.path, error.message)))


def _contents(sources: Iterable[Source], stdin: tuple[str, bytes] | None) -> tuple[dict[Source, bytes], list[FileError]]:
    unsaved = {os.path.realpath(stdin[0]): stdin[1]} if stdin else {}
    files: dict[Source, bytes] = {}
    errors: list[FileError] = []
    for source in sources:
        match unsaved[source.real] if source.real in unsaved else read(source):
            case bytes(content):
                files[source] = content
            case FileError() as error:
                errors.append(error)
    return files, errors


def _catalog(settings: Settings) -> Catalog:
    from leaklint.catalog import load_catalog

    catalog = load_catalog([Path(folder) for folder in settings.extend_rules], settings.models)
    check_codes(settings, catalog.cards)
    return catalog


def _modules(
    files: Mapping[Source, bytes], hashes: Mapping[Source, bytes], cache: Cache, jobs: int, progress: Progress | None
) -> tuple[list[Module], list[FileError]]:
    """The modules, and the files on which the parser died."""
    from leaklint.workers import lower_all

    summaries = load_summaries(cache, hashes.values())
    missing = {hashes[source]: content for source, content in files.items() if hashes[source] not in summaries}
    fresh = zip(missing, lower_all(list(missing.values()), jobs, progress), strict=True)
    lowered = {key: summary for key, summary in fresh if summary is not None}
    save_summaries(cache, lowered)
    summaries |= lowered
    decode = msgspec.msgpack.Decoder(Summary).decode
    modules = [
        Module(source.module, source.path, source.is_package, decode(summaries[key])) for source, key in hashes.items() if key in summaries
    ]
    crashed = [FileError(source.path, "the parser crashed on it") for source, key in hashes.items() if key not in summaries]
    return modules, crashed


def _findings(
    modules: Sequence[Module], catalog: Catalog, settings: Settings, real: Mapping[str, str]
) -> tuple[Graph, tuple[Finding, ...]]:
    from leaklint.findings import graph_of, idle_comments, merged, problems, queried

    selected = frozenset(code for code, card in catalog.cards.items() if is_selected(settings, code, card.on))
    cards = [card for code, card in catalog.cards.items() if code in selected]
    comments = {module.path: module.summary.suppressions for module in modules if module.summary.suppressions}

    graph = graph_of(modules, catalog.models)
    found = merged([*problems(modules, cards), *queried(graph, cards)])
    kept, uses = silence(found, comments)
    idle = unused(comments, uses, selected, {code: card.on for code, card in catalog.cards.items()})
    kept = merged([*kept, *idle_comments(idle, cards)])
    shown = without_ignored_files(kept, settings, real)
    return graph, tuple(finding for finding in shown if is_sure_enough(settings, finding.confidence))


def _cache(settings: Settings) -> Cache:
    folder = settings.cache_dir or os.path.join(os.path.abspath(settings.root), FOLDER)
    return Cache(folder if settings.cache else None, _stamp() if settings.cache else "")


def _stamp() -> str:
    from importlib.metadata import version

    return cache_stamp([str(SUMMARY_VERSION), __version__, version("libcst"), version("networkx"), sys.version])


def _report_key(hashes: Mapping[Source, bytes], errors: Sequence[FileError], settings: Settings) -> bytes:
    """A hash of all that a report depends on, but for the versions, which are in the stamp of the cache."""
    from leaklint.catalog import catalog_digest

    rules = catalog_digest([Path(folder) for folder in settings.extend_rules], settings.models)
    chosen = msgspec.structs.replace(settings, jobs=0, cache=True, cache_dir=None, given=frozenset())
    files = [(source.path, source.real, source.module, source.is_package, content) for source, content in hashes.items()]
    return key_of(msgspec.msgpack.encode((rules, chosen, files, errors)))
