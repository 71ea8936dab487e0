"""What the expressions of one function say about what it receives and sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.exits.sentinels import is_sentinel
from leaklint.explore.flags import MOST_ITEMS
from leaklint.explore.resources import Resources
from leaklint.explore.variables import constant
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.sizes import whole_number
from leaklint.link.syntax import bound_names, in_order, target_names, walk
from leaklint.link.values import Container, FunctionId

LOWEST = -1_000
"""Values of flags below are no numbers but stand for something else."""

DATA = 0
NONE = 1
FALSE = 2
"""Stands for all constants that are false but for None."""


@dataclass(eq=False)
class Codes:
    """The numbers that stand for what is sent, and for what is compared with what was received."""

    _given: dict[str, int] = field(default_factory=dict)

    def of(self, word: str) -> int:
        return self._given.setdefault(word, len(self._given) + FALSE + 1)


@dataclass(eq=False)
class Reading:
    """Answers for one function of a scope."""

    graph: Graph
    resources: Resources
    codes: Codes
    function: FunctionId

    def actions(self, number: int) -> list[Action]:
        """The operations that the function itself does at a site."""
        found = self.graph.program.at(self.function.site(number))
        return [a for a in found if a.call.record.by is None and not a.deferred]

    def receives(self, number: int) -> list[Action]:
        """The receives of the function from a channel of the scope at a site."""
        return [a for a in self.actions(number) if a.does is Does.RECEIVE and self.resources.number(a) is not None]

    def is_received(self, expression: ir.Expr) -> bool:
        """Whether an expression is the element received last."""
        match expression:
            case ir.Walrus(value=value) | ir.Await(value=value):
                return self.is_received(value)
            case ir.Call(site=site):
                return bool(self.receives(site))
            case ir.Name(id=name):
                return self._bound.get(name) is True
            case _:
                return False

    def _gives(self, value: ir.Expr) -> bool:
        """Whether a value is what a receive in it gives; what another name holds is not followed."""
        return not any(isinstance(part, ir.Name) for part in _heads(value)) and self.is_received(value)

    @cached_property
    def _bound(self) -> dict[str, bool]:
        """The names of the function → whether they are only bound to what the one receive of the function gives."""
        found: dict[str, bool] = {}
        for node in self.graph.paths(self.function).nodes:
            match node.stmt:
                case ir.Bind(targets=targets, value=value):
                    gives = self._gives(value)
                    for target in targets:
                        for name in target_names(target):
                            found[name] = found.get(name, True) and gives and isinstance(target, ir.Name)
                case ir.For(target=target, site=site) if node.kind == "step":
                    gives = bool(self.receives(site))
                    for name in target_names(target):
                        found[name] = found.get(name, True) and gives and isinstance(target, ir.Name)
                case _:
                    pass
            for part in (p for one in node.parts for p in in_order(one) if isinstance(p, ir.Walrus)):
                found[part.target.id] = found.get(part.target.id, True) and self._gives(part.value)
        return found

    @cached_property
    def _counted_names(self) -> frozenset[str]:
        """The names that the function counts up or down."""
        body = self.graph.program.node(self.function).body
        return frozenset(s.target.id for s in walk(body) if isinstance(s, ir.Augment) and isinstance(s.target, ir.Name))

    @cached_property
    def _derived(self) -> frozenset[str]:
        """The names that hold something of what the function receives."""
        found: set[str] = set()
        for node in self.graph.paths(self.function).nodes:
            sites = [number for number in node.sites() if self.receives(number)]
            if sites and isinstance(node.stmt, ir.Bind):
                found |= {name for target in node.stmt.targets for name in target_names(target)}
            elif sites and isinstance(node.stmt, ir.For):
                found |= set(target_names(node.stmt.target))
            found |= {p.target.id for part in node.parts for p in in_order(part) if sites and isinstance(p, ir.Walrus)}
        return frozenset(found)

    def speaks_of_received(self, test: ir.Expr) -> bool:
        """Whether a test is about what was received: where that was a constant, it is no free choice."""
        return any(isinstance(part, ir.Name) and part.id in self._derived for part in in_order(test))

    @cached_property
    def _given_by_others(self) -> frozenset[str]:
        """The names that hold what functions return that do something to the resources: an element that they have received, perhaps."""
        program = self.graph.program
        found: set[str] = set()
        for node in self.graph.paths(self.function).nodes:
            callees = {c for number in node.sites() for c in program.state.callees.get(self.function.site(number), ())}
            inside = (a for callee in program.reached(callees) for a in program.actions_in(callee)) if callees else ()
            if any(a.subjects & self.resources.number_of.keys() for a in inside):
                if isinstance(node.stmt, ir.Bind):
                    found |= {name for target in node.stmt.targets for name in target_names(target)}
                found |= {p.target.id for part in node.parts for p in in_order(part) if isinstance(p, ir.Walrus)}
        return frozenset(found)

    def code(self, expression: ir.Expr) -> int | None:
        """The number that stands for a sentinel among what is sent."""
        match expression:
            case ir.Constant(kind="none"):
                return NONE
            case ir.Constant(text="" | "0" | "False" | "0.0" | "b''" | 'b""'):
                return FALSE
            case ir.Constant(kind=kind, text=text):
                return self.codes.of(f"{kind} {text}")
            case ir.Name(id=name) | ir.Attribute(name=name) if name.isupper() or name.startswith("_"):
                return self.codes.of(name)
            case ir.Call(function=ir.Name(id=name) | ir.Attribute(name=name)) if name[:1].isupper() or name.startswith("_"):
                return self.codes.of(f"class {name}")
            case _:
                return None

    def value(self, expression: ir.Expr) -> int | None:
        """The value of a constant, as flags have it; words in capitals stand for themselves."""
        if (found := constant(expression)) is not None:
            return found
        if (number := whole_number(self.graph.program, self.function, expression)) is not None:
            return number if abs(number) <= MOST_ITEMS else None
        match expression:
            case ir.Constant(kind=kind, text=text) if text:
                return LOWEST - self.codes.of(f"{kind} {text}")
            case ir.Name(id=name) | ir.Attribute(name=name) if name.isupper():
                return LOWEST - self.codes.of(name)
            case _:
                return None

    def class_code(self, cls: ir.Expr) -> int | None:
        match cls:
            case ir.Name(id=name) | ir.Attribute(name=name):
                return self.codes.of(f"class {name}")
            case _:
                return None

    def is_data(self, test: ir.Expr) -> bool:
        """Whether a test looks at nothing that the program changes while it runs: no attribute that is written outside constructors, no
        container, no function of the program, no known operation of a library, no word that the senders agree on with the receivers."""
        program = self.graph.program
        calls = [part.site for part in in_order(test) if isinstance(part, ir.Call)]
        if any(program.state.callees.get(site) or program.at(site) for site in map(self.function.site, calls)):
            return False
        if any(is_sentinel(channel, test, self._derived) for channel in self.resources.channels):
            return False
        for part in in_order(test):
            if isinstance(part, ir.Name) and part.id in self._counted_names | self._given_by_others:
                return False
            if part is test and isinstance(part, ir.Name) and part.id in self._derived:
                return False
            if isinstance(part, ir.Name | ir.Attribute) and any(
                isinstance(program.value(o), Container) for o in program.denoted(self.function, part)
            ):
                return False
        return self.is_lasting(test)

    def is_lasting(self, test: ir.Expr) -> bool:
        """Whether a test looks at no attribute that is written outside constructors."""
        names = {part.name for part in in_order(test) if isinstance(part, ir.Attribute)}
        writes = (load.function for name in names for load in self.graph.loads_of(name) if load.value is not None)
        return all(self.graph.program.node(function).name == "__init__" for function in writes)

    @cached_property
    def loops_over(self) -> dict[str, ir.For]:
        """The names that only a `for` loop over a display binds."""
        program = self.graph.program
        body, summary = program.node(self.function).body, program.modules[self.function.module].summary
        binders = Counter(bound_names(body, summary))
        loops = [s for s in walk(body) if isinstance(s, ir.For)]
        return {loop.target.id: loop for loop in loops if isinstance(loop.target, ir.Name) and binders[loop.target.id] == 1}


def _heads(value: ir.Expr) -> Iterator[ir.Expr]:
    """What an expression gives, below what only passes it on."""
    yield value
    match value:
        case ir.Walrus(value=inner) | ir.Await(value=inner):
            yield from _heads(inner)
        case _:
            pass
