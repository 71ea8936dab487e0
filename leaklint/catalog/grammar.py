"""The closed vocabulary of `rules/`: what a model may say about a library and what a card may say about a rule.

A model file is TOML. Each top-level table is named by a dotted name of the library: a *type* (the table has `is`) or a *function*
(the table has `does`). In a type, `is`, `like`, `init`, `capacity`, `daemon`, `runs`, `passes`, `attributes` and `iterates` describe the
instances; every other key is a method and holds an operation. Operations speak in parameter names, which `params` lists in
positional order.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """What an instance of a modelled type is, for the program."""

    CHANNEL = "channel"  # both ends in one object: queues
    SENDER = "sender"  # one end of a pair: memory object streams, pipes
    RECEIVER = "receiver"
    LOCK = "lock"
    SEMAPHORE = "semaphore"
    CONDITION = "condition"
    EVENT = "event"
    BARRIER = "barrier"
    FUTURE = "future"
    TASK = "task"
    THREAD = "thread"
    PROCESS = "process"
    TIMER = "timer"
    EXECUTOR = "executor"
    GROUP = "group"  # task groups, nurseries: leaving the block waits for what was started in it
    SCOPE = "scope"  # cancel scopes and timeouts: what runs inside is bounded or can be cancelled
    SELECTOR = "selector"
    LOOP = "loop"  # event loops, schedulers, portals
    STACK = "stack"  # exit stacks
    VALUE = "value"  # anything else with modelled methods


class Does(StrEnum):
    """What an operation does to its subject."""

    SEND = "send"
    RECEIVE = "receive"
    CLOSE = "close"
    DRAIN = "drain"  # task_done
    SPAWN = "spawn"  # starts a unit
    CANCEL = "cancel"
    JOIN = "join"  # waits for a unit to end
    ACQUIRE = "acquire"
    RELEASE = "release"
    WAIT = "wait"
    SIGNAL = "signal"  # Event.set, Condition.notify, Future.set_result
    CLEAR = "clear"
    ARM = "arm"  # starts a timer
    COPY = "copy"  # a full copy of its subject
    VIEW = "view"  # a view that keeps its subject alive
    STORE = "store"
    SUBMIT = "submit"  # a job for an executor
    REGISTER = "register"  # a callback somebody will call (atexit, signal, add_done_callback)
    RUN = "run"  # calls what it is given, here and now, and waits for it (asyncio.run, to_thread)
    BOUND = "bound"  # awaits its subject, but not for ever (wait_for)
    SHIELD = "shield"
    MAKE = "make"  # a factory: only `returns` matters
    OBSERVE = "observe"  # looks, never blocks, keeps nothing


class Waits(StrEnum):
    """When an operation blocks."""

    WHILE_FULL = "while-full"
    WHILE_EMPTY = "while-empty"
    WHILE_HELD = "while-held"
    UNTIL_SET = "until-set"
    UNTIL_NOTIFIED = "until-notified"
    UNTIL_DONE = "until-done"
    UNTIL_FIRST = "until-first"  # select-style: until one of several is ready
    UNTIL_DRAINED = "until-drained"
    UNTIL_READY = "until-ready"  # selectors


class UnitKind(StrEnum):
    """What runs code on its own."""

    MAIN = "main"
    TASK = "task"
    THREAD = "thread"
    PROCESS = "process"
    JOB = "job"  # on an executor
    TIMER = "timer"
    CALLBACK = "callback"  # called by the library: done callbacks, loop callbacks
    HANDLER = "handler"  # signal, atexit, finalizer
    ANYONE = "anyone"  # code outside the project


class Operation(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """One operation of a library, in terms of the names in `params`.

    subject   the parameter that holds what it acts on; left out: the receiver. A list, tuple or set argument means each element.
    params    names of the positional parameters, `self` left out. `*name` as the last one takes the rest.
    keyword_only  further names, by keyword only.
    waits     when it blocks. timeout: the parameter that bounds the wait when it is given and not None.
    unless    it never blocks when one of these parameters has this constant (`block = false`).
    only_if   the operation has effect only when each of these parameters has this constant or attribute name
              (`return_when = "FIRST_COMPLETED"`); otherwise `instead` (a `Waits`) says when it blocks.
    runs      the parameter that holds the function or coroutine that a spawn, arm, submit, register or run will run;
              passes: parameters handed to it: `*args` style rest by name, `args` tuple, `kwargs` dict.
    kind      for spawn and register: what unit it becomes.
    returns   dotted type of the result; or "self", "subject", "result" (what `runs` returns), "element" (what was sent).
              A list: a tuple of these. Awaiting a coroutine method gives this too.
    keeps     true: the library holds a strong reference to the result (nothing leaks when it is dropped).
    daemon    for spawn: the unit does not keep the process alive.
    value     the parameter that is the message sent or stored, or the value copied.
    is_async  the call gives a coroutine; the operation happens when it is awaited.
    raises    the exceptions, by dotted name, that end a wait on a closed or empty channel.
    """

    does: Does
    params: tuple[str, ...] = ()
    keyword_only: tuple[str, ...] = ()
    subject: str | None = None
    waits: Waits | None = None
    timeout: str | None = None
    unless: dict[str, bool | int | str] = {}
    only_if: dict[str, bool | int | str] = {}
    instead: Waits | None = None
    runs: str | None = None
    passes: tuple[str, ...] = ()
    kind: UnitKind | None = None
    returns: str | tuple[str, ...] | None = None
    keeps: bool = False
    daemon: bool = False
    value: str | None = None
    is_async: bool = False
    raises: tuple[str, ...] = ()


class Capacity(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a channel's capacity comes from: the constructor's parameter `arg`, or `fixed`. `unbounded` and every value below it
    mean no bound (queues: 0); without it 0 means a rendezvous (memory streams). `default` where the argument is left out; None: no bound."""

    arg: str | None = None
    fixed: int | None = None
    unbounded: int | None = None
    default: int | None = None


class TypeModel(Struct, frozen=True):
    """A modelled type. `methods` includes `__enter__`, `__exit__` (also for `async with`), `__iter__` (also `async for`) and
    `__await__`. `like` names a type to inherit everything from. `base`: a project class may derive from it, and then `runs`
    names the method that the unit runs (`Thread.run`)."""

    name: str
    kind: Kind
    init: tuple[str, ...]
    methods: dict[str, Operation]
    capacity: Capacity | None = None
    reentrant: bool = False
    runs: str | None = None  # constructor parameter that holds what the unit runs
    passes: tuple[str, ...] = ()  # constructor parameters handed to it
    entry: str | None = None  # the method that a subclass overrides (`run`)
    daemon: str | bool | None = None  # constructor parameter, or always
    unit: UnitKind | None = None
    starts: bool = False  # constructing starts it
    attributes: dict[str, str] = {}  # attribute name → dotted type
    wraps: str | None = None  # constructor parameter that is the same resource (Condition(lock))


class FunctionModel(Struct, frozen=True):
    name: str
    operation: Operation


class Models(Struct, frozen=True):
    """All model files together. `aliases`: dotted name → the name under which it is described."""

    types: dict[str, TypeModel]
    functions: dict[str, Operation]
    aliases: dict[str, str]
    modules: frozenset[str]
    """Top-level names of the described libraries."""
    inert: frozenset[str]
    """Functions and methods, by dotted or bare builtin name, that keep nothing of what they are given and end soon (`len`, `print`)."""


class Card(Struct, frozen=True):
    """The front matter of one rule and its prose. `messages` and `mends`: variant → template with `{fact}` fields."""

    code: str
    name: str
    family: str
    says: str
    on: bool
    query: str
    options: dict[str, bool | int | str | tuple[str, ...]]
    messages: dict[str, str]
    mends: dict[str, str]
    prose: str
    leaks: tuple[str, ...]
    fixed: tuple[str, ...]
    path: str
