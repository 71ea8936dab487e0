"""Who holds the handle of a unit, and so could end it or wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leaklint.catalog.grammar import Kind, UnitKind
from leaklint.link.program import Program
from leaklint.link.units import Unit
from leaklint.link.values import ClassValue, Instance


class OwnerKind(StrEnum):
    """What holds a unit, the firmest hold first."""

    GROUP = "group"  # a task group waits for it
    EXECUTOR = "executor"
    ATTRIBUTE = "attribute"
    GLOBAL = "global"
    CONTAINER = "container"  # a list, set or dict of handles
    RETURNED = "returned"  # code out of sight gets it from a function
    ESCAPES = "escapes"  # code out of sight has it in another way
    LOCAL = "local"  # a variable of the function that starts it
    AWAITED = "awaited"  # the call that starts it waits for it
    LIBRARY = "library"  # the event loop, the interpreter or a registry
    DROPPED = "dropped"  # nobody


@dataclass(frozen=True, slots=True)
class Owner:
    """`name` is what people know the holder by: `Outbox._task`, `tasks`; the reason for `RETURNED` and `ESCAPES`; else empty."""

    kind: OwnerKind
    name: str = ""


class Owners:
    """Answers for one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._held = self._holders(program.handles)
        containers = frozenset(o for holders in self._held.values() for kind, o in holders if kind == "element" and isinstance(o, int))
        self._around = self._holders(containers)

    def of(self, unit: Unit, known_as: str | None = None) -> Owner:
        """The firmest hold on a unit. `known_as`: the name that its handle is bound to, where the handle stands for other units too."""
        program = self.program
        for spawn in unit.spawns:
            if spawn.subject is not None and program.kind(spawn.subject) is Kind.GROUP:
                return Owner(OwnerKind.GROUP, program.describe(spawn.subject))
        if unit.kind is UnitKind.JOB:
            executors = [s.subject for s in unit.spawns if s.subject is not None and program.kind(s.subject) is Kind.EXECUTOR]
            return Owner(OwnerKind.EXECUTOR, program.describe(executors[0]) if executors else "the default executor")
        found = sorted({owner for obj in unit.handle for owner in self._of(obj)}, key=lambda o: (_ORDER.index(o.kind), o.name))
        if known_as is not None:
            found = [o for o in found if o.name.rpartition(".")[2] == known_as] or found
        if found:
            return found[0]
        if unit.handle:
            keeps = unit.kind is UnitKind.HANDLER or any(s.operation.keeps for s in unit.spawns)
            return Owner(OwnerKind.LIBRARY if keeps or unit.kind is UnitKind.CALLBACK else OwnerKind.DROPPED)
        if unit.kind in (UnitKind.CALLBACK, UnitKind.HANDLER):
            return Owner(OwnerKind.LIBRARY)
        return Owner(OwnerKind.AWAITED if any(s.operation.waits is not None for s in unit.spawns) else OwnerKind.DROPPED)

    def _of(self, obj: int) -> list[Owner]:
        found: list[Owner] = []
        for kind, holder in self._held.get(obj, ()):
            if kind == "element" and isinstance(holder, int):
                names = [name for _, name in self._around.get(holder, ()) if isinstance(name, str)]
                found += [Owner(OwnerKind.CONTAINER, name) for name in names]
            elif isinstance(holder, str):
                found.append(Owner(OwnerKind(kind), holder))
        reason = self.program.opened(obj)
        if reason is not None:
            found.append(Owner(OwnerKind.RETURNED if reason.startswith("returned from") else OwnerKind.ESCAPES, reason))
        return found

    def _holders(self, objects: frozenset[int]) -> dict[int, set[tuple[str, str | int]]]:
        """Object → what holds it: ("attribute" | "global" | "local", name), ("element", id of a container)."""
        program, found = self.program, dict[int, set[tuple[str, str | int]]]()
        for key, variable in program.state.solver.keyed().items():
            if not isinstance(key, tuple) or key[0] not in ("attribute", "global", "local", "element", "indexed"):
                continue
            here = program.holds(variable) & objects
            if not here:
                continue
            holder: tuple[str, str | int]
            match key[0]:
                case "attribute":
                    owner = program.value(key[1])
                    if not isinstance(owner, Instance | ClassValue) or str(key[2]).startswith("()"):
                        continue
                    holder = ("attribute", f"{program.state.names.cls(owner.cls).name}.{key[2]}")
                case "global":
                    holder = ("global", str(key[2]))
                case "local":
                    if key[-1] in ("self", "cls"):
                        continue
                    holder = ("local", str(key[-1]))
                case _:
                    holder = ("element", key[1])
            for obj in here:
                found.setdefault(obj, set()).add(holder)
        return found


_ORDER = list(OwnerKind)
