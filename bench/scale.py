"""What linking costs: on programs that are as bad as they get, and on growing parts of a checkout.

    python bench/scale.py [FOLDER] [--lines N]…

First the worst cases of `tests/link/worst.py`, at a quarter of their size and at their size. Then, with a FOLDER, parts of it of some
10,000, 100,000 and 1,000,000 lines (`--lines` for others): whole folders, the same ones each time. Each is lowered in a process of its own
and linked in another, one after the other.

seconds   of the processor, not of the clock
lower     bytes to summaries, of all files in one process
link      summaries to the program
queries   of all cards
ratio     link / lower
/100k     seconds of link per 100,000 lines
MiB       the most memory that the linking process held, with interpreter, summaries and program
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import resource
import runpy
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec

from leaklint.ir import Module, Summary
from leaklint.settings import Settings
from leaklint.sources import Source, find, read

WORST = Path(__file__).resolve().parent.parent / "tests" / "link" / "worst.py"

File: TypeAlias = tuple[str, str, bool, bytes]
"""Module name, path, whether it is a package's `__init__`, content."""


@dataclass(frozen=True, slots=True)
class Figures:
    lines: int
    lower: float
    link: float
    queries: float
    mebibytes: int


def measure(files: list[File]) -> Figures:
    """The cost of a program, each half in a process that has done nothing else."""
    lower, summaries = _apart(_lower, [content for _, _, _, content in files])
    lines = sum(content.count(b"\n") for _, _, _, content in files)
    modules = [(name, path, is_package, summary) for (name, path, is_package, _), summary in zip(files, summaries, strict=True)]
    return Figures(lines, lower, *_apart(_link, modules))


_Given = TypeVar("_Given")
_Got = TypeVar("_Got")


def _apart(work: Callable[[_Given], _Got], given: _Given) -> _Got:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, given).result()


def _lower(contents: list[bytes]) -> tuple[float, list[bytes]]:
    from leaklint.collector import paused
    from leaklint.lower import lower

    lower(b"import asyncio\n")  # the parser is imported by now
    start = time.process_time()
    summaries = []
    for content in contents:
        with paused():
            summaries.append(lower(content))
    seconds = time.process_time() - start
    return seconds, [msgspec.msgpack.encode(summary) for summary in summaries]


def _link(files: list[File]) -> tuple[float, float, int]:
    """Seconds of linking and of the queries, and the peak of memory in between."""
    from leaklint.catalog import load_catalog
    from leaklint.collector import paused
    from leaklint.findings import queried
    from leaklint.graph import build
    from leaklint.link import link

    catalog = load_catalog()
    decode = msgspec.msgpack.Decoder(Summary).decode
    modules = [Module(name, path, is_package, decode(summary)) for name, path, is_package, summary in files]
    modules = [module for module in modules if module.summary.problem is None]
    del files
    gc.collect()
    start = time.process_time()
    with paused():
        program = link(modules, catalog.models)
    linked = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "linux" else 1024 * 1024)
    with paused():
        queried(build(program), catalog.cards.values())
    return linked - start, time.process_time() - linked, peak


def parts(folder: Path, sizes: list[int]) -> list[list[File]]:
    """Files of the folder, of some so many lines each: whole folders, the outer ones first, those of one depth in an order that says
    nothing; the last part is the whole when it has fewer lines than that."""
    sources, _ = find([str(folder)], Settings(cache=False))
    sources = tuple(sorted(sources, key=_order))
    found: list[list[File]] = []
    for size in sizes:
        part: list[File] = []
        lines, inside = 0, ""
        for source in sources:
            outer = source.real.rpartition("/")[0]
            if lines >= size and outer != inside:
                break
            inside, content = outer, read(source)
            if isinstance(content, bytes):
                part.append((source.module, source.path, source.is_package, content))
                lines += content.count(b"\n")
        found.append(part)
        if lines < size:
            break
    return found


def _order(source: Source) -> tuple[int, bytes, str]:
    outer = source.path.rpartition("/")[0]
    return outer.count("/"), sha256(outer.encode()).digest(), source.path


def worst() -> list[tuple[str, list[File]]]:
    """Name with size → program."""
    programs: dict[str, tuple[Callable[[int], dict[str, str]], int]] = runpy.run_path(str(WORST))["PROGRAMS"]
    found: list[tuple[str, list[File]]] = []
    for name, (make, most) in programs.items():
        for size in (most // 4, most):
            files = [
                (path.removesuffix(".py").replace("/", ".").removesuffix(".__init__"), path, path.endswith("__init__.py"), text.encode())
                for path, text in make(size).items()
            ]
            found.append((f"{name}, {size:,}", files))
    return found


def show(name: str, figures: Figures) -> None:
    ratio = figures.link / figures.lower if figures.lower else 0.0
    share = figures.link * 100_000 / figures.lines
    print(
        f"{name:<28}{figures.lines:>10,}{figures.lower:>9.2f}{figures.link:>9.2f}{figures.queries:>9.2f}{ratio:>8.2f}{share:>8.2f}"
        f"{figures.mebibytes:>7}",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--lines", type=int, action="append", default=[], metavar="N")
    arguments = parser.parse_args()
    programs = worst() if arguments.folder is None or not arguments.lines else []
    if arguments.folder is not None:
        sizes = sorted(arguments.lines) or [10_000, 100_000, 1_000_000]
        programs += [(f"{len(files):,} files", files) for files in parts(arguments.folder, sizes)]
    print(f"{'program':<28}{'lines':>10}{'lower':>9}{'link':>9}{'queries':>9}{'ratio':>8}{'/100k':>8}{'MiB':>7}")
    for name, files in programs:
        show(name, measure(files))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
