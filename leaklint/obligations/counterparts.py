"""What libraries keep: registrations whose model says by which operation they are taken back."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.link.actions import Action
from leaklint.link.program import Program
from leaklint.link.values import FunctionId
from leaklint.obligations.tables import Act, Table, Use


def counterparts(program: Program) -> list[Table]:
    """A table for each operation that can be taken back, with the calls that register and those that take back."""
    found: dict[tuple[str, str], Table] = {}
    for action in program.actions:
        undone = action.call.operation.undone
        if undone is not None:
            owner = action.name.rpartition(".")[0]
            found.setdefault((action.name, f"{owner}.{undone}"), Table(None, action.method, action.name, is_own=False))
    for (puts, takes), table in found.items():
        told: set[tuple[int, int]] = set()
        for action in program.actions:
            key = (action.function.module, action.site.number)
            if action.name in (puts, takes) and key not in told:
                told.add(key)
                table.uses.extend(_use(program, action, Act.PUT if action.name == puts else Act.TAKE))
    return list(found.values())


def _use(program: Program, action: Action, act: Act) -> Iterator[Use]:
    """The use that a call is: known by its first argument, the key or the callback."""
    call, place = action.call.record.node, program.place(action.function, action.site.number)
    if action.call.record.by is not None or call is None or place is None:
        return
    given = [a.value for a in call.arguments if not a.star]
    value = action.call.given.get(action.call.operation.runs) if action.call.operation.runs is not None else None
    yield Use(act, FunctionId(*action.function.source), place.stmt, given[0] if given else None, value, action.at)
