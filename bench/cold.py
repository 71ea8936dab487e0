"""How long a cold run takes, as a multiple of parsing alone.

    python bench/cold.py FOLDER [--rounds N] [--jobs N]

Each round measures two things one after the other, in turn first and second, so that a slow or busy machine weighs on both:

parse     `libcst.parse_module` of every .py file under FOLDER, in one process, without start-up and reading
leaklint  `leaklint check --isolated --no-cache --jobs 2 FOLDER` as a whole, start-up and output included

The ratio is leaklint / parse; the median over the rounds is what counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

PARSE = """
import sys, time
from pathlib import Path
import libcst

sources = [Path(line.rstrip("\\n")).read_bytes() for line in sys.stdin]
start = time.perf_counter()
for source in sources:
    try:
        libcst.parse_module(source)
    except (libcst.ParserSyntaxError, UnicodeDecodeError, LookupError):
        pass
print(time.perf_counter() - start)
"""


def parse_seconds(files: list[Path]) -> float:
    listing = "".join(f"{file}\n" for file in files)
    run = subprocess.run([sys.executable, "-c", PARSE], input=listing, capture_output=True, text=True, check=True)
    return float(run.stdout)


def leaklint_seconds(folder: Path, jobs: int) -> tuple[float, int]:
    """Seconds, and how many files the run counted."""
    options = ["--isolated", "--no-cache", "--exit-zero", "--format", "json", "--jobs", str(jobs)]
    start = time.perf_counter()
    run = subprocess.run([sys.executable, "-m", "leaklint", "check", *options, str(folder)], stdout=subprocess.PIPE, check=True)
    seconds = time.perf_counter() - start
    return seconds, int(json.loads(run.stdout)["files"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    files = sorted(arguments.folder.rglob("*.py"))
    if not files:
        parser.error(f"no .py files under {arguments.folder}")
    parses, runs, counted = [], [], 0
    for number in range(arguments.rounds):
        if number % 2 == 0:
            parses.append(parse_seconds(files))
        seconds, counted = leaklint_seconds(arguments.folder, arguments.jobs)
        runs.append(seconds)
        if number % 2 == 1:
            parses.append(parse_seconds(files))
        print(f"round {number + 1}: parse {parses[-1]:7.2f} s   leaklint {runs[-1]:7.2f} s   ratio {runs[-1] / parses[-1]:.2f}", flush=True)
    if counted != len(files):
        print(f"the run counted {counted} files, the parser was given {len(files)}: excludes differ, the ratio flatters", file=sys.stderr)
    ratio = median(run / parse for run, parse in zip(runs, parses, strict=True))
    print(f"median:  parse {median(parses):7.2f} s   leaklint {median(runs):7.2f} s   ratio {ratio:.2f}   {len(files)} files")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
