"""The one error that a user causes."""

from __future__ import annotations


class LeaklintError(Exception):
    """A mistake of the user, told in one line: the file or option, the key, and what would be right."""
