"""Who else may use an object: code out of sight, and the reason why."""

from __future__ import annotations

from link.programs import linked, named, opened

from leaklint.catalog.grammar import Does
from leaklint.link.flow.solver import WIDEST


def test_what_stays_in_a_function_is_closed() -> None:
    assert opened("""
        import queue

        def main():
            jobs = queue.Queue()
            jobs.put(1)
            print(jobs, len(str(jobs)))
    """) == {"jobs": None}


def test_a_private_attribute_is_closed() -> None:
    assert opened("""
        import queue

        class Box:
            def __init__(self):
                self._jobs = queue.Queue()

            def push(self, job):
                self._jobs.put(job)
    """) == {"Box._jobs": None}


def test_passed_to_what_cannot_be_seen() -> None:
    assert opened("""
        import queue
        import elsewhere

        def main(handler):
            first = queue.Queue()
            elsewhere.take(first)
            second = queue.Queue()
            handler(second)
            third = queue.Queue()
            elsewhere.take([third])
    """) == {
        "first": "passed to `elsewhere` (program.py:7)",
        "second": "passed to a call that cannot be resolved (program.py:9)",
        "third": "passed to `elsewhere` (program.py:11)",
    }


def test_returned_from_a_public_function() -> None:
    assert opened("""
        import queue

        def make():
            jobs = queue.Queue()
            return jobs

        def _make():
            hidden = queue.Queue()
            return hidden

        _make().put(1)
    """) == {"jobs": "returned from `make`", "hidden": None}


def test_yielded_by_a_public_generator() -> None:
    assert opened("""
        import queue

        def many():
            jobs = queue.Queue()
            yield jobs
    """) == {"jobs": "returned from `many`"}


def test_a_script_has_no_callers_out_of_sight() -> None:
    assert opened("""
        import queue

        def make():
            jobs = queue.Queue()
            return jobs

        if __name__ == "__main__":
            make()
    """) == {"jobs": None}


def test_a_public_attribute_of_a_package_module() -> None:
    source = """
        import queue

        class Box:
            def __init__(self):
                self.jobs = queue.Queue()
    """
    assert opened({"shop/__init__.py": "", "shop/box.py": source}) == {"Box.jobs": "`jobs` is a public attribute"}


def test_the_same_attribute_in_a_script_is_closed() -> None:
    assert opened("""
        import queue

        class Box:
            def __init__(self):
                self.jobs = queue.Queue()

        if __name__ == "__main__":
            Box().jobs.put(1)
    """) == {"Box.jobs": None}


def test_what_a_script_imports_from_beside_it_is_closed_too() -> None:
    assert opened(
        {
            "jobs.py": "import queue\nJOBS = queue.Queue()\n",
            "start.py": "import queue\nimport jobs\nif __name__ == '__main__':\n    jobs.JOBS.put(1)\n",
        }
    ) == {"JOBS": None}


def test_a_public_global() -> None:
    assert opened("""
        import queue

        JOBS = queue.Queue()
        _HIDDEN = queue.Queue()
    """) == {"JOBS": "`JOBS` is a public name of its module", "_HIDDEN": None}


def test_a_private_attribute_used_on_an_unknown_object() -> None:
    assert opened("""
        import queue

        class Box:
            def __init__(self):
                self._jobs = queue.Queue()

        def take(thing):
            thing._jobs.get()
    """) == {"Box._jobs": "`._jobs` is used on an unknown object"}


def test_stored_on_an_unknown_object() -> None:
    assert opened("""
        import queue

        def attach(request):
            jobs = queue.Queue()
            request.jobs = jobs
    """) == {"jobs": "stored on an unknown object as `.jobs`"}


def test_the_subject_of_a_method_that_is_given_away() -> None:
    assert opened("""
        import queue
        import elsewhere

        def main():
            jobs = queue.Queue()
            elsewhere.subscribe(jobs.put_nowait)
    """) == {"jobs": "passed to `elsewhere` (program.py:7)"}


def test_a_function_given_away_may_be_called() -> None:
    program = linked("""
        import queue
        import elsewhere

        def main():
            def _push():
                pass

            elsewhere.subscribe(_push)
    """)
    assert program.openness.callable[named(program, "main.<locals>._push")].text == "passed to `elsewhere` (program.py:9)"


def test_what_is_sent_into_an_open_channel_is_open() -> None:
    assert opened("""
        import queue

        def make():
            requests = queue.Queue()
            reply = queue.Queue()
            requests.put(reply)
            return requests
    """) == {"requests": "returned from `make`", "reply": "returned from `make`"}


def test_a_private_attribute_of_an_open_instance_stays_closed() -> None:
    assert opened("""
        import queue

        class Box:
            def __init__(self):
                self._jobs = queue.Queue()

        def make():
            return Box()
    """) == {"Box._jobs": None}


def test_a_library_may_call_what_overrides_its_methods() -> None:
    program = linked("""
        import queue
        import elsewhere

        class Handler(elsewhere.Handler):
            def _emit(self, row):
                pass
    """)
    assert program.openness.callable[named(program, "Handler._emit")].text == "it overrides a method of a library class"


def _calls_of_one_function(number: int) -> str:
    calls = "\n".join(f"same(queue.Queue({size}))" for size in range(number))
    return f"import queue\n\ndef same(value):\n    assert value\n    value.put(1)\n\nif __name__ == '__main__':\n    pass\n{calls}\n"


def test_a_variable_through_which_everything_passes_says_nothing() -> None:
    program = linked(_calls_of_one_function(WIDEST + 1))
    reasons = {program.opened(obj) for obj in range(len(program.state.solver.objects)) if program.kind(obj) is not None}
    assert reasons == {"it passes through a variable that can hold anything"}


def test_one_less_and_all_are_told_apart() -> None:
    program = linked(_calls_of_one_function(WIDEST))
    sent = {obj for action in program.actions if action.does is Does.SEND for obj in action.subjects}
    assert len(sent) == WIDEST
    assert not any(program.opened(obj) for obj in sent)
