"""The colours of the drawings, for light and for dark."""

from __future__ import annotations

import re

COLOURS: dict[str, tuple[str, str]] = {
    "ground": ("#fbfaf8", "#16171a"),
    "panel": ("#ffffff", "#1d1f23"),
    "sunken": ("#f3f1ed", "#24262b"),
    "line": ("#e2ded7", "#34373d"),
    "ink": ("#26231f", "#e8e6e3"),
    "soft": ("#6f6a62", "#a5a29c"),
    "faint": ("#a39d93", "#74726d"),
    "edge": ("#a8a196", "#62666e"),
    "alarm": ("#c8322b", "#ff7a70"),
    "alarm-soft": ("#fdecea", "#3c2322"),
    "mark": ("#fff3c4", "#453c17"),
    "focus": ("#2f6fde", "#7aa7ff"),
    "main": ("#5c6470", "#a9b2bf"),
    "main-fill": ("#eceef1", "#2a2e35"),
    "task": ("#3563c9", "#8fb1ff"),
    "task-fill": ("#e6edfb", "#222d47"),
    "thread": ("#157a6e", "#5fd0bf"),
    "thread-fill": ("#ddf2ee", "#16352f"),
    "timer": ("#8a6100", "#e6bd57"),
    "timer-fill": ("#faefd2", "#382e14"),
    "callback": ("#5d7a1f", "#b3d36b"),
    "callback-fill": ("#ecf3da", "#2a321a"),
    "outside": ("#8d877d", "#8e8b85"),
    "outside-fill": ("#f6f4f0", "#212226"),
    "channel": ("#b5520c", "#ffa566"),
    "channel-fill": ("#fdebdc", "#402a1a"),
    "lock": ("#a8325e", "#f48bb2"),
    "lock-fill": ("#fbe6ee", "#3d2230"),
    "event": ("#7143b5", "#c0a0f5"),
    "event-fill": ("#f0e9fb", "#312646"),
    "scope": ("#46708a", "#8fbdd8"),
    "scope-fill": ("#e5eff5", "#1f303b"),
    "value": ("#77716a", "#a29e97"),
    "value-fill": ("#f1efeb", "#292a2d"),
    "object": ("#77716a", "#a29e97"),
    "object-fill": ("#ffffff", "#1d1f23"),
}
"""Name → light and dark. A family of kinds has a colour of its name for lines and text, and one with `-fill` for what is inside."""


def variables() -> str:
    """The colours as custom properties of CSS, as the viewer prefers or as `data-theme` says."""
    light, dark = (" ".join(f"--{name}: {pair[side]};" for name, pair in COLOURS.items()) for side in (0, 1))
    chosen = f':root[data-theme="dark"] {{ color-scheme: dark; {dark} }}'
    preferred = f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ color-scheme: dark; {dark} }} }}'
    return f":root {{ color-scheme: light; {light} }}\n{preferred}\n{chosen}\n"


def plain(style: str) -> str:
    """A style sheet with its `var(--name)` put in, for light, and for dark where the viewer prefers that; many viewers of SVG know no
    custom properties."""
    light, dark = (re.sub(r"var\(--([\w-]+)\)", lambda found: COLOURS[found[1]][side], style) for side in (0, 1))  # noqa: B023
    return f"{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n"
