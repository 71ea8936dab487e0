"""The bytes of a file become text: encoding cookie, byte order mark, line ends."""

from __future__ import annotations

import io
import tokenize

from leaklint.ir import Problem


def decode(source: bytes) -> str | Problem:
    """The text of `source` as Python reads it: every line end is `\\n`, the byte order mark is gone.

    The encoding is the PEP 263 cookie's, else UTF-8. A Problem for an unknown encoding, for bytes that are not in it and for null bytes.
    """
    if b"\0" in source:
        line, column = _place(source[: source.index(b"\0")])
        return Problem("source code cannot contain null bytes", line, column)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    except SyntaxError as error:
        return Problem(str(error.msg), 1, 1)
    try:
        text = source.decode(encoding)
        if not encoding.startswith("utf-8"):
            text.encode()
    except UnicodeDecodeError as error:
        line, column = _place(source[: error.start])
        return Problem(f"not valid {encoding}: {error.reason}", line, column)
    except UnicodeEncodeError:
        return Problem(f"{encoding} text with lone surrogates", 1, 1)
    except LookupError:
        return Problem(f"not a text encoding: {encoding}", 1, 1)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text


def _place(before: bytes) -> tuple[int, int]:
    """Line and column of what follows `before`; the bytes that are not UTF-8 count as one character each."""
    lines = before.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return len(lines), len(lines[-1]) + 1
