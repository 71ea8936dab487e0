"""A state explorer: a short schedule that ends with somebody blocked for ever, or silence.

    scope ──▶ automata (frame, operations, reading) ──▶ System ──▶ search (steps, acts, reach, twins) ──▶ judge ──▶ witness
              what the units of a part of the              all schedules, up to a bound                  event by event
              program do to its resources

A query suspects waits (`Leak.blocked`). For each the scope is found (`scope`): the lowest function that runs all that touches the
resource, what it starts, and the other resources in between. Then the schedules of that part of the program are explored twice:

* *cautious*: no guess is followed. Somebody stuck in the wait: **proven**, and the schedule is the witness.
* *bold*: guesses are followed too. A schedule then leaves the finding as it was; none, after all were seen: the finding is dropped.

Whatever has no counterpart in the automata (`points.Unsupported`, whose text says what) and whatever is larger than the bounds leaves the
finding as the query made it: *likely*, or *possible*.

What is modelled
    Queues and streams of any capacity, closing, `task_done` and `join`; locks (reentrant, fair), semaphores, events, conditions,
    barriers, futures that the program itself sets; tasks, threads, processes, jobs of executors, task groups; cancellation, where it
    lands and what a cancelled unit hands on; time limits, which may run out at any time; sentinels, counted loops; flags, counts and
    lengths of lists in attributes of one object (`variables`) and in locals (`locals`). A cooperative unit runs until it waits; who is
    woken first follows `asyncio` of Python 3.13, a free lock of threads goes to whoever comes first.

What is a free choice
    Tests of data: of what nobody changes while the program runs, and says nothing of what was received.

What is a guess
    Tests of what the program changes and is not modelled, or of what a function returns that itself works on the resources; a call of one
    of several functions; an exception that a call may raise.

What is not modelled, so that nothing is decided
    A resource that code out of sight may use, that is made several times in a run of the root and in a turn of its loop, or that no
    function has wholly below it; methods that are handed out for others to call; clones of stream ends; an operation on one of several
    things; timers, callbacks, handlers; a unit that starts in one of several functions; generators and context managers of the program;
    functions that call themselves, or run in a way that is not followed; a capacity, a number of permits or of notifications that is not
    known; a count that is kept once for each element of data; a condition whose lock is out of sight; a unit waited for that itself waits
    for something out of sight; a task group that may be that of several units, and which of it and a `gather` hears first of a failure.
    Memory models, signals, and the end of processes from outside are not modelled and not noticed: what
    happens between two operations on resources is one step.

Bounds
    `MOST_STATES` states for each wait, a count and not a time, so that every machine gives the same answer; `MOST_RESOURCES` resources
    and `MOST_VARIABLES` variables in a scope; `MOST_POINTS` places in an automaton; `DEEPEST` calls inlined in one another; `MOST_COPIES`
    units of one place; `MOST_TURNS` turns of a counted loop. A loop over data turns `SOME` times, and a bounded channel that it fills has
    room for one element, which stands for as many as there is room for. An unbounded channel with more than `MOST_ITEMS` elements decides
    nothing. So a refutation is one of the model: of three turns, and of so many copies.

After GCatch (Liu, Zhu, Qin, Chen, Song: "Automatically Detecting and Fixing Concurrency Bugs in Go Software Systems", ASPLOS 2021), which
judges a channel in the smallest part of a program that has all its operations, and tells the rest apart. What differs: GCatch writes each
combination of paths as constraints on the order of operations and asks a solver (Z3), we explore states that are kept; it knows channels
and mutexes of Go and unrolls loops, we follow the wake-up order, the cancellation and the time limits of Python's libraries; it finds
candidates by itself, ours come from queries; and what it cannot solve is silence, where ours refutes or leaves a finding.
"""

from leaklint.explore.judge import Explorer

__all__ = ["Explorer"]
