"""What statements bind the results of calls to, and parameters the arguments."""

from __future__ import annotations

from leaklint import ir
from leaklint.link.decorators import Binding, binding
from leaklint.link.syntax import expressions, subexpressions


def targets_of(stmt: ir.Stmt, call: ir.Call, awaited: bool) -> tuple[tuple[ir.Expr, ...], tuple[ir.Expr, bool] | None]:
    """What a statement binds the result of a call to, and the condition under which it does (see `Acquired`)."""
    match stmt:
        case ir.Bind(targets=targets, value=ir.Operation(operator="or", operands=(given, last))) if is_whole(last, call, awaited):
            return targets, (given, False)
        case ir.Bind(targets=targets, value=ir.Choice(test=test, then=then)) if is_whole(then, call, awaited):
            return targets, (test, True)
        case ir.Bind(targets=targets, value=ir.Choice(test=test, otherwise=otherwise)) if is_whole(otherwise, call, awaited):
            return targets, (test, False)
        case ir.Bind(targets=targets, value=value) if is_whole(value, call, awaited) and not isinstance(value, ir.Display | ir.Operation):
            return targets, None
        case _:
            inner = (one for expression in expressions(stmt) for one in subexpressions(expression))
            return tuple(one.target for one in inner if isinstance(one, ir.Walrus) and is_whole(one.value, call, awaited)), None


def are_names(targets: tuple[ir.Expr, ...]) -> bool:
    flat = [one for target in targets for one in (target.items if isinstance(target, ir.Display) else (target,))]
    return all(isinstance(one, ir.Name) for one in flat)


def is_whole(value: ir.Expr | None, call: ir.Call | None, awaited: bool) -> bool:
    """Whether an expression is the result of the call (awaited: what awaiting it gives), or a tuple with it."""
    match value:
        case ir.Await(value=inner):
            return awaited and inner is call
        case ir.Display(kind="tuple", items=items):
            return any(is_whole(item, call, awaited) for item in items)
        case ir.Operation(operator="or", operands=operands):
            return is_whole(operands[-1], call, awaited)
        case None:
            return False
        case _:
            return not awaited and value is call


def parameter_of(node: ir.Function, call: ir.Call, argument: ir.Argument) -> str | None:
    """The parameter of a function, or of a method on its object, that an argument lands in; None where stars hide it."""
    if argument.keyword is not None:
        return argument.keyword if any(p.name == argument.keyword for p in node.parameters) else None
    if argument.star or any(a.star for a in call.arguments):
        return None
    position = [a for a in call.arguments if a.keyword is None].index(argument)
    bound = 0 if node.owner is None or binding(node) is Binding.STATIC else 1
    positional = [p.name for p in node.parameters if p.kind in ("positional", "any")][bound:]
    return positional[position] if position < len(positional) else None
