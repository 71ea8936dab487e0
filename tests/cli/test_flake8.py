"""The plugin, by running flake8 itself: one run over the program, each file its own findings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Flake8 = Callable[..., subprocess.CompletedProcess[str]]

METHODS = ["serial", "fork", "spawn"]
IDLE = "x = 1  # leaklint: ignore[LK101]\n"
START = "import multiprocessing as m; m.set_start_method({method!r}); from flake8.main.cli import main; raise SystemExit(main())"


@pytest.fixture
def flake8(project: Path) -> Flake8:
    """Runs flake8 in the project, with worker processes started by `method` unless that is "serial"."""
    (project / "pkg").mkdir()
    for name in ("a.py", "b.py", "c.py", "pkg/__init__.py", "pkg/d.py"):
        (project / name).write_text(IDLE)

    def run(*arguments: str, method: str = "serial", stdin: str = "") -> subprocess.CompletedProcess[str]:
        if method == "serial":
            command = [sys.executable, "-m", "flake8", "-j1"]
        elif method in ("fork", "spawn"):
            command = [sys.executable, "-c", START.format(method=method), "-j2"]
        return subprocess.run([*command, *arguments], cwd=project, input=stdin, capture_output=True, text=True, env=os.environ.copy())

    return run


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize("method", METHODS)
def test_one_run_and_each_file_its_own_findings(flake8: Flake8, method: str) -> None:
    run = flake8("-v", "--select", "LK", ".", method=method)
    assert run.returncode == 1, run.stderr
    lines = sorted(line for line in run.stdout.splitlines() if ": LK" in line)
    assert [line.split(": ")[0] for line in lines] == [f"./{name}:1:8" for name in ("a.py", "b.py", "c.py", "pkg/__init__.py", "pkg/d.py")]
    assert all(": LK002 " in line for line in lines)
    assert (run.stdout + run.stderr).count("one run over 6 files") == 1


@pytest.mark.parametrize("method", METHODS)
def test_the_outcome_is_removed(flake8: Flake8, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    assert flake8(".", method=method).returncode == 1
    assert list((tmp_path / "temporary").glob("leaklint*")) == []


def test_codes_are_on_by_default_and_beside_those_of_flake8(flake8: Flake8, project: Path) -> None:
    (project / "a.py").write_text(f"import os\n{IDLE}")
    run = flake8("a.py")
    assert [line.split(" ")[:2] for line in run.stdout.splitlines()] == [["a.py:1:1:", "F401"], ["a.py:2:8:", "LK002"]]


def test_noqa_select_and_per_file_ignores(flake8: Flake8, project: Path) -> None:
    (project / "a.py").write_text("x = 1  # leaklint: ignore[LK101]  # noqa: LK002\n")
    assert flake8("a.py").stdout == ""
    assert flake8("--ignore", "LK002", "b.py").stdout == ""
    assert flake8("--select", "LK1", "b.py").stdout == ""
    assert flake8("--select", "L", "b.py").stdout.startswith("b.py:1:8: LK002")
    run = flake8("--per-file-ignores", "b.py:LK002,pkg/*:LK0", "b.py", "c.py", "pkg")
    assert [line.split(":")[0] for line in run.stdout.splitlines()] == ["c.py"]


def test_nothing_is_analysed_when_no_code_of_ours_is_selected(flake8: Flake8) -> None:
    run = flake8("-v", "--select", "E,F", ".")
    assert run.stdout.count(": LK") == 0
    assert "leaklint: one run" not in run.stdout + run.stderr


def test_settings_of_the_project_count(flake8: Flake8, project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.leaklint]\nignore = ["LK002"]\n')
    assert flake8(".").stdout == ""
    (project / "pyproject.toml").write_text('[tool.leaklint]\nextend-exclude = ["pkg"]\n')
    assert sorted(line.split(":")[0] for line in flake8(".").stdout.splitlines()) == ["./a.py", "./b.py", "./c.py"]


def test_a_mistake_in_the_settings_is_told_in_one_line(flake8: Flake8, project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.leaklint]\nconfidnece = 1\n")
    run = flake8(".")
    assert run.returncode == 1
    assert 'leaklint: error: pyproject.toml: [tool.leaklint]: unknown key "confidnece"; did you mean "confidence"?\n' in run.stdout
    assert "Traceback" not in run.stdout + run.stderr


def test_stdin(flake8: Flake8) -> None:
    assert flake8("-", stdin=IDLE).stdout.startswith("stdin:1:8: LK002")
    assert flake8("--stdin-display-name", "pkg/d.py", "-", stdin=f"\n\n{IDLE}").stdout.splitlines()[-1].startswith("pkg/d.py:3:8: LK002")


def test_a_file_that_only_flake8_takes_for_python(flake8: Flake8, project: Path) -> None:
    (project / "script.cgi").write_text(IDLE)
    run = flake8("--filename", "*.cgi,*.py", "--select", "LK", ".")
    assert "./script.cgi:1:8: LK002" in run.stdout
    assert run.stdout.count("LK002") == 6


def test_a_file_that_does_not_parse_is_for_flake8_to_tell(flake8: Flake8, project: Path) -> None:
    (project / "broken.py").write_text("def f(:\n")
    run = flake8("broken.py", "c.py")
    assert ": E999 " in run.stdout
    assert "LK001" not in run.stdout
    assert "c.py:1:8: LK002" in run.stdout


def test_flake8_tells_that_the_plugin_is_there(flake8: Flake8) -> None:
    assert "leaklint" in flake8("--version").stdout
