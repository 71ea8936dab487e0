"""Reports made by hand, and what comes out of a command that printed one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leaklint.finding import Confidence, FileError, Finding, Growth, Report, TraceStep
from leaklint.settings import Settings
from leaklint.witness import Event, Sort, Standing, Thing, Way

Run = Callable[..., subprocess.CompletedProcess[str]]

BROKEN = "x = = 1\n"
IDLE = "x = 1  # leaklint: ignore[LK101]\n"


@dataclass(frozen=True, slots=True)
class Call:
    paths: Sequence[str]
    settings: Settings
    stdin: tuple[str, bytes] | None


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    stdout: str
    stderr: str
    calls: list[Call]


MAIN, WORK, QUEUE = Thing("main"), Thing("work", "app.py", 7), Thing("queue", "app.py", 1)
FULL = Standing(QUEUE, Sort.CHANNEL, 1, 1, waiting=("`work` waits to put",))
SOURCE = "queue = Queue(1)\n\ndef work():\n    while True:\n        queue.put(1)\n"

LEAK = Finding(
    path="app.py",
    line=5,
    column=9,
    end_line=5,
    end_column=21,
    code="LK101",
    name="send-without-receiver",
    message="nobody receives from `queue`",
    function="work",
    confidence=Confidence.PROVEN,
    growth=Growth.PER_CALL,
    trace=(
        TraceStep("app.py", 1, 1, "the queue is made here"),
        TraceStep("app.py", 5, 9, "this put waits for ever"),
        TraceStep("app.py", 5, 9, "mend: receive from it"),
    ),
    witness=(
        Event(MAIN, Way.ACTS, "starts `work`", "app.py", 7, 1, WORK),
        Event(WORK, Way.ACTS, "puts something into `queue`", "app.py", 5, 9, QUEUE, Standing(QUEUE, Sort.CHANNEL, 1, 1)),
        Event(WORK, Way.STUCK, "waits for ever in `put` for room in `queue`", "app.py", 5, 9, QUEUE, FULL, "nobody takes from it"),
    ),
)
COMMENT = Finding("lib/a.py", 2, 3, 2, 30, "LK002", "unused-suppression", "silences nothing", "", Confidence.LIKELY, Growth.ONCE, ())
REPORT = Report("1.2", 54, (LEAK, COMMENT), ())
CLEAN = Report("1.2", 1, (), ())
UNREAD = Report("1.2", 0, (), (FileError("secret.py", "cannot be read: Permission denied"),))
