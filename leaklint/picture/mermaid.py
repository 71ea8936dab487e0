"""A drawing for Mermaid, which GitHub and many wikis render in Markdown."""

from __future__ import annotations

from itertools import groupby

from leaklint.picture.drawing import Drawing, Link, Node, NodeType, links

_SHAPES = {NodeType.UNIT: ("[", "]"), NodeType.RESOURCE: ("([", "])"), NodeType.OBJECT: ("[[", "]]")}


def mermaid(drawing: Drawing) -> str:
    """A flowchart: units are boxes, resources rounded, objects have double sides; what is open is dashed; a subgraph for each module.
    All that one node does to another is one arrow, in the direction in which things go."""
    lines = ["flowchart LR"]
    for number, (path, inside) in enumerate(groupby(drawing.nodes, key=lambda node: node.path)):
        if path:
            lines.append(f"  subgraph m{number}[{_quoted(drawing.modules[path])}]")
        lines += (f"    {_look(node)}" for node in inside)
        if path:
            lines.append("  end")
    lines += (f"  {_arrow(link)}" for link in links(drawing.edges))
    if any(node.open is not None for node in drawing.nodes):
        lines.append("  classDef open stroke-dasharray: 5 4")
    return "\n".join((*lines, ""))


def _look(node: Node) -> str:
    before, after = _SHAPES[node.type]
    what = "code out of sight" if node.is_anyone else f"{node.kind} {node.name}"
    label = "<br/>".join(_escaped(part) for part in (what, node.place) if part)
    return f'{node.id}{before}"{label}"{after}{"" if node.open is None else ":::open"}'


def _arrow(link: Link) -> str:
    line = "-.->" if link.is_ownership else "-->"
    return f"{link.source.id} {line}|{_quoted(link.words)}| {link.target.id}"


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


_ENTITIES = {"#": "#35;", "&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;", "\\": "#92;", "*": "#42;", "%": "#37;"}


def _escaped(text: str) -> str:
    """Mermaid's entities begin with `#`; backquotes and asterisks would be Markdown, `%%` comments and directives."""
    return "".join(_ENTITIES.get(letter, letter if letter.isprintable() else " ") for letter in text)
