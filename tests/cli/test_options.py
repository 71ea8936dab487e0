"""How the command line, `[tool.leaklint]` and stdin become the settings and paths of one run."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.samples import CLEAN, Ended

from leaklint.finding import Confidence

Over = Callable[..., Ended]


def test_paths_alone_mean_check(over: Over) -> None:
    assert over(CLEAN, "src", "app.py").calls[0].paths == ["src", "app.py"]
    assert over(CLEAN, "check", "src", "app.py").calls[0].paths == ["src", "app.py"]
    assert over(CLEAN, "--jobs", "1", "src").calls[0].paths == ["src"]
    assert over(CLEAN, "check").calls[0].paths == ["."]
    assert over(CLEAN, "--", "-odd.py").calls[0].paths == ["-odd.py"]


def test_a_folder_named_like_a_command(over: Over) -> None:
    assert over(CLEAN, "./rules").calls[0].paths == ["./rules"]
    assert over(CLEAN, "check", "rules", "check").calls[0].paths == ["rules", "check"]


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (["--select", "LK1"], "select", ("LK1",)),
        (["--select", "LK1,LK203", "--select=LK5"], "select", ("LK1", "LK203", "LK5")),
        (["--ignore", "LK1, LK2"], "ignore", ("LK1", "LK2")),
        (["--extend-select", "LK207"], "extend_select", ("LK207",)),
        (["--exclude", "docs,*_pb2.py"], "exclude", ("docs", "*_pb2.py")),
        (["--extend-exclude", "docs"], "extend_exclude", ("docs",)),
        (["--confidence", "possible"], "confidence", Confidence.POSSIBLE),
        (["--jobs", "3"], "jobs", 3),
        (["--jobs", "auto"], "jobs", 0),
        (["--no-cache"], "cache", False),
    ],
)
def test_each_option_is_a_setting_and_stands_above_the_file(
    over: Over, project: Path, arguments: list[str], field: str, value: object
) -> None:
    (project / "pyproject.toml").write_text(
        '[tool.leaklint]\nselect = ["LK6"]\nignore = ["LK7"]\nextend-select = ["LK6"]\nexclude = ["x"]\nextend-exclude = ["y"]\n'
        'confidence = "proven"\njobs = 7\ncache = true\n'
    )
    from_file = over(CLEAN, ".").calls[0].settings
    assert (from_file.select, from_file.jobs, from_file.confidence) == (("LK6",), 7, Confidence.PROVEN)
    given = over(CLEAN, *arguments, ".").calls[0].settings
    assert getattr(given, field) == value
    assert getattr(from_file, field) != value
    others = set(given.__struct_fields__) - {field, "given"}
    assert {name: getattr(given, name) for name in others} == {name: getattr(from_file, name) for name in others}


def test_config_and_isolated(over: Over, project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.leaklint]\njobs = 7\n")
    (project / "other.toml").write_text("[tool.leaklint]\njobs = 5\n")
    assert over(CLEAN, "--config", "other.toml", ".").calls[0].settings.jobs == 5
    assert over(CLEAN, "--isolated", ".").calls[0].settings.jobs == 0
    both = over(CLEAN, "--isolated", "--config", "other.toml", ".")
    assert (both.code, both.stderr) == (2, "leaklint: error: --config and --isolated exclude each other\n")


def test_stdin_takes_the_place_of_a_file(over: Over, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x = 1\n")))
    call = over(CLEAN, "-", "--stdin-filename", "src/a.py", "src").calls[0]
    assert (call.paths, call.stdin) == (["src"], ("src/a.py", b"x = 1\n"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"y = 1\n")))
    call = over(CLEAN, "-").calls[0]
    assert (call.paths, call.stdin) == ([], ("stdin.py", b"y = 1\n"))
    assert over(CLEAN, ".").calls[0].stdin is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nonsense"], "--nonsense"),
        (["--jobs", "0", "."], 'Invalid value for \'--jobs\': "0" is neither a number from 1 on nor "auto"'),
        (["--jobs", "many", "."], "Invalid value for '--jobs': \"many\" is neither"),
        (["--confidence", "sure", "."], "'sure' is not one of 'proven', 'likely', 'possible'"),
        (["--format", "xml", "."], "'xml' is not one of 'text', 'flake8', 'json'"),
        (["--config", "absent.toml", "."], "File 'absent.toml' does not exist"),
        (["explain"], "Missing argument 'CODE'"),
        (["dump"], "Missing argument 'PATHS...'"),
    ],
)
def test_a_mistake_is_one_line_and_2(over: Over, arguments: list[str], message: str) -> None:
    ended = over(CLEAN, *arguments)
    assert ended.code == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("leaklint: error: ")
    assert ended.stderr.count("\n") == 1
    assert message in ended.stderr


def test_no_argument_at_all_shows_the_help(over: Over) -> None:
    ended = over(CLEAN)
    assert (ended.code, ended.calls) == (2, [])
    assert ended.stderr.startswith("Usage: leaklint")
