"""The report as one JSON object; the structs of `leaklint.finding` are its schema, field order included."""

from __future__ import annotations

import msgspec

from leaklint.finding import Report


def encode(report: Report) -> bytes:
    """UTF-8, indented, with a final newline."""
    content = msgspec.to_builtins(report)
    for told, finding in zip(content["findings"], report.findings, strict=True):
        told["witness"] = [str(event) for event in finding.witness]
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
