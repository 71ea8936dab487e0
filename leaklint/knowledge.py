"""What is known of each resource of a program: which of its ends are in sight, and why those that are not may be elsewhere.

An *end* is what somebody must do with a resource for others to go on: put to a queue and get from it, set an event, cancel or await a task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import cached_property

from msgspec import Struct, structs

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.link.actions import Action
from leaklint.link.dump import origins
from leaklint.link.flow.state import CallRecord, Load
from leaklint.link.program import Program
from leaklint.link.reasons import Reason, Why
from leaklint.link.units import Unit
from leaklint.link.values import ClassValue, FunctionId, Instance, LibraryMethod, Resource


class Standing(StrEnum):
    """How much is known of an end, or of a resource as a whole: the worst of its ends. In the order from best to worst."""

    RESOLVED = "resolved"  # an operation of that side is in sight, or its method is handed to somebody
    ESCAPES = "escapes"  # none is, and code out of sight may use the resource
    UNKNOWN = "unknown"  # none is, and nobody else has the resource


class Knowledge(Struct, frozen=True):
    """What is known of the resources that one place makes for one attribute, or for none. `library` is where the type is from (`asyncio`);
    `reason` says why code out of sight may use the resource, None when none may. Lines and columns start at 1."""

    path: str
    line: int
    column: int
    kind: str
    library: str
    name: str
    in_attribute: bool
    ends: dict[str, Standing]
    reason: Reason | None

    @property
    def standing(self) -> Standing:
        return worst(self.ends.values())

    @property
    def missing(self) -> tuple[str, ...]:
        """The ends that are not in sight."""
        return tuple(end for end, standing in self.ends.items() if standing is not Standing.RESOLVED)


def survey(program: Program) -> list[Knowledge]:
    """One entry for each place and attribute that keeps what it makes, in the order of place. What one place makes for several owners is
    known as soon as it is for one of them."""
    found: dict[tuple[str, int, int, str, str], Knowledge] = {}
    for one in sorted(_Survey(program).run(), key=_order):
        key = (one.path, one.line, one.column, one.kind, one.name if "." in one.name else "")
        found[key] = one if key not in found else _better(found[key], one)
    return list(found.values())


def worst(standings: Iterable[Standing]) -> Standing:
    return max(standings, key=_ORDER.index, default=Standing.RESOLVED)


def _order(one: Knowledge) -> tuple[str, int, int, str, str, str]:
    return one.path, one.line, one.column, one.kind, one.name, one.reason.text if one.reason is not None else ""


def _better(one: Knowledge, other: Knowledge) -> Knowledge:
    ends = {end: min(one.ends[end], other.ends[end], key=_ORDER.index) for end in one.ends}
    return structs.replace(one, in_attribute=one.in_attribute or other.in_attribute, ends=ends, reason=one.reason or other.reason)


_ORDER = tuple(Standing)

_JOB = "job"
"""The kind of the futures that stand for what an executor, a loop or a portal runs: nobody else sets these."""

_LOOKS = frozenset({Does.WAIT, Does.JOIN, Does.OBSERVE, Does.REGISTER, Does.BOUND, Does.SHIELD})
_ENDS_UNIT = frozenset({Does.JOIN, Does.CANCEL, Does.CLOSE, Does.WAIT, Does.BOUND, Does.SHIELD})

_ENDS: dict[str, dict[str, frozenset[Does]]] = {
    Kind.CHANNEL: {"put": frozenset({Does.SEND}), "get": frozenset({Does.RECEIVE})},
    Kind.LOCK: {"acquire": frozenset({Does.ACQUIRE}), "release": frozenset({Does.RELEASE})},
    Kind.SEMAPHORE: {"acquire": frozenset({Does.ACQUIRE}), "release": frozenset({Does.RELEASE})},
    Kind.CONDITION: {"notify": frozenset({Does.SIGNAL}), "wait": frozenset({Does.WAIT})},
    Kind.EVENT: {"set": frozenset({Does.SIGNAL}), "wait": _LOOKS},
    Kind.FUTURE: {"set": frozenset({Does.SIGNAL, Does.CANCEL}), "wait": _LOOKS},
    Kind.BARRIER: {"wait": frozenset({Does.WAIT})},
    Kind.TASK: {"end": _ENDS_UNIT},
    Kind.THREAD: {"end": _ENDS_UNIT},
    Kind.PROCESS: {"end": _ENDS_UNIT},
    Kind.TIMER: {"cancel": frozenset({Does.CANCEL, Does.JOIN})},
    _JOB: {"wait": _LOOKS | {Does.CANCEL}},
    Kind.EXECUTOR: {"shutdown": frozenset({Does.CLOSE, Does.CANCEL, Does.JOIN})},
    Kind.GROUP: {"leave": frozenset({Does.JOIN, Does.CLOSE, Does.CANCEL})},
    Kind.LOOP: {"stop": frozenset({Does.CLOSE, Does.SIGNAL, Does.RUN})},
    Kind.SELECTOR: {"close": frozenset({Does.CLOSE})},
    Kind.STACK: {"leave": frozenset({Does.CLOSE})},
}
"""Kind → its ends → the operations that each can be."""

_ENDS_OF_A_PAIR = frozenset({Kind.SENDER, Kind.RECEIVER, Kind.ENDPOINT})
_UNITS = frozenset({Kind.TASK, Kind.THREAD, Kind.PROCESS})


_Flag = tuple[int, str]
"""An object and the name of its attribute."""


class _Survey:
    def __init__(self, program: Program) -> None:
        self.program = program

    def run(self) -> Iterator[Knowledge]:
        for objects in self.groups.values():
            made = [obj for obj in objects if self._makers(obj)]
            if not made:
                continue  # it exists already when the program gets it
            records = [record for obj in made for record in self._makers(obj) if record.function in self.program.live]
            if not records:
                continue  # nobody runs what makes it
            kind = self._kind(made)
            if kind in _ENDS:
                yield self._judge(kind, made, objects, records[0])

    @cached_property
    def groups(self) -> dict[object, list[int]]:
        """The objects that are one resource: the ends of a pair, a queue and the views of it. An instance of a project class is one."""
        found: dict[object, list[int]] = {}
        for obj, value in enumerate(self.program.state.solver.objects):
            if self.program.kind(obj) is None:
                continue
            key: object = obj
            if isinstance(value, Resource):
                key = value.site, "" if value.part.startswith("end ") or value.part == "channel" else value.part
            found.setdefault(key, []).append(obj)
        return found

    def _makers(self, obj: int) -> list[CallRecord]:
        """The calls that make the resource, in the order of place; none for one that a call only looks up."""
        state, value = self.program.state, self.program.value(obj)
        calls = state.at(value.site) if isinstance(value, Resource) else []
        looked_up = isinstance(value, Resource) and not any(obj in c.made and c.operation.does is not Does.OBSERVE for c in calls)
        return [] if looked_up and obj not in state.constructed else origins(self.program, obj)

    def _kind(self, objects: list[int]) -> str:
        kind = self.program.kind(objects[0])
        if kind in _ENDS_OF_A_PAIR:
            value = self.program.value(objects[0])
            return Kind.CHANNEL if isinstance(value, Resource) and value.part.startswith("end ") else ""
        if kind is Kind.FUTURE and any(obj in self.program.handles for obj in objects):
            return _JOB
        return str(kind)

    def _judge(self, kind: str, made: list[int], objects: list[int], record: CallRecord) -> Knowledge:
        program = self.program
        reason = next((reason for obj in objects if (reason := self._reason(obj)) is not None), None)
        absent = Standing.UNKNOWN if reason is None else Standing.ESCAPES
        done = self._done(objects)
        ends = {end: Standing.RESOLVED if done & wanted else absent for end, wanted in _ENDS[kind].items()}
        if kind in _UNITS and ends["end"] is not Standing.RESOLVED and self._ends_by_itself(objects):
            ends["end"] = Standing.RESOLVED
        name = ", ".join(dict.fromkeys(program.describe(obj) for obj in made))
        in_attribute = not self._in_attributes.isdisjoint(objects)
        path = program.path(record.function.module)
        return Knowledge(path, record.at.line, record.at.column, kind, self._library(made[0]), name, in_attribute, ends, reason)

    def _reason(self, obj: int) -> Reason | None:
        """Why code out of sight may use the resource. Whoever makes an instance of a class has not got what its private attributes hold."""
        reason = self.program.escape(obj)
        private = self.program.describe(obj).rpartition(".")[2].startswith("_")
        return None if private and reason is not None and reason.why is Why.MADE_ELSEWHERE else reason

    def _library(self, obj: int) -> str:
        model = self.program.model(obj)
        return model.name.partition(".")[0] if model is not None else ""

    def _done(self, objects: Iterable[int]) -> set[Does]:
        """What is done to the resource, and what the methods of it do that somebody has: called later, or handed out uncalled."""
        found: set[Does] = set()
        seen, todo = set(objects), list(objects)
        while todo:
            obj = todo.pop()
            found |= {action.does for action in self.program.on(obj)}
            found |= self._methods.get(obj, frozenset())
            found |= {Does.JOIN} if obj in self._run else set()
            more = self._wrappers.get(obj, frozenset()) - seen
            seen |= more
            todo += more
        return found

    @cached_property
    def _run(self) -> frozenset[int]:
        """What a loop is told to run and waits for: `loop.run_until_complete(task)` is a join of the task."""
        return frozenset(obj for action in self.program.actions if action.does is Does.RUN for obj in action.call.entries)

    @cached_property
    def _methods(self) -> dict[int, frozenset[Does]]:
        """What the methods of each resource do that somebody reads."""
        found: dict[int, frozenset[Does]] = {}
        for value in self.program.state.solver.objects:
            if isinstance(value, LibraryMethod):
                operation = self.program.models.types[value.type].methods.get(value.name)
                if operation is not None:
                    found[value.subject] = found.get(value.subject, frozenset()) | {operation.does}
        return found

    @cached_property
    def _wrappers(self) -> dict[int, frozenset[int]]:
        """Lock → the conditions that are made of it: taking one takes the other."""
        found: dict[int, frozenset[int]] = {}
        for obj in (obj for group in self.groups.values() for obj in group):
            for lock in self.program.holds(self.program.state.solver.known(("attribute", obj, "()wraps"))):
                found[lock] = found.get(lock, frozenset()) | {obj}
        return found

    @cached_property
    def _in_attributes(self) -> frozenset[int]:
        """The objects that an attribute of a project class may hold itself, in no container."""
        found: set[int] = set()
        for key, variable in self.program.state.solver.keyed().items():
            if isinstance(key, tuple) and key[0] == "attribute" and isinstance(self.program.value(key[1]), Instance | ClassValue):
                found |= self.program.holds(variable)
        return frozenset(found)

    # --- units

    def _ends_by_itself(self, handles: Iterable[int]) -> bool:
        """Whether a unit needs nobody's hand: it is in a group that waits for it, or a thread that stops or does not matter."""
        units = [unit for obj in handles for unit in self._units.get(obj, ())]
        return bool(units) and all(self._in_group(unit) or (unit.kind is not UnitKind.TASK and self._stops(unit)) for unit in units)

    def _stops(self, unit: Unit) -> bool:
        """Whether a thread or process ends with the program, or when what it looks at tells it to."""
        return unit.daemon or self._is_told(unit)

    @cached_property
    def _units(self) -> dict[int, list[Unit]]:
        found: dict[int, list[Unit]] = {}
        for unit in self.program.units:
            for obj in unit.handle:
                found.setdefault(obj, []).append(unit)
        return found

    def _in_group(self, unit: Unit) -> bool:
        return any(spawn.subject is not None and self.program.kind(spawn.subject) is Kind.GROUP for spawn in unit.spawns)

    def _is_told(self, unit: Unit) -> bool:
        """Whether other code sets an event or a flag that the unit looks at, or closes what it receives from, or sends it None."""
        inside = self.program.reached(unit.entries)
        looks = (action for function in inside for action in self.program.actions_in(function))
        if any(self._tells(obj, action.does, inside) for action in looks for obj in action.subjects):
            return True
        return any(functions & inside and self._flags_set.get(flag, frozenset()) - inside for flag, functions in self._flags_read.items())

    def _tells(self, obj: int, does: Does, inside: frozenset[FunctionId]) -> bool:
        others = [action for action in self.program.on(obj) if action.function not in inside]
        match self.program.kind(obj):
            case Kind.EVENT:
                return Does.SIGNAL in self._methods.get(obj, ()) or any(action.does is Does.SIGNAL for action in others)
            case Kind.CHANNEL | Kind.RECEIVER | Kind.ENDPOINT if does is Does.RECEIVE:
                return any(action.does is Does.CLOSE or (action.does is Does.SEND and _sends_none(action)) for action in others)
            case _:
                return False

    @cached_property
    def _flags_set(self) -> dict[_Flag, frozenset[FunctionId]]:
        """Attributes of objects that are set to True or False, with where; how they begin does not count."""
        later = (load for load in self.program.state.loads if self.program.node(load.function).name != "__init__")
        return self._by_flag(load for load in later if isinstance(load.constant, ir.Constant) and load.constant.kind == "bool")

    @cached_property
    def _flags_read(self) -> dict[_Flag, frozenset[FunctionId]]:
        names = {name for _, name in self._flags_set}
        return self._by_flag(load for load in self.program.state.loads if load.value is None and load.name in names)

    def _by_flag(self, loads: Iterable[Load]) -> dict[_Flag, frozenset[FunctionId]]:
        found: dict[_Flag, set[FunctionId]] = {}
        for load in loads:
            for owner in self.program.holds(load.base):
                found.setdefault((owner, load.name), set()).add(load.function)
        return {flag: frozenset(functions) for flag, functions in found.items()}


def _sends_none(action: Action) -> bool:
    sent = action.call.given.get(action.call.operation.value or "")
    return isinstance(sent, ir.Constant) and sent.kind == "none"


__all__ = ["Knowledge", "Standing", "survey", "worst"]
