"""Which exceptions may leave a function: by name, with "?" for whatever code out of sight may raise."""

from __future__ import annotations

import builtins
from functools import cached_property
from typing import TYPE_CHECKING

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, Waits
from leaklint.link.capacity import capacity
from leaklint.link.syntax import blocks, expressions, subexpressions
from leaklint.link.values import ClassId, FunctionId

if TYPE_CHECKING:
    from leaklint.link.actions import Action
    from leaklint.link.program import Program

ANY = "?"
_QUIET = frozenset(Does) - {Does.RUN, Does.BOUND, Does.JOIN, Does.SHIELD, Does.SUBMIT, Does.WAIT, Does.ENTER}
"""Operations that raise nothing but what their model names; the others also pass on what they run or wait for."""
_FAR = frozenset({Kind.CONNECTION, Kind.SERVER, Kind.SUBPROCESS})
_PLAIN = frozenset({*dir(str), *dir(list), *dir(dict), *dir(set)}) - {
    "index", "rindex", "remove", "pop", "popitem", "encode", "format", "format_map", "copy", "get", "update", "clear", "__init__"
}  # fmt: skip
"""Methods of built-in types that do not raise on sound arguments; left out are those whose names other classes use for real work."""


class Raising:
    """Answers for one program, each function looked at once."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._known: dict[FunctionId, frozenset[str]] = {}

    def of(self, function: FunctionId) -> frozenset[str]:
        """The names of the exceptions that may leave the function; a recursive call adds nothing."""
        if function not in self._known:
            for one in self._callees_first(function):
                body = self.program.node(one).body
                self._known[one] = frozenset()
                self._known[one] = frozenset(self._block(body, one, frozenset()))
        return self._known[function]

    def _callees_first(self, function: FunctionId) -> list[FunctionId]:
        """The function and what it may call, directly or not, that is not known yet, callees before callers."""
        found: list[FunctionId] = []
        seen = {function}
        todo = [(function, iter(sorted(self._callees.get(function, ()))))]
        while todo:
            one, callees = todo[-1]
            for callee in callees:
                if callee not in seen and callee not in self._known:
                    seen.add(callee)
                    todo.append((callee, iter(sorted(self._callees.get(callee, ())))))
                    break
            else:
                todo.pop()
                found.append(one)
        return found

    @cached_property
    def _callees(self) -> dict[FunctionId, set[FunctionId]]:
        state = self.program.state
        found: dict[FunctionId, set[FunctionId]] = {}
        for record in state.calls:
            found.setdefault(record.function, set()).update(state.callees.get(record.site, ()))
        for call in state.library.values():
            found.setdefault(call.record.function, set()).update(self.program.entries(call))
        return found

    def of_call(self, function: FunctionId, call: ir.Call) -> frozenset[str]:
        """What a call in the function may raise."""
        self.of(function)
        return self._of_call(function, call)

    def _of_call(self, function: FunctionId, call: ir.Call) -> frozenset[str]:
        site = function.site(call.site)
        program = self.program
        callees = program.state.callees.get(site, set())
        actions = program.at(site)
        found: set[str] = set()
        for callee in callees:
            if self._runs_here(function, callee):
                found |= self._known.get(callee, frozenset())
        for action in actions:
            operation = action.call.operation
            stays = (action.waits is not None and not action.bounded) or self._always_has_room(action)
            closed = () if self._is_never_closed(action) else operation.raises
            found |= {name.rpartition(".")[2] for name in (closed if stays else closed + operation.gives_up)}
            if self._is_at_the_mercy(action):
                found.add("OSError")
            if action.does not in _QUIET and not self._is_told_later(action):
                found |= {n for entry in program.entries(action.call) for n in self._known.get(entry, frozenset())}
        if not callees and not actions and not program.is_inert(site) and not program.makes_plainly(site) and not _is_plain(call):
            found.add(ANY)
        return frozenset(found)

    def _runs_here(self, function: FunctionId, callee: FunctionId) -> bool:
        """Whether the function runs what it calls: a coroutine that is only made raises nothing."""
        return not self.program.node(callee).is_async or callee in self.program.calls.get(function, frozenset())

    def _is_at_the_mercy(self, action: Action) -> bool:
        """Whether an operation on a connection or a process needs the other end, or makes such a thing: it fails when that does."""
        if action.call.record.by is not None:
            return False
        if action.does is Does.MAKE:
            return action.call.operation.is_async
        return action.waits is Waits.UNTIL_READY and any(self.program.kind(o) in _FAR for o in action.subjects)

    def _is_told_later(self, action: Action) -> bool:
        """Whether what a job raises comes out where its result is asked for, and not where the job is submitted: it gives a future that
        nobody can await."""
        gives = self.program.models.types.get(str(action.call.operation.returns))
        return action.does is Does.SUBMIT and gives is not None and gives.kind is Kind.FUTURE and "__await__" not in gives.methods

    def _is_never_closed(self, action: Action) -> bool:
        """Whether it is an operation on queues that nobody in sight closes: hardly anybody closes a queue that was made by others."""
        program = self.program
        if action.does not in (Does.SEND, Does.RECEIVE) or not action.subjects:
            return False
        return all(program.kind(o) is Kind.CHANNEL and not any(a.does is Does.CLOSE for a in program.on(o)) for o in action.subjects)

    def _always_has_room(self, action: Action) -> bool:
        """Whether it sends to channels without a bound: they are never full."""
        return action.does is Does.SEND and bool(action.subjects) and capacity(self.program, sorted(action.subjects)) is None

    def _block(self, body: tuple[ir.Stmt, ...], function: FunctionId, caught: frozenset[str]) -> set[str]:
        found: set[str] = set()
        for stmt in body:
            found |= self._statement(stmt, function, caught)
        return found

    def _statement(self, stmt: ir.Stmt, function: FunctionId, caught: frozenset[str]) -> set[str]:
        found: set[str] = set()
        for expression in expressions(stmt):
            for part in subexpressions(expression):
                if isinstance(part, ir.Call) and not (isinstance(stmt, ir.Raise) and part is stmt.exception):
                    found |= self._of_call(function, part)
        match stmt:
            case ir.Raise(exception=None):
                return found | caught
            case ir.Raise(exception=exception) if exception is not None:
                name = _exception_name(exception)
                return found | ({name} if name[:1].isupper() else caught or {ANY})
            case ir.Assert():
                return found | {"AssertionError"}
            case ir.Try(body=body, handlers=handlers, orelse=orelse, final=final):
                inner = self._block(body, function, caught)
                for handler in handlers:
                    stopped = {name for name in inner if self.catches(function.module, handler, name)}
                    found |= self._block(handler.body, function, frozenset(stopped) or frozenset({ANY}) & inner)
                    inner -= stopped
                return found | inner | self._block(orelse, function, caught) | self._block(final, function, caught)
            case _:
                for block in blocks(stmt):
                    found |= self._block(block, function, caught)
                return found

    def catches(self, module: int, handler: ir.Handler, name: str) -> bool:
        """Whether a handler stops every exception of this name."""
        if handler.type is None:
            return True
        types = handler.type.items if isinstance(handler.type, ir.Display) else (handler.type,)
        words = {_exception_name(t) for t in types}
        if words & {"Exception", "BaseException"} or name in words:
            return True
        known = getattr(builtins, name, None)
        for word in words:
            base = getattr(builtins, word, None)
            if isinstance(known, type) and isinstance(base, type) and issubclass(known, base):
                return True
        return bool(words & self.above(module, name))

    def above(self, module: int, name: str) -> frozenset[str]:
        """The names of an exception class of the project and of the classes above it, where the module can see it."""
        found = self.program.state.names.resolve_name(module, name)
        if not isinstance(found, ClassId):
            return frozenset()
        line, outside = self.program.state.names.lineage(found)
        return frozenset(self.program.state.names.cls(c).name for c in line) | {o.rpartition(".")[2] for o in outside}


def _is_plain(call: ir.Call) -> bool:
    """A method that strings and containers have, on an object of unknown type: it is taken for theirs. Or an exception that is made."""
    match call.function:
        case ir.Attribute(name=name):
            return name in _PLAIN
        case ir.Name(id=name):
            made = getattr(builtins, name, None)
            return isinstance(made, type) and issubclass(made, BaseException)
        case _:
            return False


def _exception_name(expression: ir.Expr) -> str:
    match expression:
        case ir.Name(id=name) | ir.Attribute(name=name):
            return name
        case ir.Call(function=function):
            return _exception_name(function)
        case _:
            return ANY
