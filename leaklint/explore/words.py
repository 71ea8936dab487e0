"""What acts and waits are called."""

from __future__ import annotations

from leaklint.explore.reading import NONE
from leaklint.explore.state import Alarm, ChannelState, State, Status
from leaklint.explore.steps import Move
from leaklint.explore.system import CANCELLED, FAILED, RETURNED, Act, Op, Outcome

_DONE = {
    Act.SEND: "puts {thing} into {on}",
    Act.TRY_SEND: "puts {thing} into {on}",
    Act.RECEIVE: "takes {thing} from {on}",
    Act.TRY_RECEIVE: "takes {thing} from {on}",
    Act.CLOSE: "closes {on}",
    Act.TASK_DONE: "reports one done to {on}",
    Act.DRAINED: "finds nothing left to do in {on}",
    Act.ACQUIRE: "takes {on}",
    Act.TRY_ACQUIRE: "takes {on}",
    Act.RELEASE: "gives {on} back",
    Act.SET: "sets {on}",
    Act.CLEAR: "clears {on}",
    Act.WAIT: "goes on from {on}",
    Act.LISTEN: "is notified by {on}",
    Act.NOTIFY: "notifies {on}",
    Act.SPAWN: "starts {on}",
    Act.CANCEL: "cancels {on}",
    Act.JOIN: "sees the end of {on}",
    Act.GATHER: "sees the end of {on}",
    Act.ALL: "sees the end of {on}",
    Act.GROUP: "sees the end of {on}",
    Act.ANY: "sees the first end of {on}",
}
_FOR = {
    Act.SEND: "for room in {on}",
    Act.RECEIVE: "for something in {on}",
    Act.DRAINED: "until all of {on} is done",
    Act.ACQUIRE: "for {on}",
    Act.WAIT: "for {on}",
    Act.LISTEN: "for a notification of {on}",
    Act.JOIN: "for the end of {on}",
    Act.GATHER: "for the end of {on}",
    Act.ALL: "for the end of {on}",
    Act.GROUP: "for the end of {on}",
    Act.ANY: "for the first end of {on}",
}
_ROUGH = {**dict.fromkeys((Act.SEND, Act.TRY_SEND), "fills {on}"), **dict.fromkeys((Act.RECEIVE, Act.TRY_RECEIVE), "empties {on}")}
"""Where one element stands for as many as there is room for."""
_METHODS = {
    **dict.fromkeys(("__enter__", "__aenter__", "__exit__", "__aexit__"), "with"),
    **dict.fromkeys(("__iter__", "__aiter__"), "for"),
    "__await__": "await",
}
_REFUSED = {
    Act.SEND: "finds {on} closed",
    Act.RECEIVE: "finds {on} closed and empty",
    Act.TRY_ACQUIRE: "finds {on} taken",
    Act.RELEASE: "gives {on} back, which was free",
    Act.TASK_DONE: "reports one more done to {on} than it took",
}
_TRIED = {Act.TRY_SEND: "finds no room in {on}", Act.TRY_RECEIVE: "finds nothing in {on}"}
_ENDS = {RETURNED: "returns", FAILED: "ends with an exception", CANCELLED: "ends: it is cancelled"}
_ENDED = {RETURNED: "returned", FAILED: "failed", CANCELLED: "been cancelled"}
_WHO = {
    Act.SEND: "takes from it",
    Act.RECEIVE: "puts into it or closes it",
    Act.DRAINED: "reports what is done",
    Act.ACQUIRE: "gives it back",
    Act.WAIT: "sets it",
    Act.LISTEN: "notifies it",
}


def done(before: State, move: Move, op: Op, on: str, is_rough: bool, hands_over: bool) -> str | None:
    """What a unit does in a move, after its name; None: nothing that is worth a word. `hands_over`: the channel has no buffer."""
    match move.outcome:
        case None:
            is_new = before.units[move.unit].status is not Status.WAITING
            return f"waits {waits}" if is_new and (waits := waited(op, on, hands_over)) else None
        case Outcome.DONE:
            thing = _thing(move, op)
            words = (_ROUGH.get(op.act) if is_rough else None) or _DONE.get(op.act)
            return words.format(on=on, thing=thing) if words else None
        case Outcome.REFUSED:
            return _refused(before, op, on)
        case Outcome.TIMED_OUT:
            return "gives up: its time is over"
        case Outcome.CANCELLED:
            is_first = before.units[move.unit].status is Status.NEW
            return "is cancelled before it begins" if is_first else "is cancelled there"
        case Outcome.FAILED:
            return f"learns that {on} has failed"


def _thing(move: Move, op: Op) -> str:
    is_none = op.value == NONE if op.act in (Act.SEND, Act.TRY_SEND) else move.state.units[move.unit].received == NONE
    return "`None`" if is_none else "something"


def _refused(before: State, op: Op, on: str) -> str | None:
    channel = before.resources[op.on] if op.on >= 0 else None
    is_closed = isinstance(channel, ChannelState) and channel.is_closed
    words = (_REFUSED.get(Act.RECEIVE if op.act is Act.TRY_RECEIVE else Act.SEND) if is_closed else _TRIED.get(op.act)) or _REFUSED.get(
        op.act
    )
    return words.format(on=on) if words else None


def waited(op: Op, on: str, hands_over: bool) -> str | None:
    """What a wait is for."""
    if op.act is Act.SEND and hands_over:
        return f"for somebody to take from {on}"
    return words.format(on=on) if (words := _FOR.get(op.act)) else None


def method(name: str) -> str:
    """What stands in the source for a method that Python calls."""
    return _METHODS.get(name, name)


def ends(at: int) -> str:
    return _ENDS[at]


def became(state: State, unit: int, is_stuck: bool) -> tuple[str, str]:
    """What has become of a unit at the end of a schedule, for one and for several."""
    it = state.units[unit]
    if it.at < 0:
        return f"has {_ENDED[it.at]}", f"have {_ENDED[it.at]}"
    if it.status is Status.IDLE:
        return "never starts", "never start"
    if it.alarm is Alarm.CANCEL:
        return "is cancelled", "are cancelled"
    return ("waits for ever too", "wait for ever too") if is_stuck else ("comes to that no more", "come to that no more")


def who(op: Op) -> str | None:
    """Who ends a wait: the words after "who"."""
    return _WHO.get(op.act)
