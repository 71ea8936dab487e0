"""`[tool.leaklint]`, the command line over it, and what is said about mistakes in either."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from leaklint.errors import LeaklintError
from leaklint.finding import Confidence
from leaklint.settings import Settings, check_codes, is_selected, is_sure_enough, load, override, read

CODES = ("LK001", "LK101", "LK103", "LK110", "LK201")


def test_every_key_is_read(project: Path, write: Callable[..., None]) -> None:
    write(
        {
            "pyproject.toml": """
[tool.leaklint]
select = ["LK1"]
ignore = ["LK103"]
extend-select = ["LK201"]
exclude = ["docs"]
extend-exclude = ["*_pb2.py"]
confidence = "possible"
jobs = 2
cache = false
cache-dir = "var/leaks"
extend-rules = ["ours"]
[tool.leaklint.per-file-ignores]
"tests/" = ["LK1"]
[tool.leaklint.models."shop.Queue"]
is = "channel"
"""
        }
    )
    assert load(["."]) == Settings(
        select=("LK1",),
        ignore=("LK103",),
        extend_select=("LK201",),
        exclude=("docs",),
        extend_exclude=("*_pb2.py",),
        confidence=Confidence.POSSIBLE,
        jobs=2,
        cache=False,
        cache_dir=str(project / "var/leaks"),
        per_file_ignores={"tests/": ("LK1",)},
        extend_rules=(str(project / "ours"),),
        models={"shop.Queue": {"is": "channel"}},
        root=str(project),
        file="pyproject.toml",
    )


def test_the_nearest_table_above_the_common_parent_counts(project: Path, write: Callable[..., None]) -> None:
    write(
        "app/web/views.py",
        "app/jobs/daily.py",
        {
            "pyproject.toml": "[tool.leaklint]\njobs = 1",
            "app/pyproject.toml": "[tool.leaklint]\njobs = 2",
            "app/web/pyproject.toml": "[tool.leaklint]\njobs = 3",
            "app/jobs/pyproject.toml": "[project]\nname = 'jobs'",
        },
    )
    assert load(["app/web/views.py"]).jobs == 3
    assert load(["app/jobs"]).jobs == 2
    assert load(["app/web", "app/jobs/daily.py"]).jobs == 2
    assert load(["app", "."]).jobs == 1
    assert load(["missing/folder/file.py"]).jobs == 1
    assert load([]) == load(["."])


def test_without_a_table_the_defaults_count(project: Path, write: Callable[..., None]) -> None:
    assert load([str(project)]) == Settings()
    write({"pyproject.toml": "tool = 3"})
    assert load(["."]) == Settings()
    assert read("pyproject.toml").root == str(project)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[tool.leaklint]\nextend_select = ['LK1']", 'unknown key "extend_select"; did you mean "extend-select"?'),
        ("[tool.leaklint]\nselct = ['LK1']", 'unknown key "selct"; did you mean "select"?'),
        ("[tool.leaklint]\nroot = 'x'", 'unknown key "root"; '),
        ("[tool.leaklint]\nselect = 'LK1'", "[tool.leaklint] select: expected array, got str"),
        ("[tool.leaklint]\nselect = ['LK1', 3]", "[tool.leaklint] select: expected str, got int at [1]"),
        ("[tool.leaklint]\njobs = -1", "[tool.leaklint] jobs: expected int >= 0"),
        ("[tool.leaklint]\ncache = 1", "[tool.leaklint] cache: expected bool, got int"),
        ("[tool.leaklint]\nconfidence = 'likly'", '[tool.leaklint] confidence: unknown confidence "likly"; did you mean "likely"?'),
        ("[tool.leaklint]\nconfidence = 3", "[tool.leaklint] confidence: expected str, got int"),
        ("[tool]\nleaklint = true", "tool.leaklint: expected a table"),
        ("[tool.leaklint]\njobs = = 2", "not valid TOML: Invalid value (at line 2, column 8)"),
    ],
)
def test_a_mistake_is_one_line_with_file_key_and_remedy(write: Callable[..., None], table: str, message: str) -> None:
    write({"app/pyproject.toml": table})
    with pytest.raises(LeaklintError) as raised:
        load(["app"])
    assert str(raised.value).startswith("app/pyproject.toml: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_text_or_not_there(project: Path) -> None:
    (project / "pyproject.toml").write_bytes(b"[tool.leaklint]\n# \xff")
    with pytest.raises(LeaklintError, match=r"^pyproject.toml: not valid TOML: "):
        load(["."])
    with pytest.raises(LeaklintError, match=r"^other.toml: cannot be read: No such file"):
        read("other.toml")


def test_the_command_line_counts_more(project: Path, write: Callable[..., None]) -> None:
    write({"pyproject.toml": "[tool.leaklint]\njobs = 2\nselect = ['LK1']"})
    settings = override(load(["."]), {"jobs": None, "select": ("LK2",), "confidence": "proven", "extend_rules": ("ours",)})
    assert (settings.jobs, settings.select, settings.confidence) == (2, ("LK2",), Confidence.PROVEN)
    assert settings.extend_rules == (str(project / "ours"),)
    with pytest.raises(LeaklintError, match=r"^--confidence: unknown confidence \"sure\""):
        override(settings, {"confidence": "sure"})


def test_unknown_codes_are_named_with_their_place() -> None:
    from_file = Settings(file="pyproject.toml", ignore=("LK1O3",), per_file_ignores={"tests/": ("LK9",)})
    with pytest.raises(LeaklintError, match=r'^pyproject.toml: \[tool.leaklint\] ignore: unknown code "LK1O3"; did you mean "LK103"\?'):
        check_codes(from_file, CODES)
    with pytest.raises(LeaklintError, match=r'per-file-ignores "tests/": unknown code "LK9"'):
        check_codes(msgspec.structs.replace(from_file, ignore=()), CODES)
    with pytest.raises(LeaklintError, match=r'^--select: unknown code "lk103"; did you mean "LK103"\?'):
        check_codes(override(Settings(file="pyproject.toml"), {"select": ("lk103",)}), CODES)
    with pytest.raises(LeaklintError, match='unknown code ""'):
        check_codes(Settings(select=("",)), CODES)
    check_codes(Settings(select=("LK", "LK1", "LK103"), ignore=("LK2",)), CODES)


@pytest.mark.parametrize(
    ("settings", "selected"),
    [
        (Settings(), "LK001 LK101 LK103 LK201"),
        (Settings(select=("LK1",)), "LK101 LK103 LK110"),
        (Settings(extend_select=("LK110",)), "LK001 LK101 LK103 LK110 LK201"),
        (Settings(ignore=("LK1",)), "LK001 LK201"),
        (Settings(ignore=("LK1",), extend_select=("LK103",)), "LK001 LK103 LK201"),
        (Settings(select=("LK103",), ignore=("LK1",)), "LK103"),
        (Settings(select=("LK1",), ignore=("LK103",)), "LK101 LK110"),
        (Settings(select=("LK1",), ignore=("LK1",)), ""),
    ],
)
def test_the_longest_prefix_decides(settings: Settings, selected: str) -> None:
    assert [code for code in CODES if is_selected(settings, code, on=code != "LK110")] == selected.split()


def test_confidence_is_a_minimum() -> None:
    assert [one.value for one in Confidence if is_sure_enough(Settings(), one)] == ["proven", "likely"]
    assert [one.value for one in Confidence if is_sure_enough(Settings(confidence=Confidence.PROVEN), one)] == ["proven"]
