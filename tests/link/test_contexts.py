"""Instances that are told apart: each object has queues, locks and methods of its own, and where that ends."""

from __future__ import annotations

from link.programs import linked, named, opened, owned

from leaklint.link.contexts import MOST_BELOW, MOST_MADE
from leaklint.link.values import FunctionId, Instance, Resource

BOX = """
import queue

class Box:
    def __init__(self):
        self.rows = queue.Queue()

    def push(self):
        self.rows.put(1)

    def pull(self):
        self.rows.get()

"""
"""The queue is made in line 6."""


def _script(body: str, *, before: str = BOX) -> str:
    """A program that nobody imports; the body starts in line 17 when the box comes before it."""
    lines = [line[8:] for line in body.strip("\n").splitlines()]
    return before + "\n".join(lines) + '\n\nif __name__ == "__main__":\n    main()\n'


def test_two_instances_are_two_channels() -> None:
    assert owned(
        _script("""
        # the first line of the body is the fourteenth
        def main():
            left = Box()
            right = Box()
            left.push()
            right.pull()
        """)
    ) == ["send 6 of 16", "receive 6 of 17"]


def test_instances_made_in_one_line_by_two_calls() -> None:
    program = linked(
        _script("""
        def main():
            left, right = Box(), Box()
            left.push()
            right.pull()
        """)
    )
    (sent,), (received,) = (action.subjects for action in program.actions if action.function in program.live and action.does in ("send", "receive"))
    assert sent != received
