"""What the tests and assignments on a path say about later tests: `if locked: …` twice in one function goes the same way twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from leaklint import ir
from leaklint.link.syntax import subexpressions, target_names
from leaklint.paths.builder import is_endless
from leaklint.paths.nodes import EXCEPTIONAL, Edge, Node, Paths

Facts = frozenset[tuple[ir.Expr, bool]]
"""Conditions, as they stand in the code, and whether they hold."""

_NONE = ir.Constant("none", "None")


class Choices:
    """The tests of one function. `holds` says of a call in a test that it is true for sure."""

    def __init__(self, function: ir.Function, paths: Paths, holds: Callable[[ir.Call], bool]) -> None:
        self.holds = holds
        tested: Counter[ir.Expr] = Counter()
        stated: set[ir.Expr] = set()
        statements: dict[int, Node] = {id(n.stmt): n for n in paths.nodes if n.stmt is not None and n.kind in ("test", "stmt")}
        for node in statements.values():
            match node.stmt:
                case ir.Branch(test=test) | ir.While(test=test):
                    tested.update(set(_atoms(test)))
                case ir.Bind(value=ir.Operation(operator="or", operands=(test, _)) | ir.Choice(test=test)):
                    tested.update(set(_atoms(test)))
                case ir.Bind(targets=targets, value=ir.Constant() | ir.Call() | ir.Await()):
                    stated.update(t for t in targets if isinstance(t, ir.Name | ir.Attribute))
                case _:
                    pass
        self.relevant = frozenset(atom for atom, count in tested.items() if count > 1 or _subject(atom) in stated)

    def onward(self, node: Node, facts: Facts) -> Iterator[tuple[Edge, Node, Facts]]:
        """The ways on from a node that agree with the facts, each with the facts that hold there."""
        match node.stmt:
            case ir.Branch(test=test) | ir.While(test=test) if node.kind == "test":
                known = self._value(test, facts)
                for edge, target in node.successors:
                    match edge:
                        case Edge.TRUE if known is not False:
                            yield edge, target, self.assume(facts, test, True)
                        case Edge.FALSE if known is not True:
                            yield edge, target, self.assume(facts, test, False)
                        case Edge.TRUE | Edge.FALSE:
                            pass
                        case _:
                            yield edge, target, facts
            case _:
                after = self._bound(node, facts)
                for edge, target in node.successors:
                    yield edge, target, facts if edge in EXCEPTIONAL else after

    def assume_result(self, node: Node, facts: Facts) -> Facts:
        """The facts where a take has been successful: `got = lock.acquire(…)` has given a true value."""
        match node.stmt:
            case ir.Bind(targets=(ir.Name() as name,)):
                return self.assume(facts, name, True)
            case _:
                return facts

    def _bound(self, node: Node, facts: Facts) -> Facts:
        match node.stmt:
            case ir.Bind(targets=targets, value=value) if node.kind == "stmt":
                facts = _forget(facts, targets)
                for target in targets if isinstance(value, ir.Constant) else ():
                    if isinstance(target, ir.Name | ir.Attribute) and value == _NONE:
                        facts = self.assume(facts, ir.Comparison(target, ("is",), (_NONE,)), True)
                    elif isinstance(target, ir.Name | ir.Attribute) and isinstance(value, ir.Constant) and value.kind == "bool":
                        facts = self.assume(facts, target, value.text == "True")
                return facts
            case ir.Augment(target=target):
                return _forget(facts, (target,))
            case ir.For(target=target) if node.kind == "step":
                return _forget(facts, (target,))
            case ir.With(items=items) if node.kind == "enter":
                return _forget(facts, tuple(i.target for i in items if i.target is not None))
            case _:
                return facts

    def _value(self, test: ir.Expr, facts: Facts) -> bool | None:
        """Whether the test holds under the facts; None: unknown."""
        match test:
            case ir.Operation(operator="not", operands=(one,)):
                inner = self._value(one, facts)
                return None if inner is None else not inner
            case ir.Operation(operator="and" | "or" as operator, operands=operands):
                told = {self._value(one, facts) for one in operands}
                deciding = operator == "or"
                return deciding if deciding in told else None if None in told else not deciding
            case ir.Call() if not _is_stable(test):
                return True if self.holds(test) else None
            case ir.Constant():
                return True if is_endless(test) else None
            case _:
                atom, sign = _atom(test)
                if (atom, True) in facts:
                    return sign
                if (atom, False) in facts:
                    return not sign
                if isinstance(atom, ir.Comparison) and atom.rights == (_NONE,):
                    return not sign if (atom.left, True) in facts else None
                return False if (ir.Comparison(atom, ("is",), (_NONE,)), True) in facts else None

    def assume(self, facts: Facts, test: ir.Expr, holds: bool) -> Facts:
        """The facts where a condition is known to hold, or not."""
        match test:
            case ir.Operation(operator="not", operands=(one,)):
                return self.assume(facts, one, not holds)
            case ir.Operation(operator="and" | "or" as operator, operands=operands) if holds == (operator == "and"):
                for one in operands:
                    facts = self.assume(facts, one, holds)
                return facts
            case _:
                atom, sign = _atom(test)
                if atom not in self.relevant and _subject(atom) not in {_subject(one) for one in self.relevant}:
                    return facts
                return facts | {(atom, holds == sign)}


def _atoms(test: ir.Expr) -> Iterator[ir.Expr]:
    """The conditions that a test is made of, each in its positive form; without calls, whose value may change."""
    match test:
        case ir.Operation(operator="not" | "and" | "or", operands=operands):
            for one in operands:
                yield from _atoms(one)
        case _:
            if _is_stable(test) or not any(isinstance(part, ir.Call | ir.Await | ir.Walrus) for part in subexpressions(test)):
                yield _atom(test)[0]


def _is_stable(test: ir.Expr) -> bool:
    """Whether it is a call whose value stays the same while its names do: `isinstance(name, …)`."""
    match test:
        case ir.Call(function=ir.Name(id="isinstance" | "callable"), arguments=(ir.Argument(value=ir.Name()), *_)):
            return True
        case _:
            return False


def _atom(test: ir.Expr) -> tuple[ir.Expr, bool]:
    """The condition in its positive form, and whether the test is that."""
    match test:
        case ir.Comparison(left=left, operators=("is not",), rights=rights):
            return ir.Comparison(left, ("is",), rights), False
        case ir.Comparison(left=left, operators=("!=",), rights=rights):
            return ir.Comparison(left, ("==",), rights), False
        case ir.Call(function=ir.Name(id=name), arguments=arguments) if _is_stable(test):  # wherever it stands
            return ir.Operation(name, tuple(argument.value for argument in arguments)), True
        case _:
            return test, True


def _subject(atom: ir.Expr) -> ir.Expr:
    """What a condition is about: `x` of `x is None`."""
    return atom.left if isinstance(atom, ir.Comparison) else atom


def _forget(facts: Facts, targets: tuple[ir.Expr, ...]) -> Facts:
    """The facts that do not speak of what is bound anew."""
    if not facts:
        return facts
    names = {name for target in targets for name in target_names(target)}
    attributes = {target for target in targets if isinstance(target, ir.Attribute)}
    return frozenset(
        (atom, value) for atom, value in facts
        if not any((isinstance(p, ir.Name) and p.id in names) or p in attributes for p in subexpressions(atom))
    )  # fmt: skip
