"""All that the automata of one scope share."""

from __future__ import annotations

from dataclasses import dataclass, field

from leaklint.explore.copies import Copies
from leaklint.explore.reading import Codes, Reading
from leaklint.explore.resources import Resources
from leaklint.explore.scope import Scope
from leaklint.explore.turns import Turns
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.values import FunctionId


@dataclass(frozen=True, slots=True)
class Step:
    """What a point of an automaton stands for in the program."""

    function: FunctionId
    action: Action


@dataclass(eq=False)
class Setting:
    """`has_values`: flags and counts are followed. `steps`: label of a point → its operation. `followed`: function that an
    automaton runs → those that run as part of it there."""

    graph: Graph
    scope: Scope
    resources: Resources
    turns: Turns
    copies: Copies
    has_values: bool
    codes: Codes = field(default_factory=Codes)
    steps: dict[str, Step] = field(default_factory=dict)
    followed: dict[FunctionId, set[FunctionId]] = field(default_factory=dict)
    _readings: dict[FunctionId, Reading] = field(default_factory=dict)

    def reading(self, function: FunctionId) -> Reading:
        found = self._readings.get(function)
        if found is None:
            found = self._readings[function] = Reading(self.graph, self.resources, self.codes, function)
        return found

    def told(self, function: FunctionId, action: Action) -> str:
        """The label of a point that does the operation."""
        label = f"{action.function.module}:{action.site.number}:{action.function.context}:{action.name}"
        self.steps[label] = Step(function, action)
        return label


def setting(graph: Graph, scope: Scope, has_values: bool) -> Setting:
    turns = Turns(graph, scope)
    return Setting(graph, scope, Resources(graph, scope), turns, Copies(graph, scope, turns), has_values)
