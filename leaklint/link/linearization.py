"""The order in which Python looks at the bases of a class."""

from __future__ import annotations

from leaklint.link.values import ClassId


def linearized(lines: list[tuple[ClassId, ...]], cls: ClassId) -> list[ClassId]:
    """The bases of a class, merged so that each stands after all that name it as a base (C3: Barrett et al., "A Monotonic Superclass
    Linearization for Dylan", 1996). Where no such order exists: in the order of their first mention."""
    merged: list[ClassId] = []
    while lines := [rest for line in lines if (rest := tuple(one for one in line if one not in merged and one != cls))]:
        later = {one for line in lines for one in line[1:]}
        merged.append(next((line[0] for line in lines if line[0] not in later), lines[0][0]))
    return merged
