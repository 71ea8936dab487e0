"""What an operation without a bound waits for, and whether somebody may bring it."""

from __future__ import annotations

from leaklint.catalog.grammar import Does, Kind, Waits
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.values import Container

_BRINGS = frozenset({Does.SIGNAL, Does.CANCEL, Does.CLOSE, Does.REGISTER})


class Waking:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._channels = {obj: channel for channel in graph.channels for obj in channel.objects}

    def channel(self, obj: int) -> Channel | None:
        return self._channels.get(obj)

    def may_come(self, action: Action) -> bool:
        """Whether somebody in sight does what ends the wait, or somebody out of sight may. Of several things one is enough: which of
        them the wait really needs is not known."""
        if not action.subjects or any(self.opened(o) is not None for o in action.subjects):
            return True
        return any(self._of(action, obj) for obj in action.subjects if not isinstance(self.graph.program.value(obj), Container))

    def may_wait(self, action: Action) -> bool:
        """Whether the operation waits at all: a send to a channel without a bound does not."""
        channels = [channel for o in action.subjects if (channel := self.channel(o)) is not None]
        return action.waits is not Waits.WHILE_FULL or not channels or any(channel.bounded for channel in channels)

    def _of(self, action: Action, obj: int) -> bool:
        program = self.graph.program
        channel = self.channel(obj)
        match action.waits:
            case Waits.WHILE_EMPTY if channel is not None:
                return bool(channel.sends or channel.closes)
            case Waits.WHILE_FULL if channel is not None:
                return bool(channel.receives or channel.closes or not channel.bounded)
            case Waits.UNTIL_SET | Waits.UNTIL_NOTIFIED | Waits.UNTIL_FIRST | Waits.UNTIL_DONE:
                if program.kind(obj) not in (Kind.EVENT, Kind.CONDITION, Kind.FUTURE) or obj in program.handles:
                    return True  # the unit that a future stands for ends it
                return any(a.does in _BRINGS and a.function in program.live for a in program.on(obj))
            case _:
                return True

    def opened(self, obj: int) -> str | None:
        """Why code out of sight may use the object, or the other end of its channel."""
        channel = self.channel(obj)
        return channel.open if channel is not None else self.graph.program.opened(obj)
