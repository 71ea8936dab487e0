"""What a user gets: the wheel, the sdist, the pre-commit hook. Where the tests stand alone, LEAKLINT_CHECKOUT names the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(os.environ.get("LEAKLINT_CHECKOUT", Path(__file__).parents[1]))
NOT_SHIPPED = {"__pycache__", ".git", ".venv", "venv", "dist", "build"}

pytestmark = pytest.mark.skipif(not (CHECKOUT / ".pre-commit-hooks.yaml").exists(), reason="the checkout is not here")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that building leaves nothing behind."""
    copy = tmp_path_factory.mktemp("sources") / "leaklint"
    shutil.copytree(CHECKOUT, copy, ignore=lambda _, names: {name for name in names if name in NOT_SHIPPED or name.endswith("_cache")})
    return copy


@pytest.fixture(scope="module")
def built(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=sources, check=True, capture_output=True)
    return folder


def files_below(folder: Path, name: str) -> Iterator[str]:
    """Files below a folder of the checkout, relative to the checkout, with `/`."""
    for path in (folder / name).rglob("*"):
        if path.is_file() and not NOT_SHIPPED & set(path.parts[len(folder.parts) :]):
            yield path.relative_to(folder).as_posix()


def test_the_wheel_holds_the_rules_inside_the_package(sources: Path, built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.name.startswith("concurrency_leaklint-")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"leaklint/{name}" for name in files_below(sources, "rules")} <= names
    assert set(files_below(sources, "leaklint")) <= names
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"leaklint"}


def test_the_wheel_declares_its_commands(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (entries,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "[console_scripts]\nleaklint = leaklint.cli:main" in entries
    assert "[flake8.extension]\nLK = leaklint.flake8:Plugin" in entries


def test_the_sdist_holds_rules_and_tests(sources: Path, built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("leaklint", "rules", "tests"):
        assert set(files_below(sources, folder)) <= names
    assert {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", ".pre-commit-hooks.yaml", ".ci/run"} <= names


def test_no_text_tells_to_install_the_other_leaklint() -> None:
    """The distribution of that name is another project's."""
    wrong = re.compile(r"(pip|pipx|uv|uvx|tool) (install )?(-\S+ )*leaklint\b(?!/)")
    texts = [path for pattern in ("*.md", "*.toml", "*.yaml", "leaklint/**/*.py", "rules/**/*.md") for path in CHECKOUT.glob(pattern)]
    assert texts
    assert [path.name for path in texts if wrong.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.slow
def test_pre_commit_installs_and_runs_the_hook(sources: Path, tmp_path: Path) -> None:
    """From a commit of the checkout, over a project with a finding in a file that is not staged for commit."""
    home = {"PRE_COMMIT_HOME": str(tmp_path / "home"), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    identity = {f"GIT_{who}_{what}": "tester@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    foreign = {name for name in os.environ if name.startswith(("GIT_", "PRE_COMMIT"))}
    environment = {name: value for name, value in os.environ.items() if name not in foreign} | home | identity

    def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)

    def commit(folder: Path) -> None:
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
            done = run("git", *command, cwd=folder)
            assert done.returncode == 0, done.stderr

    hook, project = tmp_path / "hook", tmp_path / "project"
    shutil.copytree(sources, hook)
    commit(hook)
    project.mkdir()
    (project / "idle.py").write_text("x = 1  # leaklint: ignore[LK101]\n")
    commit(project)
    (project / "other.py").write_text("y = 1\n")
    assert run("git", "add", "other.py", cwd=project).returncode == 0

    pre_commit = [sys.executable, "-m", "pre_commit", "try-repo", str(hook), "leaklint", "--verbose"]
    found = run(*pre_commit, cwd=project)
    assert found.returncode == 1, found.stdout + found.stderr
    assert "idle.py:1:8: LK002 " in found.stdout, found.stdout
    assert "in 1 of 2 files" in found.stdout
    (project / "idle.py").write_text("x = 1\n")
    assert run("git", "add", "idle.py", cwd=project).returncode == 0
    mended = run(*pre_commit, cwd=project)
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert "no leaks found in 2 files" in mended.stdout
