"""What is printed, where, and with which exit code."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cli.samples import CLEAN, COMMENT, LEAK, REPORT, UNREAD, Ended

from leaklint.finding import Growth, Report

Over = Callable[..., Ended]


def test_text_is_the_line_the_trace_the_witness_and_the_mend(over: Over) -> None:
    ended = over(REPORT, ".")
    assert ended.stdout == (
        "app.py:5:9: LK101 nobody receives from `queue` (proven)\n"
        "    app.py:1  the queue is made here\n"
        "        1 | queue = Queue(1)\n"
        "    app.py:5  this put waits for ever\n"
        "        5 | queue.put(1)\n"
        "    step by step:\n"
        "    1. `main` starts `work`\n"
        "         app.py:7\n"
        "    2. `work` puts something into `queue`: full, 1 of 1\n"
        "         app.py:5 | queue.put(1)\n"
        "    stuck:\n"
        "       `work` waits for ever in `put` for room in `queue`: full, 1 of 1\n"
        "         app.py:5 | queue.put(1)\n"
        "         nobody takes from it\n"
        "    mend: receive from it\n"
        "\n"
        "lib/a.py:2:3: LK002 silences nothing (likely)\n"
    )
    assert ended.stderr == "1 leak and 1 other finding in 2 of 54 files\n"
    assert ended.code == 1


def test_text_puts_what_grows_fastest_first(over: Over) -> None:
    findings = tuple(replaced(line=line, growth=growth, trace=()) for line, growth in enumerate(reversed(Growth), 1))
    printed = over(Report("1.2", 1, (*findings, replaced(line=9, growth=Growth.PER_CALL, trace=())), ()), ".").stdout
    assert [line.split(":")[1] for line in printed.splitlines() if line.startswith("app.py")] == ["4", "3", "9", "2", "1"]


def test_without_a_trace_the_line_itself_is_quoted(over: Over) -> None:
    bare = Report("1.2", 1, (replaced(trace=(), witness=()),), ())
    assert over(bare, ".").stdout.splitlines()[1:] == ["        5 | queue.put(1)"]


def test_flake8_lines_are_the_first_lines(over: Over) -> None:
    ended = over(REPORT, "--format", "flake8", ".")
    assert ended.stdout.splitlines() == [
        "app.py:5:9: LK101 nobody receives from `queue` (proven)",
        "lib/a.py:2:3: LK002 silences nothing (likely)",
    ]
    assert ended.stderr == ""


def test_json_has_the_fields_of_the_schema_in_its_order(over: Over) -> None:
    ended = over(REPORT, "--format=json", ".")
    content = json.loads(ended.stdout)
    assert list(content) == ["version", "files", "findings", "errors"]
    assert [list(one) for one in content["findings"]] == 2 * [
        [
            *("path", "line", "column", "end_line", "end_column", "code", "name", "message", "function"),
            *("confidence", "growth", "trace", "witness", "fix"),
        ]
    ]
    leak = content["findings"][0]
    assert (leak["confidence"], leak["growth"], leak["fix"]) == ("proven", "per-call", None)
    assert leak["trace"][0] == {"path": "app.py", "line": 1, "column": 1, "message": "the queue is made here"}
    assert list(leak["trace"][0]) == ["path", "line", "column", "message"]
    assert leak["witness"] == [
        "`main` starts `work` (app.py:7:1)",
        "`work` puts something into `queue` (app.py:5:9); `queue`: full, 1 of 1",
        "`work` waits for ever in `put` for room in `queue` (app.py:5:9); `queue`: full, 1 of 1; `work` waits to put; nobody takes from it",
    ]
    assert ended.stderr == ""
    assert over(REPORT, "--format=json", ".").stdout == ended.stdout


def test_errors_are_lines_on_stderr_and_not_clean(over: Over) -> None:
    ended = over(UNREAD, ".")
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr == "leaklint: secret.py: cannot be read: Permission denied\nno leaks found in 0 files; 1 could not be read\n"
    content = json.loads(over(UNREAD, "--format", "json", ".").stdout)
    assert content["errors"] == [{"path": "secret.py", "message": "cannot be read: Permission denied"}]


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (CLEAN, "no leaks found in 1 file"),
        (Report("1.2", 54, (LEAK, LEAK, LEAK), ()), "3 leaks in 1 of 54 files"),
        (Report("1.2", 3, (COMMENT,), ()), "1 other finding in 1 of 3 files"),
    ],
)
def test_closing_line(over: Over, report: Report, line: str) -> None:
    assert over(report, ".").stderr == f"{line}\n"


def test_exit_codes(over: Over) -> None:
    assert over(CLEAN, ".").code == 0
    assert over(REPORT, ".").code == 1
    assert over(REPORT, "--exit-zero", ".").code == 0
    assert over(UNREAD, "--exit-zero", ".").code == 0


def test_statistics_count_the_most_frequent_first(over: Over) -> None:
    report = Report("1.2", 9, (COMMENT, LEAK, LEAK), ())
    ended = over(report, "--statistics", ".")
    assert ended.stdout.splitlines()[-2:] == ["2  LK101  send-without-receiver in 1 file", "1  LK002  unused-suppression in 1 file"]
    assert ended.stderr.splitlines()[-1].endswith(" s")
    as_json = over(report, "--statistics", "--format", "json", ".")
    assert json.loads(as_json.stdout)["files"] == 9
    assert "2  LK101" in as_json.stderr


def test_color_on_request_only(over: Over, monkeypatch: pytest.MonkeyPatch) -> None:
    painted = over(REPORT, "--color", "always", ".").stdout
    assert "\x1b[1;31mLK101\x1b[0m" in painted
    assert "\x1b" not in over(REPORT, ".").stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert over(REPORT, ".").stdout == painted
    assert "\x1b" not in over(REPORT, "--color", "never", ".").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in over(REPORT, ".").stdout
    assert over(REPORT, "--color", "always", ".").stdout == painted


def test_the_words_are_the_same_with_and_without_color(over: Over) -> None:
    painted = over(REPORT, "--color", "always", ".").stdout
    for code in ("1", "2", "1;31", "33", "36", "0"):
        painted = painted.replace(f"\x1b[{code}m", "")
    assert painted == over(REPORT, ".").stdout


def replaced(**fields: object) -> object:
    import msgspec

    return msgspec.structs.replace(LEAK, **fields)
