"""The linked program as text, one line a fact, for `leaklint dump --program`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum

from leaklint import ir
from leaklint.link.actions import Action
from leaklint.link.effects.kinds import Effect
from leaklint.link.flow.state import CallRecord
from leaklint.link.program import Program
from leaklint.link.units import Unit
from leaklint.link.values import Container, Coroutine, FunctionId, Generator, Instance, Pending, Resource


class _Order(IntEnum):
    """Facts of one place: what a function does to what it is given, what there is, what runs, what it does."""

    FUNCTION = 0
    OBJECT = 1
    UNIT = 2
    OPERATION = 3


_Fact = tuple[str, ir.Span, _Order, str]
"""Path and span where it holds, and the text after these."""


def dump(program: Program) -> Iterator[str]:
    """Lines without line ends, in the order of place, each `path:line function|object|unit|operation …`. An object is called by its name
    and the place that makes it: `queue@pipe.py:8`."""
    facts = {*_functions(program), *_objects(program), *_units(program), *_operations(program)}
    for path, at, order, text in sorted(facts, key=lambda fact: (fact[0], tuple(_corners(fact[1])), *fact[2:])):
        yield f"{path}:{at.line} {order.name.lower()} {text}"


def origins(program: Program, obj: int) -> list[CallRecord]:
    """The calls that make a resource, or the instances of a project class that derives from a library's, in the order of place."""
    found = [call.record for call in program.state.constructed.get(obj, ())]
    value = program.value(obj)
    if not found and (made := program.state.made_by.get(obj)) is not None:
        return [made]
    if not found and isinstance(value, Resource):
        found = [call.record for call in program.state.at(value.site)]
    return sorted(found, key=lambda record: (program.path(record.function.module), tuple(_corners(record.at))))


def _corners(at: ir.Span) -> tuple[int, int, int, int]:
    return at.line, at.column, at.end_line, at.end_column


def _functions(program: Program) -> Iterator[_Fact]:
    """The functions that do more with a parameter than keep it or hand it on, and those that return what they make."""
    for function in sorted(program.live):
        node = program.node(function)
        done = [(p.name, program.effects.on(function, p.name)) for p in node.parameters]
        told = [f"{', '.join(sorted(effects))} {name}" for name, effects in done if effects - _HANDED_ON]
        told += [f"returns a new {', '.join(sorted(made.kinds))}" for made in program.effects.result(function)]
        if told:
            yield program.path(function.module), node.at, _Order.FUNCTION, f"{_runs(program, function)}: {'; '.join(told)}"


_HANDED_ON = frozenset({Effect.KEEPS, Effect.RETURNS, Effect.ESCAPES})


def _objects(program: Program) -> Iterator[_Fact]:
    for obj, value in enumerate(program.state.solver.objects):
        kind = program.kind(obj)
        if kind is None or (isinstance(value, Resource) and value.part == "channel"):  # the ends of a pair speak for their channel
            continue
        opened = program.opened(obj)
        for record in origins(program, obj)[:1]:
            capacity = _capacity(program, obj)
            text = f"{kind} {program.describe(obj)} made in {_runs(program, record.function)}"
            text += f", capacity {capacity}" if capacity is not None else ""
            text += ", closed" if opened is None else f", open: {opened}"
            yield program.path(record.function.module), record.at, _Order.OBJECT, text


def _capacity(program: Program, obj: int) -> str | None:
    """The argument that bounds the object, as written."""
    for call in program.state.constructed.get(obj, ()):
        model = program.model(obj)
        for capacity in (call.operation.capacity, model.capacity if model is not None else None):
            given = call.given.get(capacity.arg) if capacity is not None and capacity.arg is not None else None
            if given is not None:
                return written(given)
    return None


def written(expression: ir.Expr) -> str:
    """An expression as it was written, what is long left out."""
    match expression:
        case ir.Name(id=name):
            return name
        case ir.Constant(kind=kind, text=text):
            return repr(text) if kind == "str" else text
        case ir.Attribute(base=base, name=name):
            return f"{written(base)}.{name}"
        case ir.Call(function=function):
            return f"{written(function)}(…)" if expression.arguments else f"{written(function)}()"
        case ir.Await(value=value):
            return f"await {written(value)}"
        case ir.Walrus(target=target, value=value):
            return f"{written(target)} := {written(value)}"
        case ir.Subscript(base=base, index=index):
            return f"{written(base)}[{written(index)}]"
        case ir.Comparison(left=left, operators=operators, rights=rights):
            return " ".join((written(left), *(f"{o} {written(r)}" for o, r in zip(operators, rights, strict=True))))
        case ir.Operation(operator="not", operands=(operand,)):
            return f"not {written(operand)}"
        case ir.Operation(operator=operator, operands=(operand,)):
            return f"{operator}{written(operand)}"
        case ir.Operation(operator=operator, operands=operands):
            return f" {operator} ".join(map(written, operands))
        case _:
            return "…"


def _units(program: Program) -> Iterator[_Fact]:
    for unit in program.units:
        if unit.made is None:
            continue
        made = unit.made.record
        text = f"{unit.kind} {unit.name}{', daemon' if unit.daemon else ''}, made in {_runs(program, made.function)}"
        yield program.path(made.function.module), made.at, _Order.UNIT, f"{text}, {_start(program, unit, made)}, {_entries(program, unit)}"


def _start(program: Program, unit: Unit, made: CallRecord) -> str:
    places = {(program.path(s.record.function.module), s.record.at.line) for s in unit.spawns}
    if not places:
        return "never started"
    if places == {(program.path(made.function.module), made.at.line)}:
        return "started here"
    return f"started at {', '.join(f'{path}:{line}' for path, line in sorted(places))}"


def _entries(program: Program, unit: Unit) -> str:
    functions = sorted(_function(program, entry) for entry in unit.entries)
    handed = unit.made.entries if unit.made is not None else ()
    calls = sorted({_subject(program, obj) for obj in handed if isinstance(program.value(obj), Pending)})
    return f"runs {', '.join((*functions, *calls))}" if functions or calls else "runs what is out of sight"


def _function(program: Program, function: FunctionId) -> str:
    node = program.node(function)
    return f"{node.qualname}@{program.path(function.module)}:{node.at.line}"


def _runs(program: Program, function: FunctionId) -> str:
    """A function, with the object that it runs on where such objects are told apart."""
    name = program.node(function).qualname
    owner = program.value(function.context)
    return f"{name} of {_subject(program, function.context)}" if isinstance(owner, Instance) else name


def _operations(program: Program) -> Iterator[_Fact]:
    for action in program.actions:
        yield program.path(action.function.module), action.at, _Order.OPERATION, _operation(program, action)


def _operation(program: Program, action: Action) -> str:
    text = f"{action.does} in {_runs(program, action.function)}: {action.name}"
    subjects = _subjects(program, action.subjects)
    if subjects:
        text += f" on {', '.join(subjects)}"
    if action.waits is not None:
        text += f", waits {action.waits}" + ("" if program.blocks(action) else ", bounded")
    if action.deferred:
        text += ", deferred"
    return text if action.function in program.live else f"{text}, never runs"


def _subjects(program: Program, subjects: Iterable[int]) -> list[str]:
    """Containers stand for what they hold, and for themselves when that is nothing known."""
    whole = set(subjects)
    held = {obj for obj in whole if not isinstance(program.value(obj), Container)}
    return sorted({_subject(program, obj) for obj in held or whole})


def _subject(program: Program, obj: int) -> str:
    match program.value(obj):
        case Coroutine(function=function) | Generator(function=function):
            return _function(program, function)
        case Pending(site=site):
            return ", ".join(sorted({action.name for action in program.at(site)})) or "an awaitable"
        case Resource() | Instance():
            made = origins(program, obj)
            text = program.describe(obj) + (f"@{program.path(made[0].function.module)}:{made[0].at.line}" if made else "")
            owner = program.owner(obj)
            return text if owner is None else f"{text} of {_subject(program, owner)}"
        case _:
            return program.describe(obj)


__all__ = ["dump", "origins", "written"]
