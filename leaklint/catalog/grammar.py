"""The closed vocabulary of `rules/`: what a model may say about a library and what a card may say about a rule.

A model file is TOML. Each top-level table is named by a dotted name of the library (a builtin by its bare name): a *type* (the table
has `is` or `like`) or a *function* (the table has `does`). In a type the keys of `RESERVED` describe the instances; every other key is
a method and holds an operation. Operations speak in parameter names, which `params` lists in positional order. Keys are written
with dashes (`only-if`). The tables `aliases` and `inert` are described at `Models`.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """What an instance of a modelled type is, for the program."""

    CHANNEL = "channel"  # both ends in one object: queues
    SENDER = "sender"  # one end of a pair: memory object streams, pipes
    RECEIVER = "receiver"
    ENDPOINT = "endpoint"  # one end of a two-way pair: pipe connections
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
    CONNECTION = "connection"  # transports, streams, sockets, client sessions: something at the other end
    SERVER = "server"  # accepts connections until it is closed
    SUBPROCESS = "subprocess"
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
    MAKE = "make"  # a factory: a new object of the type that it `returns`
    ENTER = "enter"  # enters its subject, a context manager, and leaves it when the receiver is closed (exit stacks)
    BIND = "bind"  # a callable that will call `runs` with `passes` (partial)
    DECORATE = "decorate"  # a decorator; `makes` says what of
    OBSERVE = "observe"  # looks, never blocks, keeps nothing; with `returns`: an object that exists already


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
    UNTIL_READY = "until-ready"  # the world outside decides: selectors, sockets, processes


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


class Makes(StrEnum):
    """What a function with more than one result, or a decorator, makes."""

    PAIR = "pair"  # the two `returns` are the ends of one channel
    DUPLEX = "duplex"  # the two `returns` are the ends of two channels, one for each direction
    CONTEXT_MANAGER = "context-manager"  # decorator: of a generator
    PROPERTY = "property"  # decorator: of a method
    SAME = "same"  # decorator: calls go to the decorated function
    CONTAINER = "container"  # holds the elements of what it is given, or what `runs` makes


class Gives(StrEnum):
    """Results that are not a type of their own."""

    SELF = "self"
    SUBJECT = "subject"  # also a copy or view of it: iterating it is iterating the subject
    RESULT = "result"  # what `runs` returns, what awaiting or entering the subject gives
    RESULTS = "results"  # a list of these, one for each element of the subject
    ELEMENT = "element"  # what was sent; of a container: one of its elements
    NUMBERED = "numbered"  # iterating gives (number, element)
    ZIPPED = "zipped"  # iterating gives tuples, one element of each subject
    OBJECT = "object"  # anything; in a tuple, to fill a place


class Per(StrEnum):
    """What happens each time that a library calls what was registered with it."""

    CONNECTION = "connection"
    EVENT = "event"


class Interrupts(StrEnum):
    """Which thread a library stops in the middle of whatever it does to call what was registered."""

    ANY = "any"  # the one that happens to run the garbage collector
    MAIN = "main"


class Capacity(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a channel's capacity (a semaphore's permits, a barrier's parties, a pool's workers) comes from: the parameter `arg`,
    or `fixed`. `unbounded` and every value below it mean no bound (queues: 0); without it 0 means a rendezvous (memory streams).
    `default` where the argument is left out; None: no bound. `math.inf` always means no bound."""

    arg: str | None = None
    fixed: int | None = None
    unbounded: int | None = None
    default: int | None = None


class Operation(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """One operation of a library, in terms of the names in `params`.

    subject   the parameter that holds what it acts on; left out: the receiver. A list, tuple or set argument means each element.
    params    names of the positional parameters, `self` left out. A last `*name` takes the rest, `**name` the other keywords.
    keyword_only  further names, by keyword only.
    waits     when it blocks. timeout: the parameter that bounds the wait (of a scope: what runs inside) when it is given and not None.
    unless    it never blocks when one of these parameters has this constant (`block = false`).
    only_if   the operation has effect only when each of these parameters has this constant or attribute name
              (`return-when = "FIRST_COMPLETED"`); otherwise `instead` (a `Waits`) says when it blocks.
    runs      the parameter that holds the function or coroutine that a spawn, arm, submit, register, run or bind will run;
              passes: parameters handed to it: `*args` style rest by name, `args` tuple, `kwargs` dict; "self": the receiver.
    kind      what unit `runs` becomes; of a join, wait, bound or shield: what coroutines among the subjects become.
    returns   dotted type of the result, or one of `Gives`. A list: a tuple of these. Awaiting a coroutine method gives this too.
              A `make` that returns a type hands it the arguments that its `init` names.
    makes     see `Makes`; capacity: of the channel that `makes = "pair"` makes.
    weak      true: of a call that makes a container: what is in it is not kept alive by it.
    undone    the function of the same module, or the method of the same type, that takes back what this one registers.
    keeps     true: the library holds a strong reference to the unit (nothing leaks when the result is dropped); of a decorator: it keeps
              every result with its arguments, as far as `capacity` goes.
    daemon    for spawn: the unit does not keep the process alive.
    value     the parameter that is the message sent or stored, or the value copied.
    wakes     for close: false if those who wait at the other end go on waiting.
    copies    true: what is sent, passed or copied is copied in full, with all it refers to (pickled to a process, deepcopy).
    bytes_each  for make and copy: the bytes of one element of the result; `value` says how many there are: a number, a shape, or
              something with that many elements.
    ends_tasks  true: when it returns, every task started in it has been cancelled (asyncio.run).
    current   true: the result says which unit asks: what is found by it belongs to that unit (get_ident, current_task).
    fails_early  for join: the parameter without which the first error ends the wait, and the others go on (`return_exceptions`).
    per       for register: what the library calls `runs` for, again and again; left out: it calls it once.
    interrupts  for register: the thread that runs `runs` between any two steps of its own code; left out: when it is at rest.
    is_async  the call gives an awaitable; the operation happens when it is awaited.
    raises    the exceptions, by dotted name, that end a wait on a closed or empty channel.
    gives_up  those by which it gives up when it does not wait, or no longer (`queue.Full`).
    since     the first version of the library (the Python version for the standard library) that has it.
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
    makes: Makes | None = None
    capacity: Capacity | None = None
    keeps: bool = False
    weak: bool = False
    undone: str | None = None
    daemon: bool = False
    value: str | None = None
    wakes: bool = True
    copies: bool = False
    bytes_each: int | None = None
    ends_tasks: bool = False
    current: bool = False
    fails_early: str | None = None
    per: Per | None = None
    interrupts: Interrupts | None = None
    is_async: bool = False
    raises: tuple[str, ...] = ()
    gives_up: tuple[str, ...] = ()
    since: str | None = None


class TypeModel(Struct, frozen=True):
    """A modelled type. `methods` includes `__enter__`, `__exit__` (also for `async with`), `__iter__` (also `async for`), `__next__` and
    `__await__`. `like`, which names a type to inherit everything from, is resolved when the catalog is loaded."""

    name: str
    kind: Kind
    init: tuple[str, ...] = ()  # the constructor's positional parameters
    keyword_only: tuple[str, ...] = ()  # its further parameters
    methods: dict[str, Operation] = {}
    capacity: Capacity | None = None
    reentrant: bool = False
    runs: str | None = None  # constructor parameter that holds what the unit runs
    passes: tuple[str, ...] = ()  # constructor parameters handed to it
    entry: str | None = None  # the method that a project's subclass overrides and that the unit runs (`Thread.run`)
    daemon: str | bool | None = None  # constructor parameter, or always
    unit: UnitKind | None = None  # what a started instance is
    starts: bool = False  # constructing starts it
    timeout: str | None = None  # scopes: constructor parameter that bounds what runs inside
    suppresses: str | None = None  # constructor parameter that holds the exceptions which leaving its block swallows
    wraps: str | None = None  # constructor parameter that is the same resource (Condition(lock), closing(thing))
    attributes: dict[str, str] = {}  # attribute → dotted type of another object that it owns
    views: dict[str, str] = {}  # attribute → dotted type; the attribute is this very object, with the methods of that type
    owes: tuple[str, ...] = ()  # methods, one of which must be called on an instance before nobody needs it any more; none: nothing is owed
    collected: bool = False  # a finalizer of the library does that too when nothing refers to the instance any more
    since: str | None = None


RESERVED = frozenset(
    {
        "is", "like", "init", "keyword-only", "capacity", "reentrant", "runs", "passes", "entry", "daemon", "unit", "starts",
        "timeout", "suppresses", "wraps", "attributes", "views", "owes", "collected", "since",
    }
)  # fmt: skip
"""The keys of a type table that are not methods."""


class Callbacks(Struct, frozen=True, forbid_unknown_fields=True):
    """The methods of a library class that a subclass overrides and that the library calls: `first` once before all others, `again` for each
    event, `last` when it is done with the instance."""

    first: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    last: tuple[str, ...] = ()


class Models(Struct, frozen=True):
    """All model files together. `aliases`: dotted name → the name under which it is described. The table
    `inert` has two lists, `functions` and `modules`."""

    types: dict[str, TypeModel]
    functions: dict[str, Operation]
    aliases: dict[str, str]
    modules: frozenset[str]
    """Top-level names of the libraries that start, order or stop units: a file that names none of them holds no concurrency of its own."""
    inert: frozenset[str]
    """Functions and methods, by dotted or bare builtin name, that keep nothing of what they are given and end soon (`len`, `print`)."""
    inert_modules: frozenset[str]
    """Modules of which that is true as a whole, unless a function or type of theirs is described."""
    callbacks: dict[str, Callbacks] = {}
    """By the dotted name of the class, of classes that no table of `types` describes."""
    asks: dict[str, tuple[str, ...]] = {}
    """Inert functions that run a method of each of their arguments (`str`, `logging.info`) → its name, then those that stand in for it."""
    mains: dict[str, tuple[str, ...]] = {}
    """Library class → patterns of the names of the coroutine methods of its subclasses each of which the library runs by itself, as
    `asyncio.run` does: when it is over, the tasks that it has left are cancelled."""
    commands: frozenset[str] = frozenset()
    """Libraries whose decorators make functions the commands of a program: the process that is started for one ends with it."""


class Family(StrEnum):
    """The seven families of rules, and what the engine itself reports."""

    ENGINE = "engine"  # LK0
    CHANNELS = "channels"  # LK1
    UNITS = "units"  # LK2: tasks, threads, processes
    WAITS = "waits"  # LK3: waits and cancellation
    TIMERS = "timers"  # LK4
    LOCKS = "locks"  # LK5
    MEMORY = "memory"  # LK6
    RESOURCES = "resources"  # LK7


class Card(Struct, frozen=True):
    """The front matter of one rule and its prose. `messages` and `mends`: variant → template with `{fact}` fields."""

    code: str
    name: str
    family: Family
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
