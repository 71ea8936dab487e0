"""What the explorer makes of a suspicion: a wait that is proven never to end, one that may not, or one that always does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cached_property

from msgspec import structs

from leaklint.explore.automata import Built, build
from leaklint.explore.points import Unsupported
from leaklint.explore.scope import Scope, Scopes
from leaklint.explore.search import Result, Stuck, Verdict, explore
from leaklint.explore.witness import told
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.ir import Span
from leaklint.link.actions import Action
from leaklint.link.values import Site


class Finding(Enum):
    PROVEN = auto()  # there is a schedule, and nothing in it had to be guessed
    LIKELY = auto()  # there is one, with a guess
    REFUTED = auto()  # every schedule was seen, guesses included
    UNDECIDED = auto()


@dataclass(frozen=True, slots=True)
class Judgement:
    """`reason`: why nothing could be decided. `states` counts what was explored."""

    finding: Finding
    reason: str = ""
    states: int = 0
    result: Result | None = None
    built: Built | None = None


class Explorer:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._scopes = Scopes(graph)
        self._built: dict[tuple[frozenset[int], bool], Built | str] = {}

    def of(self, action: Action) -> Judgement:
        """Whether whoever waits in the operation may wait for ever. Where values make it too much, the tests of them are guesses."""
        try:
            scope = self._scopes.around(self._group(action))
        except Unsupported as unsupported:
            return Judgement(Finding.UNDECIDED, str(unsupported))
        exact = self._judged(scope, action, with_values=True)
        return exact if exact.finding is not Finding.UNDECIDED else self._judged(scope, action, with_values=False)

    def _judged(self, scope: Scope, action: Action, *, with_values: bool) -> Judgement:
        built = self._build(scope, with_values)
        if isinstance(built, str):
            return Judgement(Finding.UNDECIDED, built)
        wanted = _places_of(built, action.site)
        if not wanted:
            return Judgement(Finding.UNDECIDED, "nobody in sight comes to it")
        cautious = explore(replace(built.system, is_bold=False), wanted)
        if cautious.verdict is Verdict.STUCK:
            return Judgement(Finding.PROVEN, "", cautious.states, cautious, built)
        bold = explore(built.system, wanted)
        states = cautious.states + bold.states
        match bold.verdict:
            case Verdict.STUCK:
                return Judgement(Finding.LIKELY, "", states, bold, built)
            case Verdict.NEVER:
                return Judgement(Finding.REFUTED, "", states, bold, built)
            case Verdict.UNDECIDED:
                return Judgement(Finding.UNDECIDED, "too many states", states)

    def judged(self, leak: Leak) -> Leak | None:
        """The leak as the explorer leaves it: proven, with the schedule; gone, when every schedule ends well; or as it was."""
        actions = [action for step in leak.blocked for action in self._at.get((step.path, step.at), ())]
        judgements = [self.of(action) for action in actions]
        if proof := next((j for j in judgements if j.finding is Finding.PROVEN), None):
            assert proof.built is not None
            assert proof.result is not None
            return structs.replace(leak, confidence=Confidence.PROVEN, witness=told(self.graph, proof.built, proof.result))
        if judgements and all(j.finding is Finding.REFUTED for j in judgements):
            return None
        return leak

    @cached_property
    def _at(self) -> dict[tuple[str, Span], list[Action]]:
        """Path and place → the operations there that may wait for ever."""
        program = self.graph.program
        found: dict[tuple[str, Span], list[Action]] = {}
        for action in program.actions:
            if action.function in program.live and not action.deferred and program.blocks(action):
                found.setdefault((program.path(action.function.module), action.at), []).append(action)
        return found

    def _build(self, scope: Scope, with_values: bool) -> Built | str:
        key = scope.resources[0], with_values
        if key not in self._built:
            try:
                self._built[key] = build(self.graph, scope, with_values)
            except Unsupported as unsupported:
                self._built[key] = str(unsupported)
        return self._built[key]

    def _group(self, action: Action) -> frozenset[int]:
        """The objects that are one resource with what the operation acts on."""
        found = set(action.subjects)
        for obj in action.subjects:
            found |= self._channel_of.get(obj, frozenset())
        return frozenset(found)

    @cached_property
    def _channel_of(self) -> dict[int, frozenset[int]]:
        return {obj: channel.objects for channel in self.graph.channels for obj in channel.objects}


def _places_of(built: Built, site: Site) -> frozenset[Stuck]:
    """Where the automata do the operation; those of daemons, which wait for as long as the process runs, left out."""
    return frozenset(
        Stuck(number, at)
        for number, unit in enumerate(built.system.units)
        if number not in built.daemons
        for at, point in enumerate(unit.points)
        if point.label in built.steps and built.steps[point.label].action.site == site
    )
