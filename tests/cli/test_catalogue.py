"""`rules`, `explain`, tab completion: what the command says about the catalogue."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cli.samples import CLEAN, Ended, Run

from leaklint.catalog import load_catalog

Over = Callable[..., Ended]
CARDS = load_catalog().cards


def test_rules_lists_every_card(over: Over) -> None:
    text = over(CLEAN, "rules").stdout
    rows = json.loads(over(CLEAN, "rules", "--format", "json").stdout)
    assert [row["code"] for row in rows] == list(CARDS)
    assert list(rows[0]) == ["code", "name", "family", "says", "on"]
    for card in CARDS.values():
        assert f"{card.code}  {card.name} " in text
        assert card.says in text


def test_explain_by_code_and_by_name(over: Over) -> None:
    for card in CARDS.values():
        page = over(CLEAN, "explain", card.code).stdout
        assert page.startswith(f"{card.code} {card.name}")
        assert card.says in page
        assert card.prose in page
        for program in (*card.leaks, *card.fixed):
            assert program.splitlines()[0] in page
        assert not card.mends or "{" not in page.rpartition("\nMend:\n")[2]
        assert over(CLEAN, "explain", card.name).stdout == page
        assert over(CLEAN, "explain", card.code.lower()).stdout == page


def test_explain_what_is_not_there(over: Over) -> None:
    ended = over(CLEAN, "explain", "LK999")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == 'leaklint: error: no rule has the code or the name "LK999"; `leaklint rules` lists them\n'


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("leaklint --select LK00", {"LK001", "LK002"}),
        ("leaklint --select LK001,LK00", {"LK001,LK001", "LK001,LK002"}),
        ("leaklint check --ignore lk00", {"LK001", "LK002"}),
        ("leaklint explain LK00", {"LK001", "LK002"}),
        ("leaklint explain cannot-", {"cannot-parse"}),
        ("leaklint --stat", {"--statistics"}),
        ("leaklint expl", {"explain"}),
        ("leaklint check --confidence p", {"proven", "possible"}),
    ],
)
def test_tab_completion(leaklint: Run, words: str, offered: set[str]) -> None:
    run = leaklint(_LEAKLINT_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1))

    assert {word for kind, word in (line.split(",", 1) for line in run.stdout.splitlines()) if kind == "plain"} == offered


def test_tab_completion_offers_files_where_paths_stand(leaklint: Run) -> None:
    run = leaklint(_LEAKLINT_COMPLETE="bash_complete", COMP_WORDS="leaklint fi", COMP_CWORD="1")
    assert "file,fi" in run.stdout
