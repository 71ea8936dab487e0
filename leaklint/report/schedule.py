"""A witness for a reader: numbered steps, each with its place, the source line and how things stand then; at the end who is stuck."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from leaklint.report.color import Ink, paint
from leaklint.witness import Event, Sort, Way, listed

INDENT = "    "
MOST_STEPS = 24
"""Of a longer schedule the last ones are told."""

LineAt = Callable[[str, int], str]
"""Path and line → the text there, without the white space around it; "" when it is not to be had."""


def render(witness: Sequence[Event], line_at: LineAt, color: bool) -> Iterator[str]:
    """Lines without line ends, none for an empty witness. What happens again and again at one place is one step."""
    moves = [event for event in witness if event.way is not Way.STUCK]
    stuck = [event for event in witness if event.way is Way.STUCK]
    if not witness:
        return
    yield f"{INDENT}{paint('step by step:', Ink.BOLD, color)}"
    steps = [list(group) for _, group in groupby(moves, key=lambda event: (event.sentence, event.path, event.line))]
    left = max(0, len(steps) - MOST_STEPS)
    if left:
        yield f"{INDENT}  … after {left} other steps"
    width = len(f"{len(steps)}.")
    place = ""
    for number, step in enumerate(steps[left:], left + 1):
        event = step[-1]
        times = f", {len(step)} times" if len(step) > 1 else ""
        yield f"{INDENT}{paint(f'{number}.'.rjust(width), Ink.DIM, color)} {event.sentence}{times}{_level(event)}"
        if event.way is not Way.ENDS and place != (place := f"{event.path}:{event.line}"):
            yield from _quoted(event, line_at, color, width)
    yield f"{INDENT}{paint('stuck:', Ink.CODE, color)}"
    for (does, *_), same in groupby(stuck, key=lambda event: (event.does, event.why, event.path, event.line)):
        event, *others = same
        yield f"{INDENT}{' ' * width} {event.unit} {does}{_level(event)}"
        yield from _quoted(event, line_at, color, width)
        if event.why:
            yield f"{INDENT}{' ' * width}   {event.why}"
        if others:
            yield f"{INDENT}{' ' * width} so {'do' if len(others) > 1 else 'does'} {listed(tuple(str(other.unit) for other in others))}"


def _level(event: Event) -> str:
    """How things stand, where the sentence does not say so itself."""
    after = event.after
    if after is None or not after.level:
        return ""
    if after.sort is Sort.LOCK and after.room == 1:
        return f", taken by {listed(after.by)}" if after.by and event.way is not Way.ACTS else ""
    if after.is_rough and event.way is Way.ACTS:
        return ""
    return f": {after.level}" if after.sort in (Sort.CHANNEL, Sort.LOCK, Sort.BARRIER) else ""


def _quoted(event: Event, line_at: LineAt, color: bool, width: int) -> Iterator[str]:
    text = line_at(event.path, event.line)
    place = paint(f"{event.path}:{event.line}", Ink.PLACE, color)
    bar = f" {paint('|', Ink.DIM, color)} {text}"
    yield f"{INDENT}{' ' * width}   {place}{bar if text else ''}"
