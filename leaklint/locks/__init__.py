"""Lock sets: which locks are held at every operation, on which way they came to be held, and which a call may take."""

from leaklint.locks.calls import Call, How
from leaklint.locks.events import Event, Give, Take
from leaklint.locks.flow import State
from leaklint.locks.holds import Acquisition, Context, Hold, Mode
from leaklint.locks.identity import Identity
from leaklint.locks.locks import Locks, locks_of
from leaklint.locks.terms import Term

__all__ = [
    "Acquisition",
    "Call",
    "Context",
    "Event",
    "Give",
    "Hold",
    "How",
    "Identity",
    "Locks",
    "Mode",
    "State",
    "Take",
    "Term",
    "locks_of",
]
