"""What the user adds joins the catalogue; what breaks the grammar is told in one line that says what would be right."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from leaklint.catalog import INLINE, catalog_digest, load_catalog, rules_folder
from leaklint.catalog.grammar import Capacity, Does, Gives, Kind, Operation, UnitKind, Waits
from leaklint.errors import LeaklintError

CARD = """\
+++
code = "AB101"
name = "feed-left-open"
family = "resources"
says = "a feed that nobody closes"
on = true
query = "unreleased"

[options]
kinds = ["value"]
limit = 3

[messages]
default = "`{object}` stays open"

[mends]
default = "close `{object}`"
+++

A feed holds a connection. It is fine when somebody else closes it.

## Leaks

```python
print("open")  # leak: AB101
```

## Fixed

```python
print("closed")
```

```python
print("closed as well")
```
"""
NAME = "AB101-feed-left-open.md"


def test_what_ships_is_sound() -> None:
    catalog = load_catalog()
    assert set(catalog.cards) >= {"LK001", "LK002", "LK101", "LK103", "LK601"}
    assert list(catalog.cards) == sorted(catalog.cards)
    queue = catalog.models.types["asyncio.Queue"]
    assert queue.kind is Kind.CHANNEL
    assert queue.capacity == Capacity(arg="maxsize", unbounded=0)
    assert queue.methods["get"].waits is Waits.WHILE_EMPTY
    assert queue.methods["get"].returns == Gives.ELEMENT
    assert catalog.models.aliases["asyncio.queues.Queue"] == "asyncio.Queue"


def test_like_inherits_what_the_type_does_not_say_itself() -> None:
    models = load_catalog().models
    timer, thread = models.types["threading.Timer"], models.types["threading.Thread"]
    assert (timer.kind, timer.unit, timer.runs) == (Kind.TIMER, UnitKind.TIMER, "function")
    assert timer.methods["start"].does is Does.ARM
    assert timer.methods["join"] == thread.methods["join"]
    assert timer.keyword_only == ()
    assert timer.entry == thread.entry == "run"
    assert models.types["asyncio.LifoQueue"].capacity == models.types["asyncio.Queue"].capacity


def test_the_libraries_to_look_for_are_those_that_start_and_order_units() -> None:
    modules = load_catalog().models.modules
    assert {"asyncio", "threading", "queue", "multiprocessing", "concurrent", "anyio", "trio", "janus"} <= modules
    assert not modules & {"copy", "typing", "time", "functools", "itertools", "builtins", "list"}


def test_inline_models_describe_a_library() -> None:
    models = load_catalog(inline_models=method(value="event")).models
    assert models.types["acme.Bus"].methods["publish"] == Operation(Does.SEND, params=("event",), value="event")
    assert "acme" in models.modules


def test_a_later_table_replaces_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "acme.toml").write_text('["acme.Bus"]\nis = "channel"\n["janus.Queue"]\nis = "value"\n')
    models = load_catalog([tmp_path], {"acme.Bus": {"does": "make", "returns": "queue.Queue"}}).models
    assert "acme.Bus" not in models.types
    assert models.functions["acme.Bus"].returns == "queue.Queue"
    assert models.types["janus.Queue"].kind is Kind.VALUE


def test_a_card_of_the_user(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(CARD)
    (tmp_path / "README.md").write_text("no card")
    card = load_catalog([tmp_path]).cards["AB101"]
    assert card.options == {"kinds": ("value",), "limit": 3}
    assert card.prose == "A feed holds a connection. It is fine when somebody else closes it."
    assert card.leaks == ('print("open")  # leak: AB101\n',)
    assert card.fixed == ('print("closed")\n', 'print("closed as well")\n')


def test_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(CARD.replace("\n", "\r\n").encode())
    assert load_catalog([tmp_path]).cards["AB101"].fixed == ('print("closed")\n', 'print("closed as well")\n')


def test_the_digest_names_all_that_was_read(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(CARD)
    inline = {"acme.Bus": {"is": "channel"}}
    digests = [load_catalog().digest, load_catalog([tmp_path]).digest, load_catalog(inline_models=inline).digest]
    assert len(set(digests)) == 3
    assert digests == [catalog_digest(), catalog_digest([tmp_path]), catalog_digest(inline_models=inline)]


def test_the_catalogue_needs_no_parser_and_no_graph() -> None:
    script = "import sys, leaklint.catalog as c; c.load_catalog(); print({'libcst', 'networkx', 'click'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=rules_folder().parent)
    assert printed.stdout.strip() == "set()"


def method(**operation: object) -> dict[str, object]:
    return {"acme.Bus": {"is": "channel", "init": ["size"], "publish": {"does": "send", "params": ["event"], **operation}}}


def function(**operation: object) -> dict[str, object]:
    return {"acme.go": {"does": "spawn", "params": ["job"], **operation}}


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (method(does="sned"), "acme.Bus: publish: does: unknown value 'sned'; did you mean 'send'?"),
        (method(waits="while-ful"), "acme.Bus: publish: waits: unknown value 'while-ful'; did you mean 'while-full'?"),
        (method(wait="while-full"), "acme.Bus: publish: wait: unknown key; did you mean 'waits'?"),
        (method(is_async=True), "acme.Bus: publish: is_async: unknown key; did you mean 'is-async'?"),
        (method(**{"is-async": "yes"}), "acme.Bus: publish: is-async: expected `bool`, got `str`"),
        (method(params="event"), "acme.Bus: publish: params: expected `array`, got `str`"),
        (method(subject="evnt"), "acme.Bus: publish: subject: `params` and `keyword-only` list no parameter 'evnt'; did you mean 'event'?"),
        (method(value="x"), "acme.Bus: publish: value: `params` and `keyword-only` list no parameter 'x'; known: event"),
        (method(timeout="size"), "acme.Bus: publish: timeout: `params` and `keyword-only` list no parameter 'size'; known: event"),
        (method(unless={"block": False}), "acme.Bus: publish: unless: `params` and `keyword-only` list no parameter 'block'; known: event"),
        (method(instead="until-done"), "acme.Bus: publish: instead: says nothing without `only-if`"),
        (method(returns="queue.Quee"), "acme.Bus: publish: returns: no model describes the type 'queue.Quee'; did you mean 'queue.Queue'?"),
        (function(runs="jobs"), "acme.go: runs: `params` and `keyword-only` list no parameter 'jobs'; did you mean 'job'?"),
        (function(passes=["args"]), "acme.go: passes: `params` and `keyword-only` list no parameter 'args'; known: job"),
        (function(kind="taks"), "acme.go: kind: unknown value 'taks'; did you mean 'task'?"),
        ({"acme.Bus": {"is": "chanel"}}, "acme.Bus: is: unknown value 'chanel'; did you mean 'channel'?"),
        ({"acme.Bus": {"like": "queue.Que"}}, "acme.Bus: like: no model describes the type 'queue.Que'; did you mean 'queue.Queue'?"),
        ({"a.A": {"like": "a.B"}, "a.B": {"like": "a.A"}}, "a.B: like: a cycle: a.A is like a.B is like a.A"),
        ({"a.A": {"like": "a.A"}}, "a.A: like: a cycle: a.A is like a.A"),
        (
            {"acme.Bus": {"is": "channel", "capcity": {"arg": "size"}}},
            "acme.Bus: capcity: neither a key of a type nor a method, which is a table with `does`; did you mean 'capacity'?",
        ),
        (
            {"acme.Bus": {"is": "channel", "capacity": {"arg": "size"}}},
            "acme.Bus: capacity: `init` and `keyword-only` list no parameter 'size'",
        ),
        (
            {"acme.Bus": {"is": "channel", "init": ["size"], "capacity": {"unlimited": 0}}},
            "acme.Bus: capacity: unlimited: unknown key; known: arg, default, fixed, unbounded",
        ),
        (
            {"acme.Link": {"is": "connection", "owes": ["shut"], "shutdown": {"does": "close"}}},
            "acme.Link: owes: there is no method 'shut'; did you mean 'shutdown'?",
        ),
        (
            {"acme.Bus": {"is": "value", "listen": {"does": "register", "undone": "unlistn"}, "unlisten": {"does": "observe"}}},
            "acme.Bus: listen: undone: nothing beside it is called 'unlistn'; did you mean 'unlisten'?",
        ),
        (
            {"acme.Bus": {"is": "channel", "views": {"inner": "queue.Queu"}}},
            "acme.Bus: inner: no model describes the type 'queue.Queu'; did you mean 'queue.Queue'?",
        ),
        ({"acme.Bus": {}}, "acme.Bus: a type needs `is` or `like`, a function needs `does`; this table has none of them"),
        ({"acme": "channel"}, 'acme: a table, such as { does = "spawn", … }, must stand here'),
        ({"aliases": {"acme.Q": "queue.Quee"}}, "aliases: acme.Q: no model describes 'queue.Quee'; did you mean 'queue.Queue'?"),
        ({"inert": {"function": ["acme.f"]}}, "inert: function: unknown key; did you mean 'functions'?"),
        ({"callbacks": {"acme.Wire": {"lost": ["gone"]}}}, "callbacks: acme.Wire: lost: unknown key; did you mean 'last'?"),
        ({"inert": {"functions": "acme.f"}}, "inert: functions: expected `array`, got `str`"),
    ],
)
def test_a_broken_model_is_told_in_one_line(models: dict[str, object], message: str) -> None:
    with pytest.raises(LeaklintError) as caught:
        load_catalog(inline_models=models)
    assert str(caught.value) == f"{INLINE}: {message}"


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("+++\ncode", "code", "card: must begin with TOML front matter between two `+++` lines"),
        ("on = true", "on = yes", "front matter: not valid TOML: Invalid value (at line 5, column 6)"),
        ("on = true", 'on = "yes"', "front matter: on: expected `bool`, got `str`"),
        ("says =", "say =", "front matter: say: unknown key; did you mean 'says'?"),
        ('query = "unreleased"\n', "", "front matter: object missing required field `query`"),
        ('family = "resources"', 'family = "resource"', "front matter: family: unknown value 'resource'; did you mean 'resources'?"),
        ('code = "AB101"', 'code = "ABCD1"', "front matter: code: 'ABCD1' must be one to three capital letters and three digits"),
        ("feed-left-open", "FeedLeftOpen", "front matter: name: 'FeedLeftOpen' must be small words joined by `-`"),
        ("feed-left-open", "feed-open", "front matter: name: the file must be called AB101-feed-open.md"),
        ('default = "`{object}` stays open"\n', "", "front matter: messages: at least one message is wanted, such as `default`"),
        ('default = "close', 'late = "close', "front matter: mends: late: no message has this variant"),
        ("`{object}` stays", "`{object` stays", "front matter: messages: default: expected '}' before end of string"),
        (
            "`{object}` stays",
            "`{object.name}` stays",
            "front matter: messages: default: {object.name} is no fact: a field is one plain name",
        ),
        ("## Fixed", "## Mended", "card: the headings `## Leaks` and `## Fixed` must follow the prose, once each"),
        (
            '```python\nprint("open")',
            '```\nprint("open")',
            "card: prose and, under `## Leaks` and `## Fixed`, a ```python block each are wanted",
        ),
    ],
)
def test_a_broken_card_is_told_in_one_line(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    assert right in CARD
    (tmp_path / NAME).write_text(CARD.replace(right, wrong, 1))
    with pytest.raises(LeaklintError) as caught:
        load_catalog([tmp_path])
    assert str(caught.value) == f"{(tmp_path / NAME).as_posix()}: {message}"


def test_two_cards_cannot_share_a_code(tmp_path: Path) -> None:
    (tmp_path / "LK103-mine.md").write_text(CARD.replace("AB101", "LK103").replace("feed-left-open", "mine"))
    with pytest.raises(LeaklintError, match=r"LK103-mine\.md: code: LK103 is already the code of .*LK103-consumer-exits-early\.md"):
        load_catalog([tmp_path])


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LeaklintError, match=r"^extend-rules: .*/nowhere is not a folder$"):
        load_catalog([tmp_path / "nowhere"])


def test_a_model_file_that_is_no_toml(tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text("[acme\n")
    with pytest.raises(LeaklintError, match=r"acme\.toml: not valid TOML: .*line 1"):
        load_catalog([tmp_path])


def test_no_shipped_table_hides_another() -> None:
    """Across our own files each name is described, or is an alias, once."""
    names = [
        name for path in sorted(rules_folder().glob("models/*.toml")) for name in names_of(tomllib.loads(path.read_text(encoding="utf-8")))
    ]
    assert [name for name, count in Counter(names).items() if count > 1] == []


def names_of(document: dict[str, dict[str, object]]) -> list[str]:
    return [name for name in document if name not in ("aliases", "inert", "callbacks", "asks")] + list(document.get("aliases", ()))
