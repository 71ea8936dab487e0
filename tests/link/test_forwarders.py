"""Functions that only do one operation for their callers."""

from __future__ import annotations

import pytest
from link.programs import linked, models, modules

from leaklint.catalog import load_catalog
from leaklint.findings import graph_of, queried

_HEAD = """
    import asyncio, queue

    class Post:
        def __init__(self):
            self._letters = asyncio.Queue()
            self._parcels = asyncio.Queue()
"""


def doers(*methods: str) -> list[str]:
    """For each put and get of the program the function that does it, `main: send _letters`."""
    program = linked(_HEAD + "".join(methods))
    told = []
    for action in program.actions:
        names = sorted(program.describe(o).rpartition(".")[2] for o in action.subjects)
        if action.does in ("send", "receive"):
            told.append(f"{program.node(action.function).name}: {action.does} {' or '.join(names)}")
    return told


_GIVE = """
    def give(box, thing):
        box.put_nowait(thing)
"""
_RUN = """
    async def main():
        post = Post()
        post.bring()

    if __name__ == "__main__":
        asyncio.run(main())
"""


def bring(body: str) -> str:
    return f"""
        def bring(self):
            {body}
"""


@pytest.mark.parametrize(
    "call",
    ["give(self._letters, 1)", "give(thing=1, box=self._letters)", "give(self._letters, len('four'))", "x = 1; give(self._letters, x)"],
)
def test_the_caller_does_it(call: str) -> None:
    assert doers(bring(call), _GIVE, _RUN) == ["bring: send _letters"]


def test_callers_with_two_things_stay_two() -> None:
    assert doers(bring("give(self._letters, 1); give(self._parcels, 2)"), _GIVE, _RUN) == ["bring: send _letters", "bring: send _parcels"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("give(*[self._letters, 1])", "unpacked"),
        ("x = give(self._letters, 1)", "gives nothing back"),
        ("give = print; give(self._letters, 1)", "another of this name"),
        ("list(map(give, [self._letters], [1]))", "handed on"),
    ],
)
def test_what_cannot_be_written_so_stays(body: str, why: str) -> None:
    assert [one for one in doers(bring(body), _GIVE, _RUN) if one.startswith("bring")] == [], why


def test_arguments_keep_their_order() -> None:
    swapped = """
    def give(thing, box):
        box.put_nowait(thing)
    """
    assert doers(bring("give(input(), self._letters)"), swapped, _RUN) == ["bring: send _letters"]
    both = doers(bring("give(input(), next(iter([self._letters])))"), swapped, _RUN)
    assert both == ["give: send _letters"]


def test_through_several() -> None:
    more = """
    def hand_over(box, thing):
        give(box, thing)
    """
    assert doers(bring("hand_over(self._letters, 1)"), _GIVE, more, _RUN) == ["bring: send _letters"]


_TAKE = """
    async def take(box):
        return await box.get()
"""


def test_awaited_and_not() -> None:
    awaited = """
        def bring(self):
            self.task = asyncio.create_task(take(self._letters))

        async def carry(self):
            return await take(self._letters)
"""
    run = _RUN.replace("post.bring()", "post.bring(); await post.carry()")
    assert sorted(doers(awaited, _TAKE, run)) == ["carry: receive _letters", "take: receive _letters"]


_OWN = """
        def bring(self):
            self._put(1)

        def _put(self, thing):
            self._letters.put_nowait(thing)
"""


def test_a_method_of_its_own() -> None:
    assert doers(_OWN, _RUN) == ["bring: send _letters"]


_BELOW = """
    class Express(Post):
        def _put(self, thing):
            self._parcels.put_nowait(thing)
"""


def test_a_method_that_a_subclass_has_too() -> None:
    told = doers(_OWN, _BELOW, _RUN.replace("Post()", "Express()"))
    assert "_put: send _parcels" in told
    assert not any(one.startswith("bring") for one in told)


def test_a_method_that_is_not_its_own_affair() -> None:
    assert doers(_OWN.replace("_put(", "put("), _RUN) == ["put: send _letters"]


def test_nothing_is_left_of_what_nobody_can_call() -> None:
    """Its parameter would be something unknown, on which anything may be done."""
    program = linked(_HEAD + bring("_give(self._letters, 1)") + _GIVE.replace("give", "_give") + _RUN)
    assert all(program.opened(o) is None for action in program.actions for o in action.subjects if program.kind(o) is not None)


def test_people_are_shown_where_it_stands() -> None:
    files = {
        "post.py": """
            import asyncio
            from doing import take

            async def main():
                letters = asyncio.Queue()
                print(await take(letters))

            if __name__ == "__main__":
                asyncio.run(main())
        """,
        "doing.py": """
            import asyncio

            async def take(box):
                return await box.get()
        """,
    }
    found = queried(graph_of(modules(files), models()), load_catalog().cards.values())
    assert [(one.code, one.path, one.line) for one in found] == [("LK102", "doing.py", 5)]
    steps = [(step.path, step.line, step.message) for step in found[0].trace]
    assert ("post.py", 7, "`take` is called here") in steps


def test_what_it_takes_for_its_caller_is_owed_by_the_caller() -> None:
    program = """
        import threading

        class Shed:
            def __init__(self):
                self._key = threading.Lock()
                self.tools = {}

            def _take_key(self):
                self._key.acquire()

            def fetch(self, name):
                self._take_key()
                if name not in self.tools:
                    return None
                self._key.release()
                return name

        shed = Shed()
        threading.Thread(target=shed.fetch, args=("rake",)).start()
        shed.fetch("spade")
    """
    found = queried(graph_of(modules({"shed.py": program}), models()), load_catalog().cards.values())
    assert [(one.code, one.line) for one in found] == [("LK501", 13)]
