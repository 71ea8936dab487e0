"""Summaries and reports kept between runs, found by what they were made from.

A key is a hash of everything that the value depends on, so nothing is ever out of date: what is not asked for any more is only
old, and goes when the space is needed. Whatever cannot be read or does not fit its checksum counts as not there, and is
written anew: a cache that is damaged costs time and never an answer. A folder that cannot be written to is left alone.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from zlib import crc32

import msgspec

FOLDER = ".leaklint_cache"
_MOST_PACKS = 8
_MOST_BYTES = 256_000_000
_MOST_REPORTS = 16
_OLD = 14 * 24 * 3600  # seconds

_TAG = """Signature: 8a477f597d28d172789f06886806bc55
# This file is a cache directory tag created by leaklint; see https://bford.info/cachedir/
"""

Entry = tuple[int, int, int]
"""Where a value lies in its pack: offset behind the index, length, checksum."""


@dataclass(frozen=True, slots=True)
class Cache:
    """`folder` holds one folder per `stamp`, the version of everything that makes the values; None: nothing is kept."""

    folder: str | None
    stamp: str


def cache_stamp(parts: Iterable[str]) -> str:
    """A name for the versions given and for the code of this package, so that a change of either finds an empty cache."""
    import leaklint

    hasher = hashlib.sha256("\0".join(parts).encode())
    top = os.path.dirname(leaklint.__file__)
    for folder, folders, files in os.walk(top):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                status = os.stat(os.path.join(folder, name))
                hasher.update(f"{folder[len(top) :]}/{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return hasher.hexdigest()[:16]


def key_of(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


# --- reports -----------------------------------------------------------------------------------------------------------


def load_report(cache: Cache, key: bytes) -> bytes | None:
    """The value kept under `key`."""
    if cache.folder is None:
        return None
    stored = _content(_report_file(cache.folder, cache.stamp, key))
    checksum, value = stored[:4], stored[4:]
    return value if checksum == crc32(value).to_bytes(4) and value else None


def save_report(cache: Cache, key: bytes, value: bytes) -> None:
    if cache.folder is None:
        return
    file = _report_file(cache.folder, cache.stamp, key)
    if _write(cache.folder, file, [crc32(value).to_bytes(4), value]):
        _remove(_newest(os.path.dirname(file), ".report")[_MOST_REPORTS:])


def _report_file(folder: str, stamp: str, key: bytes) -> str:
    return os.path.join(folder, stamp, f"{key.hex()[:32]}.report")


# --- summaries: many in one file, a pack -------------------------------------------------------------------------------


def load_summaries(cache: Cache, keys: Iterable[bytes]) -> dict[bytes, bytes]:
    """The values of those keys that are kept. Of a pack only the index and the values asked for are read."""
    missing = set(keys)
    found: dict[bytes, bytes] = {}
    if cache.folder is not None:
        for pack in _newest(os.path.join(cache.folder, cache.stamp), ".pack"):
            if missing:
                found.update(_read_pack(pack, missing.__contains__))
                missing -= found.keys()
    return found


def save_summaries(cache: Cache, values: Mapping[bytes, bytes]) -> None:
    """Keep `values` in a new pack. When there are many packs they become one, the newest values first, up to a limit of space."""
    if cache.folder is None or not values:
        return
    folder = os.path.join(cache.folder, cache.stamp)
    old = _newest(folder, ".pack")
    merged = dict(values)
    if merges := len(old) >= _MOST_PACKS:
        size = sum(map(len, merged.values()))
        for pack in old:
            for key, value in _read_pack(pack, lambda key: key not in merged):
                if (size := size + len(value)) <= _MOST_BYTES:
                    merged[key] = value
    name = f"{time.time_ns():020}-{os.getpid()}.pack"
    if _write(cache.folder, os.path.join(folder, name), _packed(merged)) and merges:
        _remove(old)
        _remove_old_stamps(cache.folder, cache.stamp)


def _packed(values: Mapping[bytes, bytes]) -> Iterator[bytes]:
    """The length of the index in 8 bytes, the index (key → Entry), the values."""
    index: dict[bytes, Entry] = {}
    offset = 0
    for key, value in values.items():
        index[key] = (offset, len(value), crc32(value))
        offset += len(value)
    encoded = msgspec.msgpack.encode(index)
    yield len(encoded).to_bytes(8)
    yield encoded
    yield from values.values()


def _read_pack(file: str, is_wanted: Callable[[bytes], bool]) -> Iterator[tuple[bytes, bytes]]:
    try:
        with open(file, "rb") as stream:
            size = int.from_bytes(stream.read(8))
            if size > os.fstat(stream.fileno()).st_size:
                return
            index = msgspec.msgpack.decode(stream.read(size), type=dict[bytes, Entry])
            for key, (offset, length, checksum) in index.items():
                if is_wanted(key):
                    stream.seek(8 + size + offset)
                    value = stream.read(length)
                    if crc32(value) == checksum:
                        yield key, value
    except (OSError, msgspec.DecodeError):
        return


# --- files -------------------------------------------------------------------------------------------------------------


def _content(file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            return stream.read()
    except OSError:
        return b""


def _newest(folder: str, ending: str) -> list[str]:
    """The files, the newest first."""
    try:
        with os.scandir(folder) as listing:
            files = [(entry.stat().st_mtime_ns, entry.name) for entry in listing if entry.name.endswith(ending)]
    except OSError:
        return []
    return [os.path.join(folder, name) for _, name in sorted(files, reverse=True)]


def _write(cache: str, file: str, content: Iterable[bytes]) -> bool:
    """Whole or not at all, whoever else writes at the same time. False: this folder is not for us to write to."""
    temporary = f"{file}.{os.getpid()}"
    try:
        if not os.path.isdir(cache):
            os.makedirs(cache)
            for name, text in ((".gitignore", "*\n"), ("CACHEDIR.TAG", _TAG)):
                with open(os.path.join(cache, name), "w", encoding="utf-8") as stream:
                    stream.write(text)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(temporary, "wb") as packed:
            packed.writelines(content)
        os.replace(temporary, file)
    except OSError:
        _remove([temporary])
        return False
    return True


def _remove(files: Iterable[str]) -> None:
    for file in files:
        with suppress(OSError):  # somebody else was quicker, or it was never ours
            os.unlink(file)


def _remove_old_stamps(cache: str, stamp: str) -> None:
    """What other versions kept goes when they have not written for two weeks."""
    limit = time.time() - _OLD
    with suppress(OSError):
        for name in os.listdir(cache):
            folder = os.path.join(cache, name)
            if name != stamp and os.path.isdir(folder) and os.stat(folder).st_mtime < limit:
                _remove(os.path.join(folder, file) for file in os.listdir(folder))
                os.rmdir(folder)
