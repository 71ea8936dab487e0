"""The lines of the files that findings and drawings speak of."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from leaklint.report.text import LinesOf


def reader(stdin: tuple[str, bytes] | None) -> LinesOf:
    """Reads each file once. What came from stdin is not on disk."""

    name, text = (Path(stdin[0]), stdin[1]) if stdin else (None, b"")

    @cache
    def lines_of(path: str) -> Sequence[str]:
        try:
            content = text if Path(path) == name else Path(path).read_bytes()
            encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
            return io.TextIOWrapper(io.BytesIO(content), encoding, errors="replace").read().split("\n")
        except (OSError, SyntaxError):  # gone since, or in no known encoding: the finding stands without its source
            return ()

    return lines_of
