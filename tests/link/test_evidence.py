"""Where objects do not flow in sight: what annotations, decorators and the words of event loops stand in for."""

from __future__ import annotations

import pytest
from link.programs import linked, named, operations, owned

from leaklint.link.values import Instance

INBOX = """
import queue

class Inbox:
    def __init__(self):
        self.rows = queue.Queue()

class Loud(Inbox):
    def __init__(self):
        self.rows = queue.Queue()

"""


@pytest.mark.parametrize("annotation", ["Inbox", "Inbox | None", "Optional[Inbox]", "'Inbox'", "Annotated[Inbox, 1]"])
def test_an_annotated_parameter_that_nobody_gives(annotation: str) -> None:
    """Any instance will do, one of a subclass too."""
    assert owned(f"{INBOX}from typing import Annotated, Optional\n\ndef push(box: {annotation}):\n    box.rows.put(1)\n") == [
        "send 6",
        "send 10",
    ]


def test_an_annotated_result_attribute_and_variable() -> None:
    source = """
        import queue
        import elsewhere

        class Inbox:
            def __init__(self):
                self.rows = queue.Queue()

        class Desk:
            tray: Inbox

            def __init__(self, made):
                self.other: Inbox = made

            def work(self):
                self.tray.rows.put(1)
                self.other.rows.get()

        def find() -> Inbox:
            return elsewhere.find()

        def main():
            find().rows.join()
            local: Inbox = elsewhere.find()
            local.rows.task_done()
    """
    assert operations(source) == ["send Inbox.rows", "receive Inbox.rows", "wait Inbox.rows", "drain Inbox.rows"]


def test_what_flows_counts_for_more_than_what_is_declared() -> None:
    assert owned(f"""{INBOX}
def push(box: Inbox):
    box.rows.put(1)

def main():
    push(Inbox())
""") == ["send 6 of 17"]


def test_an_annotation_of_something_else_changes_nothing() -> None:
    assert owned(f"""{INBOX}
class Other:
    rows = None

def push(box: Inbox):
    assert box
    box.rows.put(1)

def main():
    push(Other())
""") == ["send 6", "send 10"]


@pytest.mark.parametrize(
    "head",
    [
        "from typing import Protocol\n\nclass Sink(Protocol):\n    def take(self, row): ...\n",
        "from abc import ABC, abstractmethod\n\nclass Sink(ABC):\n    @abstractmethod\n    def take(self, row): ...\n",
    ],
)
def test_protocols_and_abstract_classes(head: str) -> None:
    """A call leads to the methods of the objects that flow in; with none known to those of all subclasses."""
    source = f"""{head}
import queue

class Kept(Sink):
    def __init__(self):
        self.rows = queue.Queue()

    def take(self, row):
        self.rows.put(row)

class Dropped(Sink):
    def take(self, row):
        pass

def known(sink: Sink):
    assert sink
    sink.take(1)

def unknown(sink: Sink):
    assert sink
    sink.take(1)

def main():
    known(Dropped())
"""
    program = linked(source)
    called = {name: {program.node(f).qualname for f in program.calls.get(named(program, name), ())} for name in ("known", "unknown")}
    assert called["known"] == {"Dropped.take"}
    assert called["unknown"] >= {"Kept.take", "Dropped.take"}


def test_a_class_that_only_has_the_methods_of_a_protocol() -> None:
    program = linked("""
        import queue
        from typing import Protocol

        class Sink(Protocol):
            def take(self, row): ...

        class Kept:
            def take(self, row):
                pass

        def push(sink: Sink):
            assert sink
            sink.take(1)

        def main():
            push(Kept())
    """)
    assert "Kept.take" in {program.node(f).qualname for f in program.calls[named(program, "push")]}


def test_a_decorator_out_of_sight_gives_what_it_gets() -> None:
    assert owned("""
        import queue
        from elsewhere import logged, retried

        @logged("push")
        @retried
        def push(way):
            way.put(1)

        def main():
            push(queue.Queue())
    """) == ["send 11"]


def test_a_method_called_through_its_class_on_what_nobody_knows() -> None:
    program = linked("""
        import queue
        import elsewhere

        class Inbox:
            def take(self, way):
                way.put(1)

        def main():
            Inbox.take(elsewhere.find(), queue.Queue())
    """)
    assert [len(action.subjects) for action in program.actions if action.does == "send"] == [1]


@pytest.mark.parametrize(
    "call",
    [
        "self._loop.call_later(5, self.stop)",
        "self._loop.create_future()",
        "self._loop.run_in_executor(None, self.stop)",
    ],
)
def test_a_receiver_that_only_an_event_loop_can_be(call: str) -> None:
    source = f"""
        class Job:
            def __init__(self, loop):
                self._loop = loop
                self._handle = {call}

            def stop(self):
                self._handle.cancel()
    """
    assert "cancel Job._handle" in operations(source)


def test_an_event_loop_is_one_for_the_whole_object() -> None:
    """One telling word, and the attribute is an event loop wherever it is read."""
    assert (
        operations("""
        class Job:
            def __init__(self, loop):
                self._loop = loop

            def start(self):
                self._task = self._loop.create_task(work())

            def later(self):
                self._loop.call_soon_threadsafe(self.stop)

            def stop(self):
                self._task.cancel()

        async def work():
            pass
    """)[-1]
        == "cancel Job._task"
    )


@pytest.mark.parametrize("word", ["create_task", "time", "stop", "create_connection"])
def test_words_that_much_else_has(word: str) -> None:
    program = linked(f"""
        class Job:
            def __init__(self, owner):
                self._handle = owner.{word}(self.stop)

            def stop(self):
                self._handle.cancel()
    """)
    assert program.actions == ()


def test_an_event_loop_of_the_project_stays_what_it_is() -> None:
    program = linked("""
        class Clock:
            def call_later(self, delay, function):
                return delay

        class Job:
            def __init__(self, clock: Clock):
                self._handle = clock.call_later(5, self.stop)

            def stop(self):
                self._handle.cancel()
    """)
    assert program.actions == ()
    (clock,) = program.local_objects(named(program, "Job.__init__"), ["clock"])
    assert isinstance(program.value(clock), Instance)
