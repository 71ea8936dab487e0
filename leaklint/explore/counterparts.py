"""Which act of an automaton an operation on a kind of resource is."""

from __future__ import annotations

from leaklint.catalog.grammar import Does, Kind
from leaklint.explore.system import Act

_CHANNELS = (Kind.CHANNEL, Kind.SENDER, Kind.RECEIVER)
ACTS: dict[tuple[Does, Kind | None], Act] = {
    **{(Does.SEND, kind): Act.SEND for kind in _CHANNELS},
    **{(Does.RECEIVE, kind): Act.RECEIVE for kind in _CHANNELS},
    **{(Does.CLOSE, kind): Act.CLOSE for kind in _CHANNELS},
    **{(Does.DRAIN, kind): Act.TASK_DONE for kind in _CHANNELS},
    **{(Does.WAIT, kind): Act.DRAINED for kind in _CHANNELS},
    **{(Does.ACQUIRE, kind): Act.ACQUIRE for kind in (Kind.LOCK, Kind.SEMAPHORE, Kind.CONDITION)},
    **{(Does.RELEASE, kind): Act.RELEASE for kind in (Kind.LOCK, Kind.SEMAPHORE, Kind.CONDITION)},
    (Does.WAIT, Kind.CONDITION): Act.LISTEN,
    (Does.SIGNAL, Kind.CONDITION): Act.NOTIFY,
    **{(Does.WAIT, kind): Act.WAIT for kind in (Kind.EVENT, Kind.FUTURE, Kind.BARRIER)},
    **{(Does.SIGNAL, kind): Act.SET for kind in (Kind.EVENT, Kind.FUTURE)},
    (Does.CLEAR, Kind.EVENT): Act.CLEAR,
}
TRIES = {Act.SEND: Act.TRY_SEND, Act.RECEIVE: Act.TRY_RECEIVE, Act.ACQUIRE: Act.TRY_ACQUIRE}
"""What each is when it does not wait."""
