"""Control flow: the ways through a function and out of it."""

from leaklint.paths.builder import handler_names, is_endless, paths
from leaklint.paths.choices import Choices, Facts
from leaklint.paths.nodes import EXCEPTIONAL, FORCED, Edge, Exit, Node, Paths
from leaklint.paths.semantics import Semantics, semantics

__all__ = [
    "EXCEPTIONAL",
    "FORCED",
    "Choices",
    "Edge",
    "Exit",
    "Facts",
    "Node",
    "Paths",
    "Semantics",
    "handler_names",
    "is_endless",
    "paths",
    "semantics",
]
