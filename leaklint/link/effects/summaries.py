"""What functions do to what they are given and to what they make, whoever calls them: cancel it, wait for it, keep it, return it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from leaklint import ir
from leaklint.catalog.grammar import Kind
from leaklint.link.effects.bodies import Family, family
from leaklint.link.effects.kinds import Effect, effects_of
from leaklint.link.effects.methods import MethodNames
from leaklint.link.effects.web import Web
from leaklint.link.flow.state import CallRecord, LibraryCall
from leaklint.link.values import FunctionId, Site

if TYPE_CHECKING:
    from leaklint.link.program import Program


@dataclass(frozen=True, slots=True)
class Made:
    """What a call in a function gives and makes anew, directly or through wrappers. `kinds`: what may be made; `effects`: what becomes of
    it in the function: with none it is dropped, with RETURNS it is the function's result, with KEEPS it outlives the call elsewhere."""

    site: Site
    kinds: frozenset[Kind]
    effects: frozenset[Effect]


@dataclass(frozen=True, slots=True)
class _New:
    """The kinds of new objects that a call may give, and whether somebody else keeps them."""

    kinds: frozenset[Kind] = frozenset()
    kept: bool = False

    def __or__(self, other: _New) -> _New:
        return _New(self.kinds | other.kinds, self.kept or other.kept)


class Effects:
    """Summaries of the functions of a program, made where they are asked for.

    Within a function what counts is the names: it tells neither the order of statements nor the ways through them, so an effect is one that
    may happen. Through calls effects pass by the callees that the flow has found. What attributes of a parameter hold is not looked at."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.web = Web()
        self.methods = MethodNames(program.models)
        self._families: dict[FunctionId, Family] = {}
        self._nested: dict[int, dict[int, list[int]]] = {}
        self._new: dict[FunctionId, _New] = {}

    def on(self, function: FunctionId, parameter: str) -> frozenset[Effect]:
        """What the function does to a parameter, or to the elements of what it holds; `*args` and `**kwargs` go by their bare names."""
        return self._of(self.web.variable(function, parameter))

    def of_argument(self, record: CallRecord, argument: int | ir.Expr) -> frozenset[Effect]:
        """What a call does to one of its arguments, over all its callees; the argument by its variable or its expression. RETURNS: what
        the call gives is or holds it. ESCAPES: some callee is out of sight."""
        found: set[Effect] = set()
        given = record.node.arguments if record.node is not None else ()
        for position, actual in enumerate(record.actuals):
            same = actual.variable == argument if isinstance(argument, int) else position < len(given) and given[position].value is argument
            if same:
                known = record.site in self._family(record.function).calls.get(record.function, ())
                found |= self._of(self.web.argument(record.site, position)) if known else {Effect.ESCAPES}
        return frozenset(found)

    def of_result(self, record: CallRecord) -> frozenset[Effect]:
        """What the function around a call does to what the call gives (of an async one: when it is awaited)."""
        if record.site not in self._family(record.function).calls.get(record.function, ()):
            return frozenset({Effect.ESCAPES})  # in a nested function that nobody names, or a class body
        return self._of(self.web.result(record.site))

    def made(self, function: FunctionId) -> tuple[Made, ...]:
        """The objects that calls in the function make, in the order of place. One that a callee makes and returns counts as made here."""
        found = []
        for site in self._family(function).calls.get(function, ()):
            new = self._made_at(site)
            for callee in self.program.state.callees.get(site, ()):
                new |= self._returned(callee)
            if new.kinds:
                kept = frozenset({Effect.KEEPS} if new.kept else ())
                found.append(Made(site, new.kinds, self._of(self.web.result(site)) | kept))
        return tuple(found)

    def result(self, function: FunctionId) -> tuple[Made, ...]:
        """The new objects that a function returns; those with KEEPS it also keeps."""
        return tuple(made for made in self.made(function) if Effect.RETURNS in made.effects)

    def _made_at(self, site: Site) -> _New:
        """What a library makes at a call."""
        own = [call for call in self.program.state.at(site) if call.record.by is None]
        return _New(frozenset(kind for call in own for kind in self._kinds(call)), any(call.operation.keeps for call in own))

    def _returned(self, function: FunctionId) -> _New:
        """What a function returns that it or a function below it makes: the least solution over all from which it may come."""
        if function not in self._new:
            self._settle(function)
        return self._new[function]

    def _settle(self, start: FunctionId) -> None:
        order = [start]
        found: dict[FunctionId, _New] = {start: _New()}
        callers: dict[FunctionId, list[FunctionId]] = {}
        for function in order:
            for site in self._family(function).calls.get(function, ()):
                effects = self._of(self.web.result(site))
                if Effect.RETURNS not in effects:
                    continue
                made = self._made_at(site)
                callees = self.program.state.callees.get(site, ())
                found[function] |= _New(made.kinds, made.kept or (bool(made.kinds or callees) and Effect.KEEPS in effects))
                for callee in callees:
                    callers.setdefault(callee, []).append(function)
                    if callee not in found:
                        found[callee] = self._new.get(callee, _New())
                        order += () if callee in self._new else (callee,)
        todo = list(found)
        while todo:
            callee = todo.pop()
            for caller in callers.get(callee, ()):
                more = found[caller] | found[callee]
                if more != found[caller]:
                    found[caller] = more
                    todo.append(caller)
        self._new.update(found)

    def _kinds(self, call: LibraryCall) -> Iterator[Kind]:
        for obj in call.made:
            kind = self.program.kind(obj)
            if kind is not None:
                yield kind

    def _of(self, node: int) -> frozenset[Effect]:
        return effects_of(self.web.solve(node, self._family))

    def _family(self, function: FunctionId) -> Family:
        """The web of the outermost function around one and of all inside it, spun once."""
        root = self.root(function)
        found = self._families.get(root)
        if found is None:
            found = self._families[root] = family(self, root)
        return found

    # --- the tables of the program, made once

    def root(self, function: FunctionId) -> FunctionId:
        """The outermost function around one."""
        nodes = self.program.modules[function.module].summary.functions
        while outer := nodes[function.index].parent:
            function = function.inner(outer)
        return function

    def nested(self, module: int) -> dict[int, list[int]]:
        """Function of a module → those directly inside it, by index."""
        found = self._nested.get(module)
        if found is None:
            found = self._nested[module] = {}
            for index, node in enumerate(self.program.modules[module].summary.functions):
                if node.parent:
                    found.setdefault(node.parent, []).append(index)
        return found

    def records(self, site: Site) -> list[CallRecord]:
        """The calls that a place makes: first that of the program, then those of partials and of the library on its behalf."""
        return self._records.get(site, [])

    @cached_property
    def _records(self) -> dict[Site, list[CallRecord]]:
        found: dict[Site, list[CallRecord]] = {}
        for record in self.program.state.calls:
            found.setdefault(record.site, []).append(record)
        return found


__all__ = ["Effect", "Effects", "Made"]
