"""One finding, one line, in the form that flake8 made common and every editor understands."""

from __future__ import annotations

from leaklint.finding import Finding


def line_of(finding: Finding) -> str:
    """`path:line:column: CODE message (confidence)`."""
    return f"{finding.path}:{finding.line}:{finding.column}: {finding.code} {sentence(finding)}"


def sentence(finding: Finding) -> str:
    """The message and how sure it is, without place and code."""
    return f"{finding.message} ({finding.confidence})"
