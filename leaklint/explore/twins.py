"""States that differ only in which of several interchangeable units is where are one state."""

from __future__ import annotations

from itertools import pairwise

from leaklint.explore.state import ChannelState, EventState, LockState, ResourceState, State, Status
from leaklint.explore.system import System


def canonical(system: System, state: State) -> State:
    """The one that stands for all that a renaming of twins makes of the state."""
    renamed = list(range(len(system.units)))
    lines: dict[int, tuple[tuple[int, int, int], ...]] | None = None
    for group in system.twins:
        units = [state.units[number] for number in group]
        if all(one < other or (one == other and one.status < Status.WAITING) for one, other in pairwise(units)):
            continue
        lines = _places_in_line(state) if lines is None else lines
        ordered = sorted((state.units[n], lines.get(n, ()), state.running.count(n), n) for n in group)
        for place, (*_, number) in zip(group, ordered, strict=True):
            renamed[number] = place
    if all(place == number for number, place in enumerate(renamed)):
        return state
    units = [state.units[0]] * len(renamed)
    for number, place in enumerate(renamed):
        units[place] = state.units[number]
    running = tuple(renamed[n] if n >= 0 else n for n in state.running)
    return State(tuple(units), tuple(_renamed(resource, renamed) for resource in state.resources), running)


def _places_in_line(state: State) -> dict[int, tuple[tuple[int, int, int], ...]]:
    """Where each unit stands in the lines of those who wait, and which locks it owns."""
    found: dict[int, tuple[tuple[int, int, int], ...]] = {}
    for number, resource in enumerate(state.resources):
        match resource:
            case ChannelState():
                lines = (resource.getters, resource.putters, resource.joiners)
            case LockState():
                lines = (resource.waiters, (resource.owner,), ())
            case EventState():
                lines = (resource.waiters, (), ())
            case _:
                continue
        for which, line in enumerate(lines):
            for place, unit in enumerate(line):
                found[unit] = (*found.get(unit, ()), (number, which, place))
    return found


def _renamed(resource: ResourceState, names: list[int]) -> ResourceState:
    def line(units: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(names[unit] for unit in units)

    match resource:
        case ChannelState():
            return resource._replace(getters=line(resource.getters), putters=line(resource.putters), joiners=line(resource.joiners))
        case LockState(owner=owner):
            return resource._replace(owner=names[owner] if owner >= 0 else owner, waiters=line(resource.waiters))
        case EventState():
            return resource._replace(waiters=line(resource.waiters))
        case _:
            return resource
