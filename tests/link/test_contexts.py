"""Instances that are told apart: each object has queues, locks and methods of its own, and where that ends."""

from __future__ import annotations

from textwrap import dedent

from link.programs import linked, named, opened, owned

from leaklint.link import Program
from leaklint.link.contexts import MOST_BELOW, MOST_MADE
from leaklint.link.values import ClassValue, FunctionValue, Instance, Resource

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


def script(body: str, *, before: str = BOX) -> str:
    """A program that nobody imports. The queue of a box is made in line 6, the body starts in line 14."""
    return f"{before}{dedent(body).lstrip()}\nif __name__ == '__main__':\n    main()\n"


def test_two_instances_are_two_channels() -> None:
    assert owned(
        script("""
            def main():
                left = Box()
                right = Box()
                left.push()
                right.pull()
        """)
    ) == ["send 6 of 15", "receive 6 of 16"]


def test_two_instances_of_one_line() -> None:
    program = linked(
        script("""
            def main():
                left, right = Box(), Box()
                left.push()
                right.pull()
        """)
    )
    sent, received = (action.subjects for action in program.actions if action.function in program.live and action.name != "queue.Queue")
    assert len(sent) == len(received) == 1
    assert sent != received


def test_instances_of_a_loop_are_one() -> None:
    assert owned(
        script("""
            def main():
                boxes = [Box() for _ in range(3)]
                boxes[0].push()
                boxes[1].pull()
        """)
    ) == ["send 6 of 15", "receive 6 of 15"]


def test_the_owner_of_an_owner() -> None:
    assert owned(
        script("""
            class Desk:
                def __init__(self):
                    self.tray = Box()

                def work(self):
                    self.tray.push()

            def main():
                Desk().work()
                Desk().tray.pull()
        """)
    ) == ["send 6 of 16 of 22", "receive 6 of 16 of 23"]


def test_a_tree_is_one_node_below_the_second() -> None:
    assert owned(
        script("""
            class Node:
                def __init__(self, depth):
                    self.below = Node(depth - 1) if depth else None
                    self.box = Box()

                def work(self):
                    self.box.push()
                    self.below.work()

            def main():
                Node(8).work()
        """)
    ) == ["send 6 of 17"]


def test_an_instance_given_to_another() -> None:
    assert owned(
        script("""
            class Pump:
                def __init__(self, source, target):
                    self.source = source
                    self.target = target

                def run(self):
                    self.source.pull()
                    self.target.push()

            def main():
                first = Box()
                second = Box()
                third = Box()
                Pump(first, second).run()
                Pump(second, third).run()
        """)
    ) == ["send 6 of 25", "send 6 of 26", "receive 6 of 24", "receive 6 of 25"]


def test_an_instance_that_a_helper_makes_is_one() -> None:
    assert owned(
        script("""
            def make():
                return Box()

            def main():
                make().push()
                make().pull()
        """)
    ) == ["send 6 of 15", "receive 6 of 15"]


def test_subclasses_and_what_they_inherit() -> None:
    assert owned(
        script("""
            class Crate(Box):
                pass

            class Barrel(Box):
                def push(self):
                    self.rows.put(2)

            def main():
                crate = Crate()
                barrel = Barrel()
                crate.push()
                barrel.push()
                barrel.pull()
        """)
    ) == ["send 6 of 22", "receive 6 of 23", "send 6 of 23"]


def test_more_places_than_are_told_apart() -> None:
    calls = "\n".join("    Box().push()" for _ in range(MOST_MADE + 1))
    assert owned(f"{BOX}\ndef main():\n{calls}\n\nif __name__ == '__main__':\n    main()\n") == ["send 6"]


def test_as_many_places_as_are_told_apart() -> None:
    calls = "\n".join("    Box().push()" for _ in range(MOST_MADE))
    found = owned(f"{BOX}def main():\n{calls}\n\nif __name__ == '__main__':\n    main()\n")
    assert found == [f"send 6 of {15 + number}" for number in range(MOST_MADE)]


def test_more_owners_than_are_told_apart() -> None:
    """Told apart by place alone: the desks have one tray."""
    calls = "\n".join("    Desk().work()" for _ in range(MOST_MADE))
    desk = "class Desk:\n    def __init__(self):\n        self.tray = Box()\n\n    def work(self):\n        self.tray.push()\n\n"
    assert owned(f"{BOX}{desk}def main():\n{calls}\n\nif __name__ == '__main__':\n    main()\n") == ["send 6 of 16"]


def test_more_instances_below_a_base_than_are_told_apart() -> None:
    kinds = range(MOST_BELOW // 2 + 1)
    classes = "\n".join(f"class Box{kind}(Box):\n    pass\n" for kind in kinds)
    calls = "\n".join(f"    Box{kind}().push()\n    Box{kind}().pull()" for kind in kinds)
    found = owned(f"{BOX}{classes}\ndef main():\n{calls}\n\nif __name__ == '__main__':\n    main()\n")
    assert found == ["send 6", "receive 6"]


def test_made_by_a_class_that_is_a_value() -> None:
    assert owned(
        script("""
            class Crate(Box):
                @classmethod
                def make(cls):
                    return cls()

            KINDS = {"box": Box}

            def main():
                Crate.make().push()
                KINDS["box"]().pull()
        """)
    ) == ["send 6", "receive 6"]


def test_a_public_class_may_be_made_out_of_sight_too() -> None:
    source = """
        import queue

        class Box:
            def __init__(self):
                self.rows = queue.Queue()

            def push(self):
                self.rows.put(1)

        def _work():
            box = Box()
            box.push()

        _work()
    """
    program = linked(source)
    reasons = {program.owner(obj) is None: program.opened(obj) for obj, _ in _resources(program)}
    assert reasons == {True: "code out of sight may make a `Box` too", False: None}


def test_the_instances_of_a_private_class_are_all_in_sight() -> None:
    assert opened("""
        import queue

        class _Box:
            def __init__(self):
                self.rows = queue.Queue()

        def _work():
            box = _Box()
            box.rows.put(1)
    """) == {"_Box.rows": None}


def test_an_instance_that_escapes_opens_itself_alone() -> None:
    program = linked("""
        import queue
        import elsewhere

        class _Box:
            def __init__(self):
                self.rows = queue.Queue()

        def _work():
            kept = _Box()
            kept.rows.put(1)
            given = _Box()
            elsewhere.take(given)
    """)
    assert [program.opened(obj) for obj, _ in _resources(program)] == [None, "passed to `elsewhere` (program.py:13)"]


def _resources(program: Program) -> list[tuple[int, Resource]]:
    found = [(obj, value) for obj, value in enumerate(program.state.solver.objects) if isinstance(value, Resource)]
    return sorted(found, key=lambda one: program.rank(one[0])[-1])


def test_a_method_called_through_its_class() -> None:
    assert owned(
        script("""
            class Crate(Box):
                def push(self):
                    Box.push(self)

            def main():
                first = Crate()
                second = Crate()
                first.push()
                Box.pull(second)
        """)
    ) == ["send 6 of 19", "receive 6 of 20"]


def test_super() -> None:
    assert owned(
        script("""
            class Crate(Box):
                def __init__(self):
                    super().__init__()

                def push(self):
                    super().push()

            def main():
                first = Crate()
                second = Crate()
                first.push()
                second.pull()
        """)
    ) == ["send 6 of 22", "receive 6 of 23"]


def test_super_in_a_diamond_follows_the_class_of_the_object() -> None:
    source = """
        import queue

        class Base:
            def __init__(self):
                self.rows = queue.Queue()

            def stop(self):
                pass

        class Left(Base):
            def stop(self):
                super(Left, self).stop()

        class Right(Base):
            def stop(self):
                self.rows.put(None)
                super().stop()

        class Both(Left, Right):
            def stop(self):
                super().stop()

        def main():
            {made}().stop()

        if __name__ == "__main__":
            main()
    """
    assert owned(source.format(made="Both")) == ["send 6 of 25"]
    assert owned(source.format(made="Left")) == []


def test_nested_functions_and_lambdas_see_the_object_of_their_method() -> None:
    assert owned("""
        import queue

        class Hub:
            def __init__(self, rows):
                self.rows = rows

            def run(self):
                def push():
                    self.rows.put(1)

                pull = lambda: self.rows.get()
                push()
                pull()

        def main():
            used = queue.Queue()
            idle = queue.Queue()
            Hub(used).run()
            Hub(idle)

        if __name__ == "__main__":
            main()
    """) == ["send 17", "receive 17"]


def test_properties_setters_and_lazy_getters() -> None:
    assert owned("""
        import queue

        class Desk:
            def __init__(self):
                self._tray = None
                self._out = queue.Queue()

            @property
            def tray(self):
                if self._tray is None:
                    self._tray = queue.Queue()
                return self._tray

            @property
            def out(self):
                return self._out

            @out.setter
            def out(self, value):
                self._out.put(None)
                self._out = value

        def main():
            left = Desk()
            right = Desk()
            left.tray.put(1)
            right.tray.get()
            left.out = right.out

        if __name__ == "__main__":
            main()
    """) == ["send 7 of 25", "send 7 of 26", "send 12 of 25", "receive 12 of 26"]


def test_a_default_factory_makes_one_for_each_instance() -> None:
    assert owned("""
        import asyncio
        import queue
        from dataclasses import dataclass, field

        import attr
        import attrs

        @dataclass
        class Feed:
            rows: queue.Queue = field(default_factory=lambda: queue.Queue(2))

        @attrs.define
        class Pipe:
            rows: queue.Queue = attrs.field(factory=queue.Queue)
            done: asyncio.Event = attr.Factory(asyncio.Event)

        def main():
            left = Feed()
            right = Feed()
            left.rows.put(1)
            right.rows.get()
            inlet = Pipe()
            outlet = Pipe()
            inlet.rows.put(1)
            outlet.done.set()

        if __name__ == "__main__":
            main()
    """) == ["send 11 of 19", "receive 11 of 20", "send 15 of 23", "signal 16 of 24"]


def test_dataclass_instances_in_the_fields_of_another() -> None:
    assert owned(
        script("""
            from dataclasses import dataclass

            @dataclass
            class Press:
                left: Box
                right: Box

                def run(self):
                    self.left.push()
                    _, box = self.left, self.right
                    box.pull()

            def main():
                Press(Box(), right=Box()).run()
        """)
    ) == ["send 6 of 27", "receive 6 of 27"]


def test_every_decorated_function_has_its_own_wrapper() -> None:
    program = linked("""
        import threading

        def locked(function):
            lock = threading.Lock()

            def wrapper(*args):
                with lock:
                    return function(*args)

            return wrapper

        @locked
        def first():
            pass

        @locked
        def second():
            pass

        def main():
            first()
            second()

        if __name__ == "__main__":
            main()
    """)
    main = named(program, "main")
    wrappers = [callee for callee in program.calls[main] if callee.context]
    assert {program.value(wrapper.context) for wrapper in wrappers} == {FunctionValue(named(program, name)) for name in ("first", "second")}
    locks = [{obj for action in program.actions_in(wrapper) for obj in action.subjects} for wrapper in wrappers]
    assert [len(one) for one in locks] == [1, 1]
    assert locks[0] != locks[1]


def test_a_thread_class() -> None:
    assert owned("""
        import queue
        import threading

        class Worker(threading.Thread):
            def __init__(self, jobs):
                super().__init__()
                self.jobs = jobs

            def run(self):
                self.jobs.get()

        def main():
            used = queue.Queue()
            idle = queue.Queue()
            Worker(used).start()
            Worker(idle)

        if __name__ == "__main__":
            main()
    """) == ["receive 14", "spawn 7"]


def test_a_class_attribute_belongs_to_all_instances() -> None:
    assert owned("""
        import threading

        class Table:
            lock = threading.Lock()

            def use(self):
                self.lock.acquire()

            def free(self):
                self.lock.release()

        class Meter:
            def __init__(self):
                type(self).lock = threading.Lock()

        def main():
            first = Table()
            second = Table()
            first.use()
            second.free()
            Meter().lock.acquire()
            Meter().lock.release()

        if __name__ == "__main__":
            main()
    """) == ["acquire 5", "release 5", *(f"{does} 15 of {line}" for does in ("acquire", "release") for line in (22, 23))]


def test_a_factory_that_calls_itself_runs_on_in_its_context() -> None:
    """Else each way down a tree would be a context of its own."""
    program = linked("""
        import threading

        def grown(tree):
            threading.Thread(target=print).start()
            return [grown(tree[0]), grown(tree[1]), grown(tree[2]), grown(tree[3])]

        grown([])
        grown([])
    """)
    assert sum(program.node(function).name == "grown" for function in program.live) == 7  # one for each call, one for anybody


def test_classes_without_concurrency_are_not_told_apart() -> None:
    program = linked("""
        class Point:
            def __init__(self, x):
                self.x = x

        def main():
            Point(1)
            Point(2)
    """)
    assert [value.site for value in program.state.solver.objects if isinstance(value, Instance)] == [None]


def test_who_owns_what() -> None:
    program = linked(
        script("""
            class Desk:
                def __init__(self):
                    self.tray = Box()

            def main():
                Desk().tray.push()
        """)
    )
    (rows, _), *others = _resources(program)
    assert not others
    tray = program.owner(rows)
    assert tray is not None
    desk = program.owner(tray)
    assert desk is not None
    assert [program.describe(one) for one in (rows, tray, desk)] == ["Box.rows", "Box", "Desk"]
    assert program.owner(desk) is None


def test_objects_sort_by_place_whatever_their_order_of_discovery() -> None:
    box = "import queue\n\nclass Box:\n    def __init__(self):\n        self.rows = queue.Queue()\n"
    main = "from box import Box\n\ndef main():\n    Box().rows.put(1)\n    Box().rows.get()\n\nif __name__ == '__main__':\n    main()\n"
    files = {"box.py": box, "start.py": main}
    ranks = []
    for program in (linked(files), linked(dict(reversed(files.items())))):
        ranks.append(sorted(program.rank(obj) for obj, _ in _resources(program)))
    assert ranks[0] == ranks[1]
    assert len(set(ranks[0])) == 2


def test_the_versions_of_a_method() -> None:
    program = linked(
        script("""
            def main():
                left = Box()
                right = Box()
                left.push()
                right.push()
        """)
    )
    written = named(program, "Box.push")
    versions = program.versions(written)
    assert {function.source for function in versions} == {written.source}
    assert sorted(program.describe(function.context) for function in versions) == ["Box", "Box"]
    assert program.versions(named(program, "main")) == [named(program, "main")]


def test_the_versions_of_a_nested_function() -> None:
    program = linked("""
        import queue

        class _Box:
            def __init__(self):
                self.rows = queue.Queue()

            def run(self):
                def push():
                    self.rows.put(1)

                push()

        def main():
            _Box().run()
            _Box().run()
    """)
    versions = program.versions(named(program, "_Box.run.<locals>.push"))
    assert len({function.context for function in versions}) == 2
    assert all(isinstance(program.value(function.context), Instance) for function in versions)


def test_a_static_method_and_a_class_method_run_on_no_object() -> None:
    program = linked(
        script("""
            class Crate(Box):
                @staticmethod
                def count():
                    return 1

                @classmethod
                def name(cls):
                    return cls

            def main():
                Crate().count()
                Crate().name()
        """)
    )
    for name in ("Crate.count", "Crate.name"):
        function = named(program, name)
        assert program.versions(function) == [function]
    (held,) = program.local_objects(named(program, "Crate.name"), ["cls"])
    assert isinstance(program.value(held), ClassValue)
