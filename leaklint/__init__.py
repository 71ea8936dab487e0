"""Finds concurrency leaks in Python programs: what is started, sent, taken or armed, and never ended."""

__version__ = "0.1.0"
