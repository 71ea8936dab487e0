"""What the tests of a function are to the explorer: tests of what was received, of an event, of a flag; free choices; guesses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leaklint import ir
from leaklint.explore.reading import DATA, FALSE, LOWEST, NONE, Reading
from leaklint.explore.system import NOTHING, Act, Op, Outcome
from leaklint.explore.variables import predicate
from leaklint.link.values import FunctionId

if TYPE_CHECKING:
    from leaklint.explore.frame import Frame, Here

Targets = tuple[int, ...]

_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!=", "is": "is", "is not": "is not"}
_NEGATED = {"!=": "==", "is not": "is", ">=": "<", ">": "<="}


@dataclass(eq=False)
class Predicates:
    """Of one run of a function."""

    frame: Frame

    def __post_init__(self) -> None:
        self.setting, self.points = self.frame.setting, self.frame.points

    def test(self, test: ir.Expr, true: Targets, false: Targets, here: Here) -> int:
        """The point that goes on to one of `true` where the test holds."""
        return self._test(self.frame.function, test, true, false, here)

    def _test(self, function: FunctionId, test: ir.Expr, true: Targets, false: Targets, here: Here) -> int:
        if not true or not false:
            return self.points.choose(true or false)
        match test:
            case ir.Operation(operator="not", operands=(one,)):
                return self._test(function, one, false, true, here)
            case ir.Operation(operator="and", operands=operands):
                for one in reversed(operands):
                    true = (self._test(function, one, true, false, here),)
                return true[0]
            case ir.Operation(operator="or", operands=operands):
                for one in reversed(operands):
                    false = (self._test(function, one, true, false, here),)
                return false[0]
            case ir.Comparison(left=left, operators=(operator,), rights=(right,)) if operator in _MIRRORED and self._is_second(
                function, test
            ):
                return self._test(function, ir.Comparison(right, (_MIRRORED[operator],), (left,)), true, false, here)
            case ir.Comparison(left=left, operators=(operator,), rights=(right,)) if operator in _NEGATED:
                return self._test(function, ir.Comparison(left, (_NEGATED[operator],), (right,)), false, true, here)
            case _:
                pass
        known = self._known(function, test, here)
        if known is not None:
            return self.points.choose(true if known else false)
        reading = self.setting.reading(function)
        op = self._looked_at(reading, function, test, here) or self._flag(function, test, here)
        if op is not None:
            return self.points.add(op, {Outcome.DONE: true, Outcome.REFUSED: false})
        if function == self.frame.function and reading.is_received(test):
            return self._received(NONE, false, (self._received(FALSE, false, true),))
        if function == self.frame.function and (told := predicate(self.setting.graph, function, test)) is not None:
            return self._test(*told, true, false, here)
        both = (*true, *false)
        guess = self.points.add(Op(Act.GUESS), {Outcome.DONE: both})
        if not reading.is_data(test):
            return guess
        free = self.points.choose(both)
        return self._received(DATA, (free,), (guess,)) if reading.speaks_of_received(test) else free

    def _received(self, code: int, true: Targets, false: Targets) -> int:
        return self.points.add(Op(Act.RECEIVED, value=code), {Outcome.DONE: true, Outcome.REFUSED: false})

    def _known(self, function: FunctionId, test: ir.Expr, here: Here) -> bool | None:
        """Whether the test holds, where that follows from constants and from the values of local names."""
        if function != self.frame.function:
            return None
        match test:
            case ir.Comparison(left=left, operators=(operator,), rights=(right,)):
                one, other = self.frame.value(left, here), self.frame.value(right, here)
                if one is None or other is None:
                    return None
                if operator in ("is", "=="):
                    return one == other
                is_number = min(one, other) >= LOWEST
                return (one < other if operator == "<" else one <= other) if operator in ("<", "<=") and is_number else None
            case ir.Name() | ir.Constant():
                value = self.frame.value(test, here)
                return None if value is None else value not in (0, NOTHING)
            case _:
                return None

    def _looked_at(self, reading: Reading, function: FunctionId, test: ir.Expr, here: Here) -> Op | None:
        """A test of what was received, or of the state of a resource."""
        match test:
            case ir.Comparison(left=left, operators=("is" | "==",), rights=(right,)) if function == self.frame.function:
                code = reading.code(right)
                return Op(Act.RECEIVED, value=code) if reading.is_received(left) and code is not None else None
            case ir.Call(function=ir.Name(id="isinstance"), arguments=(ir.Argument(value=ir.Name() as one), ir.Argument(value=cls))):
                code = reading.class_code(cls)
                return Op(Act.RECEIVED, value=code) if reading.is_received(one) and code is not None else None
            case ir.Call(site=number):
                for action in self.setting.graph.program.at(function.site(number)):
                    resource = self.setting.resources.number(action)
                    if resource is not None and action.method in _STATES:
                        act = _STATES[action.method]
                        return Op(act, self.setting.resources.lock_of(resource) if act is Act.IS_HELD else resource)
                return None
            case _:
                return None

    def _flag(self, function: FunctionId, test: ir.Expr, here: Here) -> Op | None:
        """A test of a flag of the scope: its truth, or its value against one that is known."""
        match test:
            case ir.Comparison(left=left, operators=(operator,), rights=(right,)):
                flag, value = self._number(function, left), self.frame.value(right, here)
                if flag is None or value is None:
                    return None
                if value >= LOWEST and not (value == 0 and self.setting.resources.is_length(flag)):
                    self.setting.turns.must_be_exact()
                if operator in ("is", "=="):
                    return Op(Act.EQUALS, flag, value)
                return Op(Act.LESS, flag, value + (operator == "<=")) if operator in ("<", "<=") and value >= LOWEST else None
            case _:
                flag = self._number(function, test)
                return Op(Act.IS_TRUE, flag) if flag is not None else None

    def _is_second(self, function: FunctionId, test: ir.Comparison) -> bool:
        """Whether what is looked at stands on the right."""
        return self._number(function, test.left) is None and self._number(function, test.rights[0]) is not None

    def _number(self, function: FunctionId, expression: ir.Expr) -> int | None:
        match expression:
            case ir.Call(function=ir.Name(id="len" | "bool"), arguments=(ir.Argument(value=value),)):
                return self.setting.resources.flag(function, value)
            case _:
                return self.setting.resources.flag(function, expression)


_STATES = {"is_set": Act.IS_SET, "isSet": Act.IS_SET, "empty": Act.IS_EMPTY, "locked": Act.IS_HELD}
