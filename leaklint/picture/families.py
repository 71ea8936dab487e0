"""Which kinds look alike: the families that the drawings give a colour."""

from __future__ import annotations

from leaklint.catalog.grammar import Does, Kind, UnitKind

OBJECT = "object"

FAMILIES: dict[str, str] = {
    UnitKind.MAIN: "main",
    UnitKind.TASK: "task",
    UnitKind.JOB: "task",
    UnitKind.THREAD: "thread",
    UnitKind.PROCESS: "thread",
    UnitKind.TIMER: "timer",
    UnitKind.CALLBACK: "callback",
    UnitKind.HANDLER: "callback",
    UnitKind.ANYONE: "outside",
    Kind.CHANNEL: "channel",
    Kind.SENDER: "channel",
    Kind.RECEIVER: "channel",
    Kind.ENDPOINT: "channel",
    Kind.LOCK: "lock",
    Kind.SEMAPHORE: "lock",
    Kind.CONDITION: "lock",
    Kind.BARRIER: "lock",
    Kind.EVENT: "event",
    Kind.FUTURE: "event",
    Kind.EXECUTOR: "scope",
    Kind.GROUP: "scope",
    Kind.SCOPE: "scope",
    Kind.LOOP: "scope",
    Kind.SELECTOR: "scope",
    Kind.STACK: "scope",
    Kind.CONNECTION: "value",
    Kind.SERVER: "scope",
    Kind.SUBPROCESS: "thread",
    Kind.VALUE: "value",
    OBJECT: "object",
}
"""Kind → family. Tasks, threads and timers of which no unit was made are drawn as their units would be."""

ACTS: dict[str, str] = {
    Does.SEND: "passing",
    Does.RECEIVE: "passing",
    Does.CLOSE: "passing",
    Does.DRAIN: "passing",
    Does.SPAWN: "starting",
    Does.ARM: "starting",
    Does.SUBMIT: "starting",
    Does.REGISTER: "starting",
    Does.RUN: "starting",
    Does.CANCEL: "ending",
    Does.JOIN: "ending",
    Does.BOUND: "ending",
    Does.SHIELD: "ending",
    Does.ACQUIRE: "locking",
    Does.RELEASE: "locking",
    Does.WAIT: "waiting",
    Does.SIGNAL: "waiting",
    Does.CLEAR: "waiting",
    "own": "owning",
}
"""Operation → the sort of act that it is; those that are not here only look, copy or keep: "looking"."""


def family(kind: str) -> str:
    return FAMILIES.get(kind, "value")


def act(operation: str) -> str:
    return ACTS.get(operation, "looking")
