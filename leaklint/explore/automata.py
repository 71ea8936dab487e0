"""From functions to automata: what the units of a scope do to its resources, everything else left out.

Calls of functions that matter are inlined. A test of what was received, of an event or of a channel's length is a test; a test of data is a
free choice; a test of anything that the program itself changes, and an exception that a call may raise, is a guess, which only a bold
exploration follows. A loop over a known number of elements turns as often, one over data as often as `turns.SOME`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from leaklint.catalog.grammar import Does, UnitKind
from leaklint.explore.frame import Frame
from leaklint.explore.points import Points, Unsupported
from leaklint.explore.scope import Scope
from leaklint.explore.setting import Setting, Step, setting
from leaklint.explore.system import CANCELLED, FAILED, RETURNED, Act, Op, Outcome, Point, System, Unit
from leaklint.graph import Graph
from leaklint.link.units import Unit as Started
from leaklint.link.values import FunctionId

_UNITS = frozenset({UnitKind.TASK, UnitKind.THREAD, UnitKind.PROCESS, UnitKind.JOB})
_EFFECTS = frozenset(
    {Does.SEND, Does.RECEIVE, Does.CLOSE, Does.DRAIN, Does.ACQUIRE, Does.RELEASE, Does.WAIT, Does.SIGNAL, Does.CLEAR, Does.CANCEL}
)


@dataclass(eq=False)
class Built:
    """`scope`: what it was built from; its root is the first unit of the system, `twin` numbers its units. `steps`: label of a point → its
    operation. `daemons`: the units that the process does not wait for."""

    scope: Scope
    system: System
    steps: dict[str, Step]
    daemons: frozenset[int]


def build(graph: Graph, scope: Scope, with_values: bool = True) -> Built:
    """The system of a scope; without values, tests of flags and counts are guesses. Raises Unsupported."""
    here = setting(graph, scope if with_values else replace(scope, variables=()), with_values)
    copies = here.copies
    root = Unit(graph.qualname(scope.root) or "the module", _automaton(here, scope.root, False), copies.loop(None), True)
    units = [root, *(one for number, unit in enumerate(scope.units) for one in _instances(here, unit, number))]
    _check(here)
    system = System(tuple(units), here.resources.all(), here.resources.names, here.resources.blocking(), groups=tuple(copies.groups()))
    return Built(scope, system, here.steps, frozenset(copies.of_all([unit for unit in scope.units if unit.daemon])))


def _instances(here: Setting, unit: Started, number: int) -> list[Unit]:
    if unit.kind not in _UNITS:
        raise Unsupported(f"a {unit.kind.value}")
    if len(unit.entries) != 1:
        raise Unsupported("a unit that starts in one of several functions")
    in_data = any(here.turns.is_in_data_loop(s.record.function, s.record.site.number) for s in here.copies.starts(unit))
    points = _automaton(here, unit.entries[0], in_data)
    return [Unit(unit.name, points, here.copies.loop(unit), False, number) for _ in here.copies.of[unit]]


def _automaton(here: Setting, entry: FunctionId, in_data: bool) -> tuple[Point, ...]:
    points = Points()
    ends = {end: _end(here, points, entry, end) for end in (RETURNED, FAILED, CANCELLED)}
    frame = Frame(here, points, entry, ends[RETURNED], lambda name: (ends[FAILED],), ends[CANCELLED], (), in_data)
    return points.automaton(frame.start())


def _end(here: Setting, points: Points, entry: FunctionId, end: int) -> int:
    """The end of a main coroutine cancels the tasks that are left; that of one turn of it does not."""
    if not here.copies.tasks or here.scope.turn is not None or entry != here.scope.root or not here.graph.ends_with_main(entry):
        return end
    return points.add(Op(Act.CANCEL, units=here.copies.tasks), {Outcome.DONE: (end,)})


def _check(here: Setting) -> None:
    """Whatever anybody does to the resources stands in an automaton, whatever runs it is followed, and what is counted is not scaled.
    Raises Unsupported."""
    if here.turns.is_scaled and here.turns.is_counted:
        raise Unsupported("a count of what is done as often as there is data")
    program = here.graph.program
    if any(program.calls.get(one, frozenset()) & here.scope.touching - callees for one, callees in here.followed.items()):
        raise Unsupported("a function that runs in a way that is not followed")
    done = {step.action.site for step in here.steps.values()}
    for action in (a for obj in here.resources.number_of for a in program.on(obj)):
        if action.does in _EFFECTS and action.function in program.live and action.site not in done:
            raise Unsupported("an operation that nobody in sight comes to")
