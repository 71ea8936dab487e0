"""Bad input beside good: each bad file gets its own clear outcome, and what the good one leaks is still found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LEAKING = """import asyncio


async def tick() -> None:
    await asyncio.sleep(1)


async def start() -> None:
    asyncio.create_task(tick())
"""

BROKEN = {
    "python2.py": b'import asyncio\nprint "asyncio"\n',
    "null.py": b"import asyncio\nx = '\0'\n",
    "encoding.py": b"# -*- coding: no-such-codec -*-\nimport asyncio\n",
    "not_utf8.py": b"import asyncio\nname = '\xff\xfe'\n",
    "brackets.py": b"import asyncio\nx = " + b"(" * 5_000 + b")" * 5_000 + b"\n",
    "cut.py": b"import asyncio\n\n\nasync def f(:\n",
}
SOUND = {
    "empty.py": b"",
    "bom.py": b"\xef\xbb\xbf" + LEAKING.encode(),
    "crlf.py": LEAKING.replace("\n", "\r\n").encode(),
    "form_feed.py": LEAKING.replace("\n\n\n", "\n\f\n\n").encode(),
    "long_line.py": LEAKING.encode() + b"\nx = '" + b"y" * (1 << 20) + b"'\n",
    "latin.py": b"# -*- coding: latin-1 -*-\n# caf\xe9\n" + LEAKING.encode(),
}


def leaklint(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "leaklint", "--no-cache", "--format", "json", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {**BROKEN, **SOUND}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "good.py").write_text(LEAKING)
    return tmp_path


def test_each_broken_file_is_told_and_nothing_else_is_lost(folder: Path) -> None:
    run = leaklint(folder, ".")
    assert run.returncode == 1, run.stderr
    report = json.loads(run.stdout)
    assert report["errors"] == []
    assert report["files"] == len(BROKEN) + len(SOUND) + 1
    codes = {(finding["path"], finding["code"]) for finding in report["findings"]}
    leaking = {name for name, content in SOUND.items() if content} | {"good.py"}
    assert codes == {(name, "LK001") for name in BROKEN} | {(name, "LK201") for name in leaking}
    assert all("\n" not in finding["message"] for finding in report["findings"])


def test_links_that_lead_nowhere_or_back(folder: Path) -> None:
    os.symlink(folder / "gone.py", folder / "broken_link.py")
    os.symlink(folder, folder / "loop")
    report = json.loads(leaklint(folder, ".").stdout)
    assert [error["path"] for error in report["errors"]] == ["broken_link.py"]
    assert {finding["path"] for finding in report["findings"] if finding["code"] == "LK201"} >= {"good.py", "bom.py"}


@pytest.mark.parametrize(
    ("pyproject", "arguments", "told"),
    [
        ("", ("nowhere/",), "nowhere/"),
        ("[tool.leaklint\n", (".",), "pyproject.toml"),
        ("[tool.leaklint]\nselekt = ['LK1']\n", (".",), "selekt"),
        ("[tool.leaklint]\nselect = ['LK999']\n", (".",), "LK999"),
        ("[tool.leaklint.models.'acme.Bus']\nis = 'chanel'\n", (".",), "acme.Bus"),
        ("[tool.leaklint]\nextend-rules = ['rules']\n", (".",), "LK999-bad.md"),
    ],
)
def test_a_mistake_of_the_user_is_one_line(folder: Path, pyproject: str, arguments: tuple[str, ...], told: str) -> None:
    (folder / "pyproject.toml").write_text(pyproject)
    (folder / "rules").mkdir()
    (folder / "rules" / "LK999-bad.md").write_text("+++\ncode = 'LK999'\n+++\n")
    run = leaklint(folder, *arguments)
    assert run.returncode == 2
    assert run.stdout == ""
    assert told in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
