"""What the explorer makes of a suspicion: a wait that is proven never to end, one that may not, or one that always does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cached_property

from msgspec import structs

from leaklint.explore.automata import Built, build
from leaklint.explore.points import Unsupported
from leaklint.explore.scope import Scope, Scopes
from leaklint.explore.search import MOST_STATES, Result, Stuck, Verdict, explore
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
    """Answers for one program. `most`: the states explored for one wait, once with guesses and once without."""

    def __init__(self, graph: Graph, most: int = MOST_STATES) -> None:
        self.graph, self.most = graph, most
        self._scopes = Scopes(graph)
        self._judgements: dict[tuple[frozenset[int], Site], Judgement] = {}
        self._around: dict[frozenset[int], Scope | str] = {}
        self._built: dict[tuple[frozenset[int], bool], Built | str] = {}

    def of(self, action: Action) -> Judgement:
        """Whether whoever waits in the operation may wait for ever. Where values make it too much, the tests of them are guesses."""
        objects = self._group(action)
        key = objects, action.site
        if key not in self._judgements:
            self._judgements[key] = self._of(objects, action)
        return self._judgements[key]

    def _of(self, objects: frozenset[int], action: Action) -> Judgement:
        exact = self._judged(objects, action, with_values=True)
        if exact.finding is not Finding.UNDECIDED or isinstance(self._scope(objects), str):
            return exact
        return self._judged(objects, action, with_values=False)

    def _judged(self, objects: frozenset[int], action: Action, *, with_values: bool) -> Judgement:
        built = self._build(objects, with_values)
        if isinstance(built, str):
            return Judgement(Finding.UNDECIDED, built)
        wanted = _places_of(built, action.site)
        if not wanted:
            return Judgement(Finding.UNDECIDED, "nobody in sight comes to it")
        cautious = explore(replace(built.system, is_bold=False), wanted, self.most)
        if cautious.verdict is Verdict.STUCK:
            return Judgement(Finding.PROVEN, "", cautious.states, cautious, built)
        if cautious.verdict is Verdict.UNDECIDED:  # there are only more with guesses
            return Judgement(Finding.UNDECIDED, "too many states", cautious.states)
        bold = explore(built.system, wanted, self.most)
        states = cautious.states + bold.states
        match bold.verdict:
            case Verdict.STUCK:
                return Judgement(Finding.LIKELY, "", states, bold, built)
            case Verdict.NEVER if not self._is_whole(objects, built):
                return Judgement(Finding.UNDECIDED, "it also waits for something out of sight", states)
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

    def _build(self, objects: frozenset[int], with_values: bool) -> Built | str:
        key = objects, with_values
        if key not in self._built:
            scope = self._scope(objects)
            try:
                self._built[key] = scope if isinstance(scope, str) else build(self.graph, scope, with_values)
            except Unsupported as unsupported:
                self._built[key] = str(unsupported)
        return self._built[key]

    def _scope(self, objects: frozenset[int]) -> Scope | str:
        if objects not in self._around:
            try:
                self._around[objects] = self._scopes.around(objects)
            except Unsupported as unsupported:
                self._around[objects] = str(unsupported)
        return self._around[objects]

    def _is_whole(self, objects: frozenset[int], built: Built) -> bool:
        """Whether the units that the objects stand for wait for nothing but what is in their scope."""
        program = self.graph.program
        entries = [e for u in program.units if u.handle & objects or any(s.subject in objects for s in u.spawns) for e in u.entries]
        known = {step.action.site for step in built.steps.values()}
        return all(a.site in known for f in program.reached(entries) for a in program.actions_in(f) if program.blocks(a) and not a.deferred)

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
