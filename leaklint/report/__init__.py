"""A report in, text out: pure functions that neither read the terminal nor write to it."""
