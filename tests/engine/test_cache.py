"""What is kept comes back; what is damaged, old or not ours to write costs nothing but time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from leaklint.cache import Cache, cache_stamp, key_of, load_report, load_summaries, save_report, save_summaries

KEYS = [key_of(bytes([number])) for number in range(100)]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(str(tmp_path / "cache"), "v1")


def packs(cache: Cache) -> list[Path]:
    return sorted(Path(str(cache.folder), cache.stamp).glob("*.pack"))


def test_what_is_saved_comes_back(cache: Cache) -> None:
    assert load_summaries(cache, KEYS) == {}
    assert load_report(cache, KEYS[0]) is None
    save_summaries(cache, {KEYS[0]: b"zero", KEYS[1]: b""})
    save_summaries(cache, {KEYS[2]: b"two"})
    save_report(cache, KEYS[0], b"report")
    assert load_summaries(cache, KEYS) == {KEYS[0]: b"zero", KEYS[1]: b"", KEYS[2]: b"two"}
    assert load_summaries(cache, KEYS[2:]) == {KEYS[2]: b"two"}
    assert load_report(cache, KEYS[0]) == b"report"
    assert load_report(cache, KEYS[1]) is None


def test_another_stamp_sees_nothing(cache: Cache) -> None:
    save_summaries(cache, {KEYS[0]: b"zero"})
    assert load_summaries(Cache(cache.folder, "v2"), KEYS) == {}
    assert cache_stamp(["1", "2"]) != cache_stamp(["1", "3"])
    assert cache_stamp(["1"]) == cache_stamp(["1"])


def test_many_packs_become_one(cache: Cache) -> None:
    for number, key in enumerate(KEYS[:9]):
        save_summaries(cache, {key: b"%d" % number})
    assert len(packs(cache)) == 1
    assert load_summaries(cache, KEYS) == {key: b"%d" % number for number, key in enumerate(KEYS[:9])}


def test_the_oldest_values_go_when_space_ends(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leaklint.cache._MOST_BYTES", 50)
    for key in KEYS[:9]:
        save_summaries(cache, {key: b"0123456789"})
    assert set(load_summaries(cache, KEYS)) == set(KEYS[4:9])


def test_only_the_newest_reports_stay(cache: Cache) -> None:
    for key in KEYS[:20]:
        save_report(cache, key, key)
    assert load_report(cache, KEYS[19]) == KEYS[19]
    assert len(list(Path(str(cache.folder), "v1").iterdir())) == 16


def test_old_stamps_go(cache: Cache) -> None:
    old, young = Cache(cache.folder, "old"), Cache(cache.folder, "young")
    for other in (old, young):
        save_summaries(other, {KEYS[0]: b"zero"})
    long_ago = time.time() - 30 * 24 * 3600
    os.utime(Path(str(cache.folder), "old"), (long_ago, long_ago))
    for key in KEYS[:9]:
        save_summaries(cache, {key: b""})
    assert sorted(path.name for path in Path(str(cache.folder)).iterdir()) == [".gitignore", "CACHEDIR.TAG", "v1", "young"]


def flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    "damage", [lambda _: b"", lambda _: b"\xff" * 100, lambda content: content[:-2], flipped, lambda content: content[5:]]
)
def test_damage_is_a_miss(cache: Cache, damage: Callable[[bytes], bytes]) -> None:
    save_summaries(cache, {KEYS[0]: b"zero"})
    save_report(cache, KEYS[0], b"report")
    for file in Path(str(cache.folder), "v1").iterdir():
        file.write_bytes(damage(file.read_bytes()))
    assert load_summaries(cache, KEYS) == {}
    assert load_report(cache, KEYS[0]) is None
    save_summaries(cache, {KEYS[0]: b"zero"})
    save_report(cache, KEYS[0], b"report")
    assert load_summaries(cache, KEYS) == {KEYS[0]: b"zero"}
    assert load_report(cache, KEYS[0]) == b"report"


def test_a_folder_that_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    """A file stands where the folder should be: that stops root, too."""
    (tmp_path / "file").write_text("in the way")
    for cache in (Cache(str(tmp_path / "file"), "v1"), Cache(str(tmp_path / "file/below"), "v1"), Cache(None, "v1")):
        save_summaries(cache, {KEYS[0]: b"zero"})
        save_report(cache, KEYS[0], b"report")
        assert load_summaries(cache, KEYS) == {}
        assert load_report(cache, KEYS[0]) is None
    assert (tmp_path / "file").read_text() == "in the way"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_version_control_and_backups_are_told_to_pass_by(cache: Cache) -> None:
    save_report(cache, KEYS[0], b"report")
    assert Path(str(cache.folder), ".gitignore").read_text() == "*\n"
    assert Path(str(cache.folder), "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
