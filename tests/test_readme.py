"""The README's example is true: its program gives its output, and the mended program gives none."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from leaklint.catalog import load_catalog
from leaklint.catalog.grammar import Card

README = (Path(__file__).parent.parent / "README.md").read_text()


def blocks() -> dict[str, str]:
    """File name → content, for the files that the README shows."""
    return dict(re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)```", README, re.DOTALL))


def leaklint(folder: Path) -> str:
    run = subprocess.run([sys.executable, "-m", "leaklint", "--no-cache", "."], cwd=folder, capture_output=True, text=True)
    assert run.returncode in (0, 1), run.stderr
    return run.stdout


@pytest.fixture
def program(tmp_path: Path) -> Path:
    for name, content in blocks().items():
        (tmp_path / name).write_text(content)
    return tmp_path


def test_the_example_gives_the_output(program: Path) -> None:
    shown = re.search(r"```console\n\$ leaklint \.\n(.*?)```", README, re.DOTALL)
    assert shown is not None
    assert leaklint(program) == shown[1]
    assert "LK103" in shown[1]


def test_the_mended_example_is_silent(program: Path) -> None:
    file = program / "export.py"
    leaking = "    await box.drain(sink)\n    await task\n"
    mended = "    try:\n        await box.drain(sink)\n        await task\n    finally:\n        task.cancel()\n"
    content = file.read_text()
    assert leaking in content
    file.write_text(content.replace(leaking, mended))
    assert leaklint(program) == ""


def test_the_table_names_every_rule() -> None:
    told = re.findall(r"^\| (LK\d+) \| (\S+) \| (.*) \|$", README, re.MULTILINE)
    rows = [(code, name, not words.endswith("(off by default)")) for code, name, words in told]
    assert rows == [(card.code, card.name, card.on) for card in sorted_cards()]


def sorted_cards() -> list[Card]:
    return sorted(load_catalog().cards.values(), key=lambda card: card.code)


def test_the_proof_is_what_is_printed(tmp_path: Path) -> None:
    shown = re.search(r"```python\n([^`]*?)```\n\n```console\n\$ leaklint mirrors\.py\n(.*?)```", README, re.DOTALL)
    assert shown is not None
    (tmp_path / "mirrors.py").write_text(shown[1])
    run = subprocess.run([sys.executable, "-m", "leaklint", "--no-cache", "mirrors.py"], cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout == shown[2]
