"""Paint for a terminal, or none."""

from __future__ import annotations

from enum import StrEnum


class Ink(StrEnum):
    """SGR parameters (ECMA-48, 8.3.117)."""

    BOLD = "1"
    DIM = "2"
    CODE = "1;31"
    MARK = "31"
    SURE = "33"
    PLACE = "36"


def paint(text: str, ink: Ink, color: bool) -> str:
    return f"\x1b[{ink}m{text}\x1b[0m" if color and text else text
