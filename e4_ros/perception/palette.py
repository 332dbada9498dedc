# Copyright 2026 e4_ros maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Colours of exits and tracks, words for quantities: the same in video, page and terminal."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence

# Okabe and Ito (2008), told apart by the colour-blind too: green is cheap, vermilion full depth.
_ENDS = {'track': '#009e73', 'full': '#d55e00', 'closer': '#cc79a7', 'edge': '#7b3fb8'}
_MIDDLE = ('#56b4e9', '#0072b2', '#e69f00', '#f0e442')

_GOLDEN = (5**0.5 - 1) / 2  # steps of it around the circle of hues come near none before them
_LIGHTNESS = (0.52, 0.64, 0.76)


def exit_colors(exits: Sequence[str]) -> dict[str, str]:
    """Colour of every exit as ``#rrggbb``; those of `_ENDS` are always the same."""
    middle = [name for name in exits if name not in _ENDS]
    return _ENDS | {name: _MIDDLE[i % len(_MIDDLE)] for i, name in enumerate(middle)}


def track_color(track_id: int) -> str:
    """Colour of a track as ``#rrggbb``; those of ids that are near each other are far apart."""
    red, green, blue = colorsys.hls_to_rgb(track_id * _GOLDEN % 1, _LIGHTNESS[track_id % 3], 0.85)
    return f'#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}'


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
