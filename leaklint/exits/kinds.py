"""The closed vocabulary of how units end."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from leaklint.finding import Step


class ExitKind(StrEnum):
    """Why a unit comes to an end."""

    RETURNS = "returns"  # its body has no loop without an end
    SENTINEL = "sentinel"  # its loop is left when it receives a value that says so
    CLOSED = "closed"  # the channel, stream or socket that it reads is closed, or what it iterates over ends
    FLAG = "flag"  # its loop tests a flag or an event, and whoever sets it wakes it, or its waits are bounded
    TIMEOUT = "timeout"  # a wait of its loop gives up after a time
    CONDITION = "condition"  # its loop tests something else of the program
    RAISES = "raises"  # its loop is left by an exception that the program speaks of
    FIRES_ONCE = "fires-once"  # a timer that does not arm itself again
    CANCELLED = "cancelled"  # somebody cancels or terminates it
    GROUP = "group"  # it ends with the task group, the gather or the wait that it belongs to
    FINALIZER = "finalizer"  # as `flag`, `sentinel`, `closed` or `cancelled`, by a finalizer or an exit hook
    ESCAPES = "escapes"  # code out of sight has its handle, flag or channel and may end it
    UNSEEN = "unseen"  # what it runs is out of sight
    NEVER_STARTED = "never-started"
    DAEMON = "daemon"  # only with the process, which does not wait for it
    PROGRAM_END = "program-end"  # only with the program: its event loop cancels what is left


class Verdict(StrEnum):
    """What all ways out of a unit come to."""

    ENDS = "ends"
    OPEN = "open"  # nothing in sight ends it, but code out of sight may, or is what it runs
    WITH_PROCESS = "with-process"
    NO_EXIT = "no-exit"


class WayOut(Struct, frozen=True):
    """One way to the end of a unit: the place that brings it about, and a sentence that says how."""

    kind: ExitKind
    step: Step


_OPEN = frozenset({ExitKind.ESCAPES, ExitKind.UNSEEN})
_WITH_PROCESS = frozenset({ExitKind.DAEMON, ExitKind.PROGRAM_END})


def judge(ways: Iterable[WayOut]) -> Verdict:
    """The best of them."""
    kinds = {way.kind for way in ways}
    if kinds - _WITH_PROCESS - _OPEN:
        return Verdict.ENDS
    if kinds & _OPEN:
        return Verdict.OPEN
    return Verdict.WITH_PROCESS if kinds else Verdict.NO_EXIT
