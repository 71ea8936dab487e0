"""The command as a process: real runs, pipes, terminals, signals, and what start-up costs."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli.samples import BROKEN, IDLE, Run


def test_clean_findings_and_mistakes(leaklint: Run, project: Path) -> None:
    clean = leaklint("--no-cache", ".")
    assert (clean.returncode, clean.stdout, clean.stderr) == (0, "", "no leaks found in 1 file\n")
    (project / "broken.py").write_text(BROKEN)
    found = leaklint("--no-cache", ".")
    assert found.returncode == 1
    assert found.stdout.startswith("broken.py:1:")
    assert " LK001 " in found.stdout.splitlines()[0]
    missing = leaklint("nowhere.py")
    assert (missing.returncode, missing.stdout, missing.stderr) == (2, "", "leaklint: error: nowhere.py: no such file or folder\n")


def test_settings_of_the_project_count(leaklint: Run, project: Path) -> None:
    (project / "idle.py").write_text(IDLE)
    assert "LK002" in leaklint("--no-cache", ".").stdout
    (project / "pyproject.toml").write_text('[tool.leaklint]\nignore = ["LK002"]\n')
    assert leaklint("--no-cache", ".").stdout == ""
    assert "LK002" in leaklint("--no-cache", "--isolated", ".").stdout
    (project / "pyproject.toml").write_text('[tool.leaklint]\nignroe = ["LK002"]\n')
    wrong = leaklint(".")
    assert wrong.returncode == 2
    assert wrong.stderr == 'leaklint: error: pyproject.toml: [tool.leaklint]: unknown key "ignroe"; did you mean "ignore"?\n'


def test_stdin_is_analysed_and_quoted(leaklint: Run) -> None:
    run = leaklint("--no-cache", "-", "--stdin-filename", "./fine.py", stdin=f"\n{IDLE}")
    assert run.returncode == 1
    assert run.stdout.startswith("fine.py:2:8: LK002 ")
    assert "2 | x = 1  # leaklint: ignore[LK101]" in run.stdout


def test_two_runs_give_equal_bytes_and_a_cached_one_too(leaklint: Run, project: Path) -> None:
    for number in range(5):
        (project / f"idle{number}.py").write_text(IDLE)
    first, second, parallel = (
        leaklint("--format=json", "."),
        leaklint("--format=json", "."),
        leaklint("--no-cache", "--jobs=2", "--format=json", "."),
    )
    assert first.stdout == second.stdout == parallel.stdout
    paths = [finding["path"] for finding in json.loads(first.stdout)["findings"]]
    assert paths == [f"idle{number}.py" for number in range(5)]


def imported_by(*arguments: str) -> str:
    """Which of the heavy modules a command imports; and its exit code."""
    code = f"""
import sys
from leaklint.cli import main
try:
    main({arguments})
finally:
    print(sorted({{"libcst", "networkx", "leaklint.engine"}} & set(sys.modules)), file=sys.stderr)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return f"{run.returncode} {run.stderr.splitlines()[-1]}"


@pytest.mark.parametrize("arguments", [["--version"], ["check", "--version"], ["--help"]])
def test_start_up_imports_nothing_heavy(arguments: list[str]) -> None:
    assert imported_by(*arguments) == "0 []"


def test_a_second_run_over_unchanged_files_imports_neither_parser_nor_graph(project: Path) -> None:
    (project / "idle.py").write_text(f"import asyncio\nqueue = asyncio.Queue()\n{IDLE}")
    assert "libcst" in imported_by(".")
    assert imported_by(".") == "1 ['leaklint.engine']"


def test_a_closed_pipe_is_quiet(project: Path) -> None:
    for number in range(2000):
        (project / f"idle{number}.py").write_text(IDLE)
    command = f"{sys.executable} -m leaklint --no-cache . | head -n 1"
    run = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True)
    assert run.stdout.count("\n") == 1
    assert "rror" not in run.stderr
    assert "Traceback" not in run.stderr


def test_interrupt_is_130_without_a_traceback(project: Path) -> None:
    code = "import leaklint.engine\ndef wait(*a, **k):\n    print('ready', flush=True)\n    import time; time.sleep(60)\n"
    code += "leaklint.engine.run = wait\nfrom leaklint.cli import main\nmain(['.'])"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in stderr


SLOW = """
import leaklint.engine
from leaklint.finding import Report
import time
def run(paths, settings, *, progress, stdin):
    for done in range(4):
        time.sleep(SECONDS / 4)
        if progress: progress(done + 1, 4)
    return Report("1", 4, (), ())
leaklint.engine.run = run
from leaklint.cli import main
main(["."])
"""


def on_terminal(code: str) -> str:
    """What a Python program writes to a terminal that is its stderr."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=theirs, env=os.environ | {"TERM": "xterm"})
    os.close(theirs)
    output = b""
    try:
        while chunk := os.read(ours, 4096):
            output += chunk
    except OSError:  # the other side is closed
        pass
    os.close(ours)
    assert process.wait(20) == 0
    return output.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_progress_on_a_terminal_when_the_run_takes_long(project: Path) -> None:
    assert "analysing" in on_terminal(SLOW.replace("SECONDS", "1.6"))
    assert "analysing" not in on_terminal(SLOW.replace("SECONDS", "0.1"))


def test_progress_is_silent_on_a_pipe(project: Path) -> None:
    start = time.monotonic()
    run = subprocess.run([sys.executable, "-c", SLOW.replace("SECONDS", "1.6")], capture_output=True, text=True)
    assert time.monotonic() - start > 1.6
    assert run.stderr == "no leaks found in 4 files\n"
