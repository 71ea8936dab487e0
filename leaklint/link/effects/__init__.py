"""Effect summaries: what functions do to what they are given and to what they make, whoever calls them."""

from leaklint.link.effects.kinds import Effect
from leaklint.link.effects.summaries import Effects, Made

__all__ = ["Effect", "Effects", "Made"]
