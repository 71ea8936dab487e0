"""The control flow of small functions: on which ways control leaves them, and past which calls.

A way is written as the calls it passes and how it ends: `open work close > return`. Every call of `work` may raise; others do not.
"""

from __future__ import annotations

import sys
from textwrap import dedent, indent

import pytest

from leaklint import ir
from leaklint.lower import lower
from leaklint.paths import EXCEPTIONAL, Node, Paths, Semantics, paths


def control_flow(body: str, *, is_async: bool = False, is_block: bool = False) -> Paths:
    head = "async def f():" if is_async else "def f():"
    # The import makes the lowering keep the body: without it the file would get an outline.
    summary = lower(f"import threading\n{head}\n{indent(dedent(body).strip(), '    ')}\n".encode())
    assert summary.problem is None
    return paths(summary.functions[1], Semantics(_raised, lambda name: _ABOVE.get(name, frozenset()), _swallowed, _suspends, is_block))


_RAISED = {"work": frozenset("?"), "fetch": frozenset("?"), "look": frozenset({"KeyError"}), "mine": frozenset({"Mine"})}
_ABOVE = {"Mine": frozenset({"Mine", "Ours", "Exception"})}


def _raised(call: ir.Call) -> frozenset[str]:
    return _RAISED.get(_word(call), frozenset())


def _swallowed(item: ir.WithItem) -> tuple[str, ...]:
    match item.context:
        case ir.Call(function=ir.Name(id="suppress"), arguments=arguments):
            return tuple(a.value.id for a in arguments if isinstance(a.value, ir.Name))
        case ir.Call(function=ir.Name(id="perhaps")):
            return ("?",)
        case _:
            return ()


def _suspends(awaited: ir.Await) -> bool:
    return _word(awaited) != "at_once"


def _word(expression: ir.Expr) -> str:
    match expression:
        case ir.Call(function=ir.Name(id=name)):
            return name
        case ir.Await(value=value):
            return _word(value)
        case _:
            return ""


def ways(body: str, *, is_async: bool = False, is_block: bool = False) -> set[str]:
    """Every way without a repeated node, as the calls passed and the end."""
    found: set[str] = set()
    start = control_flow(body, is_async=is_async, is_block=is_block).entry
    todo: list[tuple[Node, tuple[str, ...], frozenset[int]]] = [(start, (), frozenset())]
    while todo:
        node, passed, seen = todo.pop()
        if node.exit_kind is not None:
            found.add(" ".join((*passed, ">", node.exit_kind.name.lower())))
        for edge, target in node.successors:
            if id(target) not in seen:
                told = () if edge in EXCEPTIONAL else _calls(node)
                todo.append((target, (*passed, *told), seen | {id(node)}))
    return found


def _calls(node: Node) -> tuple[str, ...]:
    if node.kind == "exit":
        return ("exit",)
    return tuple(word for part in node.parts if (word := _word(part)) and word[0].islower())


TABLE = {
    "falls off its end": ("a()", {"a > return"}),
    "a call that may raise": ("work()", {"work > return", "> raise"}),
    "nothing after a return": ("a()\nreturn b()\nc()", {"a b > return"}),
    "a raise": ("a()\nraise KeyError('x')", {"a > raise"}),
    "a cancellation raised by hand": ("raise CancelledError", {"> cancel"}),
    "an assertion": ("assert x\na()", {"a > return", "> raise"}),
    "a branch": ("if x:\n    a()\nelse:\n    b()\nc()", {"a c > return", "b c > return"}),
    "a chain of branches": ("if x:\n    a()\nelif y:\n    b()\nc()", {"a c > return", "b c > return", "c > return"}),
    "a constant test": ("if False:\n    a()\nb()", {"b > return"}),
    "finally, straight through": ("try:\n    a()\nfinally:\n    z()", {"a z > return"}),
    "finally after a return": ("try:\n    return a()\nfinally:\n    z()\nb()", {"a z > return"}),
    "finally after an error": ("try:\n    work()\nfinally:\n    z()\nb()", {"work z b > return", "z > raise"}),
    "finally after break": ("while True:\n    try:\n        break\n    finally:\n        z()\nb()", {"z b > return"}),
    "a return in finally hides the error": ("try:\n    work()\nfinally:\n    return z()", {"work z > return", "z > return"}),
    "finally in finally": (
        "try:\n    work()\nfinally:\n    try:\n        y()\n    finally:\n        z()", {"work y z > return", "y z > raise"},
    ),
    "two finally around": ("try:\n    try:\n        return a()\n    finally:\n        y()\nfinally:\n    z()", {"a y z > return"}),
    "an error in finally": ("try:\n    a()\nfinally:\n    work()", {"a work > return", "a > raise"}),
    "bare except": ("try:\n    work()\nexcept:\n    h()", {"work > return", "h > return"}),
    "except Exception": ("try:\n    work()\nexcept Exception:\n    h()", {"work > return", "h > return"}),
    "except of one type": ("try:\n    work()\nexcept KeyError:\n    h()", {"work > return", "h > return", "> raise"}),
    "the very type that is raised": ("try:\n    raise Mine\nexcept Mine:\n    h()", {"h > return"}),
    "a base of the builtin that is raised": ("try:\n    raise KeyError\nexcept LookupError:\n    h()", {"h > return"}),
    "another builtin than the one raised": ("try:\n    raise KeyError\nexcept ValueError:\n    h()", {"> raise"}),
    "perhaps a base of what is raised": ("try:\n    raise Mine\nexcept Other:\n    h()", {"h > return", "> raise"}),
    "except Exception does not catch an exit": ("try:\n    raise SystemExit\nexcept Exception:\n    h()", {"> raise"}),
    "a tuple of types": ("try:\n    raise KeyError\nexcept (OSError, KeyError):\n    h()", {"h > return"}),
    "a handler of the very type that a call raises": ("try:\n    look()\nexcept KeyError:\n    h()", {"look > return", "h > return"}),
    "a handler of another type than a call raises": ("try:\n    look()\nexcept ValueError:\n    h()", {"look > return", "> raise"}),
    "a handler of a class above": ("try:\n    mine()\nexcept Ours:\n    h()", {"mine > return", "h > return"}),
    "perhaps a class below": (
        "try:\n    raise OSError\nexcept ConnectionError:\n    h()", {"h > return", "> raise"},
    ),
    "a block that may swallow": (
        "with perhaps():\n    work()\nb()", {"perhaps work exit b > return", "perhaps exit b > return", "perhaps exit > raise"},
    ),
    "raised again": ("try:\n    work()\nexcept BaseException:\n    h()\n    raise", {"work > return", "h > raise"}),
    "raised again by name": ("try:\n    raise KeyError\nexcept KeyError as error:\n    h()\n    raise error", {"h > raise"}),
    "another error in a handler": ("try:\n    work()\nexcept Exception as e:\n    raise Mine from e", {"work > return", "> raise"}),
    "an inner handler passes it on": (
        "try:\n    try:\n        work()\n    except KeyError:\n        raise\nexcept KeyError:\n    h()",
        {"work > return", "h > return", "> raise"},
    ),
    "else of try is not guarded": ("try:\n    a()\nexcept Exception:\n    h()\nelse:\n    work()", {"a work > return", "a > raise"}),
    "with, straight through": ("with m:\n    a()", {"a exit > return"}),
    "with and an error": ("with m:\n    work()", {"work exit > return", "exit > raise"}),
    "with and a return": ("with m:\n    return a()\nb()", {"a exit > return"}),
    "an error on entering is not met by the exit": ("with work():\n    a()", {"work a exit > return", "> raise"}),
    "suppress swallows": ("with suppress(KeyError):\n    raise KeyError\nb()", {"suppress exit b > return"}),
    "suppress lets others pass": ("with suppress(KeyError):\n    raise ValueError\nb()", {"suppress exit > raise"}),
    "suppress may let pass": (
        "with suppress(KeyError):\n    work()\nb()", {"suppress work exit b > return", "suppress exit b > return", "suppress exit > raise"},
    ),
    "loop and else": ("for x in y:\n    a()\nelse:\n    b()", {"b > return"}),
    "a loop left by break misses its else": ("for x in y:\n    break\nelse:\n    b()\nc()", {"c > return", "b c > return"}),
    "an endless loop": ("while True:\n    a()", set()),
    "an endless loop with a break": ("while True:\n    a()\n    break\nb()", {"a b > return"}),
    "an endless loop left by an error": ("while True:\n    work()", {"> raise"}),
    "continue": ("while x:\n    a()\n    continue\n    b()", {"> return"}),
    "match": ("match x:\n    case 1:\n        a()\n    case 2:\n        b()\nc()", {"a c > return", "b c > return", "c > return"}),
    "match that misses nothing": ("match x:\n    case 1:\n        a()\n    case _:\n        b()", {"a > return", "b > return"}),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_ways_out(name: str) -> None:
    body, expected = TABLE[name]
    assert ways(body) == expected


ASYNC_TABLE = {
    "an await": ("await fetch()\na()", {"fetch a > return", "> raise", "> cancel"}),
    "an await that never gives way": ("await at_once()\na()", {"at_once a > return"}),
    "an await of what is running": ("await task\na()", {"a > return", "> raise", "> cancel"}),
    "except Exception lets a cancellation pass": (
        "try:\n    await fetch()\nexcept Exception:\n    h()", {"fetch > return", "h > return", "> cancel"},
    ),
    "except BaseException catches it": ("try:\n    await fetch()\nexcept BaseException:\n    h()", {"fetch > return", "h > return"}),
    "except CancelledError catches only that": (
        "try:\n    await fetch()\nexcept asyncio.CancelledError:\n    h()", {"fetch > return", "h > return", "> raise"},
    ),
    "a cancellation raised again stays one": (
        "try:\n    await fetch()\nexcept BaseException:\n    h()\n    raise", {"fetch > return", "h > raise", "h > cancel"},
    ),
    "finally after a cancellation": ("try:\n    await fetch()\nfinally:\n    z()", {"fetch z > return", "z > raise", "z > cancel"}),
    "async for": ("async for x in y:\n    a()", {"> return", "> raise", "> cancel"}),
    "async with": ("async with m:\n    a()", {"a exit > return", "> cancel"}),
    "suppress of a cancellation": (
        "with suppress(CancelledError):\n    await task\nb()", {"suppress exit b > return", "suppress exit > raise"},
    ),
    "suppress of errors": (
        "with suppress(Exception):\n    await task\nb()", {"suppress exit b > return", "suppress exit > cancel"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ASYNC_TABLE)
def test_ways_out_of_a_coroutine(name: str) -> None:
    body, expected = ASYNC_TABLE[name]
    assert ways(body, is_async=True) == expected


def test_a_generator_can_be_left_at_its_yield() -> None:
    assert ways("try:\n    yield\nfinally:\n    z()") == {"z > return", "z > close"}
    assert ways("try:\n    yield\nexcept Exception:\n    h()") == {"> return", "> close"}
    assert ways("try:\n    yield\nexcept GeneratorExit:\n    h()\n    raise") == {"> return", "h > close"}


def test_a_yield_that_runs_a_block_meets_what_the_block_raises() -> None:
    assert ways("try:\n    yield\nfinally:\n    z()", is_block=True) == {"z > return", "z > raise", "z > cancel"}
    assert ways("try:\n    yield\nexcept Exception:\n    h()", is_block=True) == {"> return", "h > return", "> cancel"}


def test_a_site_in_finally_stands_once_for_each_way() -> None:
    found = control_flow("try:\n    if x:\n        return\n    work()\nfinally:\n    z()")
    (site,) = {site for node in found.nodes for site in node.sites() if "z" in map(_word, node.parts)}
    assert len(found.of(site)) == 3


def test_what_cannot_be_reached_has_no_nodes() -> None:
    found = control_flow("return a()\nb()")
    assert {_word(part) for node in found.nodes for part in node.parts} == {"a"}


@pytest.mark.parametrize("nested", ["try:", "with m:", "if x:", "while x:", "for x in y:"])
def test_many_levels(nested: str) -> None:
    lines = []
    for level in range(60):
        lines.append("    " * level + nested)
    lines.append("    " * 60 + "return work()")
    if nested == "try:":
        lines += ["    " * level + "finally:\n" + "    " * (level + 1) + "z()" for level in reversed(range(60))]
    found = control_flow("\n".join(lines))
    assert found.nodes
    assert len(found.nodes) < 1_000


def test_finally_inside_finally_does_not_explode() -> None:
    lines = []
    for level in range(40):
        lines += ["    " * level + "try:", "    " * (level + 1) + "work()", "    " * level + "finally:"]
    lines.append("    " * 40 + "z()")
    assert len(control_flow("\n".join(lines)).nodes) < 10_000


def test_handlers_inside_handlers_do_not_explode() -> None:
    lines = []
    for level in range(40):
        lines += ["    " * level + "try:", "    " * (level + 1) + "await fetch()", "    " * level + "except BaseException:"]
    lines.append("    " * 40 + "raise")
    assert len(control_flow("\n".join(lines), is_async=True).nodes) < 10_000


def test_long_functions_need_no_deep_stack() -> None:
    limit = sys.getrecursionlimit()
    assert len(control_flow("\n".join(["a()"] * 2_000)).nodes) > 2_000
    assert len(control_flow("\n".join(["if x == 0:\n    a()", *(f"elif x == {n}:\n    a()" for n in range(500))])).nodes) > 1_000
    assert sys.getrecursionlimit() == limit
