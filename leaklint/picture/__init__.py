"""The channel graph of a program as facts and as drawings."""

from __future__ import annotations

from leaklint.picture.dot import dot
from leaklint.picture.drawing import Drawing, as_json
from leaklint.picture.facts import drawn
from leaklint.picture.mermaid import mermaid
from leaklint.picture.svg import svg

__all__ = ["Drawing", "as_json", "dot", "drawn", "mermaid", "svg"]
