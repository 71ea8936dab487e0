"""A state explorer: a short schedule that ends with somebody blocked for ever, or silence.

    scope ──▶ automata (frame, operations, reading) ──▶ System ──▶ search (steps, acts, reach, twins) ──▶ judge ──▶ witness
              what the units of a part of the              all schedules, up to a bound                  in words
              program do to its resources

What is modelled: queues and streams of any capacity, closing, `task_done` and `join`, locks, semaphores, events, futures that the program
itself sets, barriers, tasks, threads, processes and jobs, task groups, cancellation and where it lands, time limits, sentinels, counted
loops. A cooperative unit runs until it waits; who is woken first, and what a cancelled one hands on, follows `asyncio`.

What is not, so that nothing is said of it: resources that code out of sight can reach, or of which one place makes several; methods handed
out for others to call; conditions; callbacks and timers; generators and context managers of the program; operations on one of several
things; recursion; clones of stream ends; capacities that depend on the data. All time limits may run out at any time. Tests of what the
program changes, and exceptions that a call may raise, are guesses: what needs one is not proven.
"""

from leaklint.explore.judge import Explorer

__all__ = ["Explorer"]
