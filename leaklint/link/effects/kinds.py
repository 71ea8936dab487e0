"""The effects there are, and which of them an operation of a library has."""

from __future__ import annotations

from enum import StrEnum

from leaklint.catalog.grammar import Does, Operation, UnitKind, Waits


class Effect(StrEnum):
    """What a function may do to an object that it is given or makes."""

    CANCELS = "cancels"
    AWAITS = "awaits"  # awaits it, or hands it to something that a coroutine awaits (`gather`, `wait`)
    JOINS = "joins"  # blocks the thread until it ends
    CLOSES = "closes"
    RELEASES = "releases"
    ACQUIRES = "acquires"  # also enters it, with its own RELEASES
    SENDS_TO = "sends to"
    RECEIVES_FROM = "receives from"
    SIGNALS = "signals"
    CALLS = "calls"  # calls it, or lets a library call it
    STARTS = "starts"  # a thread, a timer; a coroutine or function that becomes a unit
    KEEPS = "keeps"  # an attribute, a global, a container, a closure or a library holds it when the call is over
    RETURNS = "returns"  # the result is it or holds it, or it is yielded
    ESCAPES = "escapes"  # it goes where nobody sees what is done to it


Mask = int
"""A set of effects, a bit for each in the order of `Effect`."""

_ORDER = tuple(Effect)


def mask(*effects: Effect) -> Mask:
    return sum(1 << _ORDER.index(effect) for effect in effects)


def effects_of(bits: Mask) -> frozenset[Effect]:
    return frozenset(effect for position, effect in enumerate(_ORDER) if bits >> position & 1)


CANCELS, AWAITS, JOINS, CLOSES, RELEASES, ACQUIRES, SENDS_TO, RECEIVES_FROM, SIGNALS, CALLS, STARTS, KEEPS, RETURNS, ESCAPES = map(
    mask, Effect
)

GIVES_BACK = 1 << len(_ORDER)
"""Within the web: the result is the thing itself or has it for an element, and does not just hold it somewhere inside."""

BACK = RETURNS | GIVES_BACK

ALL = mask(*Effect) | GIVES_BACK
"""What is done to a name is done to what the name stands for, or to its elements."""

HELD = KEEPS | RETURNS | ESCAPES
"""What is done to a holder (a closure, a coroutine, an instance) that counts for what it holds."""

_PLAIN = {
    Does.SEND: SENDS_TO,
    Does.RECEIVE: RECEIVES_FROM,
    Does.CLOSE: CLOSES,
    Does.CANCEL: CANCELS,
    Does.ACQUIRE: ACQUIRES,
    Does.RELEASE: RELEASES,
    Does.SIGNAL: SIGNALS,
    Does.BOUND: AWAITS,
    Does.SHIELD: AWAITS,
    Does.ENTER: ACQUIRES | RELEASES | KEEPS,
}


def on_subject(operation: Operation) -> Mask:
    """What an operation does to its subject. To wait for the world outside (a socket, the clock) is nothing that the subject feels."""
    match operation.does:
        case Does.WAIT | Does.JOIN if operation.waits is Waits.UNTIL_READY:
            return 0
        case Does.WAIT | Does.JOIN:
            return AWAITS if operation.is_async or operation.kind is UnitKind.TASK else JOINS
        case Does.SPAWN | Does.ARM if operation.runs is None:
            return STARTS
        case does:
            return _PLAIN.get(does, 0)


def on_run(operation: Operation) -> Mask:
    """What it does to the function or coroutine that it is given to run."""
    match operation.does:
        case Does.BIND | Does.MAKE:
            return 0  # not before what it gives is called or started
        case Does.SPAWN:
            return CALLS | STARTS | on_passed(operation)
        case _:
            return CALLS | on_passed(operation)


def on_passed(operation: Operation) -> Mask:
    """What it does to the arguments that it will hand to what it runs."""
    keeps = operation.keeps or operation.does in (Does.SUBMIT, Does.REGISTER, Does.ARM)
    return KEEPS if keeps else 0
