"""Where the nodes of a parsed module stand in its text, from one lean code-generation pass.

The parser keeps no positions. Its own position provider costs three times the parse, because it writes a range for every
node, whitespace included. This pass collects the tokens only, remembers between which tokens the nodes that need a span
stand, and turns token numbers into lines and columns when asked.
"""

from __future__ import annotations

from bisect import bisect_right
from contextlib import AbstractContextManager, nullcontext
from itertools import accumulate
from types import TracebackType

import libcst as cst
from libcst._nodes.internal import CodegenState

from leaklint.ir import Span


class Positions:
    """The spans of statements, calls, awaits, yields, comprehensions, lambdas, `with` contexts and all that holds a body."""

    __slots__ = ("_extents", "_offsets", "_starts", "_tokens")

    def __init__(self, module: cst.Module, text: str) -> None:
        """`text` is what `module` was parsed from, with `\\n` line ends."""
        pass_ = _Pass(module.default_indent, module.default_newline)
        module._codegen(pass_)
        self._extents = pass_.extents
        self._tokens = pass_.tokens
        self._offsets = list(accumulate(map(len, pass_.tokens), initial=0))
        self._starts = list(accumulate((len(line) + 1 for line in text.split("\n")), initial=0))

    def span(self, node: cst.CSTNode) -> Span:
        """From the first to the last character of `node`, without whitespace and parentheses around it."""
        first, last = self._extents[id(node)]
        return self._between(first, last)

    def bracketed(self, node: cst.CSTNode) -> Span:
        """The same with the innermost parentheses, which belong to a generator expression and to a tuple."""
        first, last = self._extents[id(node)]
        tokens = self._tokens
        first -= 1
        while tokens[first] != "(":
            first -= 1
        while tokens[last] != ")":
            last += 1
        return self._between(first, last + 1)

    def _between(self, first: int, last: int) -> Span:
        start, end = self._offsets[first], self._offsets[last]
        starts = self._starts
        line = bisect_right(starts, start)
        begin = starts[line - 1]
        if end < starts[line]:
            return Span(line, start - begin + 1, line, end - begin + 1)
        end_line = bisect_right(starts, end)
        return Span(line, start - begin + 1, end_line, end - starts[end_line - 1] + 1)


_LOCATED = frozenset({
    cst.Call, cst.Await, cst.Yield, cst.Lambda, cst.ListComp, cst.SetComp, cst.DictComp, cst.GeneratorExp, cst.WithItem,
    cst.Expr, cst.Assign, cst.AnnAssign, cst.AugAssign, cst.Return, cst.Raise, cst.Assert, cst.Del, cst.Break, cst.Continue, cst.Pass,
    cst.Global, cst.Nonlocal, cst.Import, cst.ImportFrom, cst.LazyImport, cst.LazyImportFrom, cst.TypeAlias,
    cst.If, cst.While, cst.For, cst.Try, cst.TryStar, cst.With, cst.Match, cst.MatchCase, cst.FunctionDef, cst.ClassDef,
    cst.ExceptHandler, cst.ExceptStarHandler, cst.Else, cst.Finally,
    cst.SimpleStatementLine, cst.SimpleStatementSuite, cst.IndentedBlock,
})  # fmt: skip


class _Pass(CodegenState):
    """Code generation that keeps `extents`: from id(node) to the numbers of its first token and of the one after its last."""

    def __init__(self, default_indent: str, default_newline: str) -> None:
        super().__init__(default_indent=default_indent, default_newline=default_newline)
        self.extents: dict[int, tuple[int, int]] = {}
        self.wanted: cst.CSTNode | None = None
        self.nothing = nullcontext()
        # These three are called for every token and every node: built-in functions in their place halve the cost of the pass.
        self.add_token = self.tokens.append  # type: ignore[method-assign, assignment]
        self.before_codegen = self.after_codegen = id  # type: ignore[method-assign, assignment]

    def record_syntactic_position(  # type: ignore[override]
        self, node: cst.CSTNode, *, start_node: cst.CSTNode | None = None, end_node: cst.CSTNode | None = None
    ) -> AbstractContextManager[None]:
        if type(node) not in _LOCATED and node is not self.wanted:
            return self.nothing
        if type(node) is cst.WithItem:
            self.wanted = node.item
        elif type(node) is cst.SimpleStatementLine or type(node) is cst.SimpleStatementSuite:
            end_node = None  # a semicolon at the end belongs to the body, as it does for `ast`
        return _Extent(self, node, end_node)


class _Extent(AbstractContextManager[None]):
    __slots__ = ("end_node", "node", "pass_", "start")

    def __init__(self, pass_: _Pass, node: cst.CSTNode, end_node: cst.CSTNode | None) -> None:
        self.pass_ = pass_
        self.node = node
        self.end_node = end_node
        self.start = len(pass_.tokens)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        extents, tokens = self.pass_.extents, self.pass_.tokens
        inner = extents.get(id(self.end_node)) if self.end_node is not None else None
        if inner is not None:
            extents[id(self.node)] = (self.start, inner[1])
        else:
            last = len(tokens)
            while not tokens[last - 1].strip():
                last -= 1
            extents[id(self.node)] = (self.start, last)
