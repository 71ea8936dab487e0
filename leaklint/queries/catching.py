"""Whether an exception of a call goes further than what stands around the call."""

from __future__ import annotations

from leaklint import ir
from leaklint.graph import Graph
from leaklint.link.values import FunctionId
from leaklint.paths import semantics


def is_caught(graph: Graph, function: FunctionId, call: ir.Call, name: str) -> bool:
    """Whether a handler or a block around the call stops the exception."""
    place = graph.program.place(function, call.site)
    swallowed = semantics(graph.program, function).swallowed
    for one in place.around if place is not None else ():
        match one.stmt:
            case ir.Try(handlers=handlers) if one.block == "body":
                if any(graph.program.raising.catches(function.module, handler, name) for handler in handlers):
                    return True
            case ir.With(items=items) if any(swallowed(item) for item in items):
                return True
            case _:
                pass
    return False
