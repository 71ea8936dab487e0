"""How a unit ends: every way that the program gives it to come to an end, or none."""

from leaklint.exits.exits import Ending, Exits
from leaklint.exits.kinds import ExitKind, Verdict, WayOut
from leaklint.exits.started import Started, started

__all__ = ["Ending", "ExitKind", "Exits", "Started", "Verdict", "WayOut", "started"]
