"""Control flow: the ways through a function and out of it."""

from leaklint.paths.builder import handler_names, is_endless, paths
from leaklint.paths.nodes import EXCEPTIONAL, FORCED, Edge, Exit, Node, Paths
from leaklint.paths.semantics import Semantics, semantics

__all__ = ["EXCEPTIONAL", "FORCED", "Edge", "Exit", "Node", "Paths", "Semantics", "handler_names", "is_endless", "paths", "semantics"]
