"""The queries: what a card can select. Each is a pure function over the graph; `QUERIES` is keyed by the names that cards use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from leaklint.finding import Leak
from leaklint.graph import Graph
from leaklint.queries.backlog import backlog
from leaklint.queries.cached import cached_for_ever
from leaklint.queries.closing import closed_by_receiver
from leaklint.queries.copied import copied
from leaklint.queries.counting import miscounted
from leaklint.queries.deferred import deferred
from leaklint.queries.dropped import dropped
from leaklint.queries.endless import endless_receiver
from leaklint.queries.forgotten import PARTIAL_FACTS
from leaklint.queries.half_read import half_read
from leaklint.queries.idle import kept_while_idle
from leaklint.queries.leaving import FACTS
from leaklint.queries.lost import lost
from leaklint.queries.must_release import Options as Owed
from leaklint.queries.must_release import must_release, partial_teardown
from leaklint.queries.never_set import never_set
from leaklint.queries.ordered import ordered_differently
from leaklint.queries.outlived import outlived
from leaklint.queries.pending import left_pending
from leaklint.queries.query import NoOptions, Query
from leaklint.queries.registered import registered
from leaklint.queries.self_wait import self_wait
from leaklint.queries.severed import severed
from leaklint.queries.siblings import sibling_left
from leaklint.queries.swallowed import swallowed
from leaklint.queries.timers import rearming_timer, unstopped_timer
from leaklint.queries.turns import timer_in_turns
from leaklint.queries.twice import taken_twice
from leaklint.queries.uncreated import uncreated
from leaklint.queries.undrained import undrained
from leaklint.queries.unlimited import unlimited
from leaklint.queries.unmatched import Options as Side
from leaklint.queries.unmatched import unmatched
from leaklint.queries.unreleased import unreleased
from leaklint.queries.unwoken import unwoken
from leaklint.queries.withheld import withheld


def _query(run: Callable[[Graph, Any], Iterator[Leak]], facts: str, options: type[Struct] = NoOptions, **variants: str) -> Query:
    return Query(run, options, {name: frozenset(words.split()) for name, words in {"default": facts, **variants}.items()})


QUERIES: dict[str, Query] = {
    "unmatched": _query(
        unmatched,
        "unit operation channel growth",
        Side,
        stop="unit operation channel reader growth",
        block="unit operation channel reader growth",
        fails="unit operation channel sender growth",
    ),
    "outlived": _query(outlived, "channel producer growth", caller="channel producer growth", buffer="channel producer growth"),
    "closed-by-receiver": _query(closed_by_receiver, "consumer producer channel growth"),
    "miscounted": _query(
        miscounted,
        "channel capacity producer operation growth",
        starved="channel consumer operation growth",
        ends="channel consumer operation growth",
    ),
    "undrained": _query(
        undrained,
        "channel operation function growth",
        never="channel operation function growth",
        raises="channel operation function growth",
        sentinel="channel operation function growth",
    ),
    "uncreated": _query(uncreated, "channel unit function growth", late="channel unit function growth"),
    "severed": _query(
        severed,
        "channel closer producer growth",
        sibling="channel closer producer growth",
        block="channel closer producer growth",
        itself="channel closer producer growth",
    ),
    "backlog": _query(backlog, "channel consumer producer error growth"),
    "registered": _query(
        registered,
        "table function growth",
        timeout="table function growth",
        never="table function growth",
        hook="table object function growth",
        listener="table object function growth",
        late="table object function growth",
    ),
    "dropped": _query(dropped, "callee growth", shielded="callee growth"),
    "unwoken": _query(unwoken, "unit operation object growth", retry="unit operation object growth"),
    "left-pending": _query(left_pending, "operation unit growth", late="operation unit growth", cancelled="operation unit growth"),
    "endless-receiver": _query(endless_receiver, "unit channel growth"),
    "unstopped-timer": _query(
        unstopped_timer,
        "callee object growth",
        forgotten="callee object growth",
        overwritten="callee object growth",
        resolved="callee object growth",
    ),
    "timer-in-turns": _query(timer_in_turns, "callee object growth"),
    "unlimited": _query(unlimited, "unit kind operation growth"),
    "sibling-left": _query(sibling_left, "operation unit growth"),
    "rearming-timer": _query(rearming_timer, "callee growth"),
    "half-read": _query(half_read, "generator holds growth"),
    "swallowed": _query(swallowed, "function loop growth", caller="function loop growth"),
    "never-set": _query(
        never_set,
        "object function unit growth",
        taken="object function unit growth",
        lost="object function unit growth",
        stranded="object function unit growth",
        impatient="object function unit growth",
        stopped="object function unit growth",
    ),
    "self-wait": _query(
        self_wait,
        "unit object growth",
        end="unit object growth",
        pool="unit object growth",
        loop="unit object growth",
        nested="unit object growth",
    ),
    "unreleased": _query(unreleased, "object function growth", job="object function growth", unchecked="object function growth"),
    "lost": _query(
        lost, "object function growth", stale="object function growth", erased="object function growth", unpassed="object function growth"
    ),
    "withheld": _query(
        withheld,
        "operation object lock waker growth",
        unit="operation object lock waker growth",
        sometimes="operation object lock waker growth",
        suspended="lock waker",
    ),
    "must-release": _query(
        must_release, FACTS, Owed, nowhere=FACTS, way=FACTS, lost=FACTS, cancelled=FACTS, owner=FACTS, endless=FACTS, restarted=FACTS
    ),
    "partial-teardown": _query(partial_teardown, PARTIAL_FACTS),
    "taken-twice": _query(
        taken_twice,
        "object function growth",
        shared="object function growth",
        collected="object entry function growth",
        signal="object entry function growth",
    ),
    "ordered-differently": _query(
        ordered_differently, "object other function elsewhere growth", ring="object other function elsewhere growth"
    ),
    "cached-for-ever": _query(cached_for_ever, "function object growth"),
    "deferred": _query(deferred, "operation object loop growth", call="operation object resource growth"),
    "kept-while-idle": _query(kept_while_idle, "function object growth"),
    "copied": _query(
        copied,
        "operation object size count growth",
        rest="operation object loop growth",
        buffer="operation object loop growth",
        putback="operation object growth",
    ),
}

__all__ = ["QUERIES", "NoOptions", "Query"]
