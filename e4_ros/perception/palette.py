"""Colours of exits and words for quantities, the same in the video, the page and the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

# Okabe and Ito (2008), told apart by the colour-blind too: green is cheap, vermilion full depth.
_ENDS = {'track': '#009e73', 'full': '#d55e00', 'closer': '#cc79a7'}
_MIDDLE = ('#56b4e9', '#0072b2', '#e69f00', '#f0e442')


def exit_colors(exits: Sequence[str]) -> dict[str, str]:
    """Colour of every exit as ``#rrggbb``; `track`, `full` and `closer` always look the same."""
    middle = [name for name in exits if name not in _ENDS]
    return _ENDS | {name: _MIDDLE[i % len(_MIDDLE)] for i, name in enumerate(middle)}


def rgb(color: str) -> tuple[int, int, int]:
    """``#rrggbb`` as three numbers from 0 to 255."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def hertz(value: float) -> str:
    """A frequency as ``1.51 GHz`` or ``625 MHz``."""
    return f'{value / 1e9:.2f} GHz' if value >= 1e9 else f'{value / 1e6:.0f} MHz'


def joules(value: float) -> str:
    """An energy as ``21.4 mJ`` or ``1.20 J``; ``–`` where it is unknown."""
    if not math.isfinite(value):
        return '–'
    return f'{value:.2f} J' if value >= 1 else f'{value * 1e3:.1f} mJ'


def seconds(value: float) -> str:
    """A latency as ``7.1 ms``."""
    return f'{value * 1e3:.1f} ms'
