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

"""A meter's joules, shared out among frames, the waits before them, and what runs beside them."""

from __future__ import annotations

import math
from typing import NamedTuple

_KNOWN_S = 0.02  # a meter's value is some milliseconds old, so a shorter wait says nothing
_REMEMBERED_S = 10.0


class Aside(NamedTuple):
    """What ran between two frames and is no part of either: an audit, the full network beside.

    Attributes:
        energy_j: joules beyond those of a board that waits, which the next frame pays as it would
            have; NaN where ``source`` is ``none``.
        source: whether they are ``measured`` or ``modelled``; ``none`` where unknown.
        seconds: how long it took.
        waiting_w: watts of the board while it waits; 0 where no wait was seen yet.
    """

    energy_j: float = math.nan
    source: str = 'none'
    seconds: float = 0.0
    waiting_w: float = 0.0


class MeteredFrames:
    """Joules from one frame's end to the next one's, without those of what ran beside.

    Where something ran beside, the board would have waited, and the frame would have paid for that.
    So the frame is charged for the same time at the power of the waits that were seen lately, and
    what ran beside for the rest: together they are what the meter says.
    """

    def __init__(self) -> None:
        self._ended = (0.0, math.nan)  # seconds and joules at the end of the frame before
        self._before_j = math.nan
        self._aside = (0.0, math.nan)  # the same at the begin of what runs beside
        self._beside = [0.0, 0.0]  # seconds and joules of it, between two frames
        self._held_j = 0.0
        self._waits = [0.0, 0.0]  # seconds and joules

    @property
    def beside_s(self) -> float:
        """Seconds since the last frame in which something ran beside."""
        return self._beside[0]

    @property
    def waiting_w(self) -> float:
        """Watts while the board waited for a frame lately; 0 where it has not."""
        seconds, joules = self._waits
        return max(joules / seconds, 0.0) if seconds > _KNOWN_S else 0.0

    def begin(self, time_s: float, energy_j: float, in_stream: bool) -> None:
        """A frame begins.

        Args:
            time_s: now.
            energy_j: what the meter says; NaN where it says nothing.
            in_stream: whether the wait for the frame is one, and not a stream that had stopped.
        """
        ended_s, ended_j = self._ended
        beside_s, beside_j = self._beside
        if in_stream and math.isfinite(ended_j + energy_j):
            self._waited(time_s - ended_s - beside_s, energy_j - ended_j - beside_j)
            self._before_j = ended_j + beside_j - self._held_j
        else:
            self._before_j = energy_j
        self._beside, self._held_j = [0.0, 0.0], 0.0

    def end(self, time_s: float, energy_j: float) -> float:
        """A frame ended; the joules that it took, the wait before it included."""
        self._ended = (time_s, energy_j)
        return energy_j - self._before_j

    def begin_aside(self, time_s: float, energy_j: float) -> None:
        """Something begins that is no part of a frame; forgotten where its end is never told."""
        self._aside = (time_s, energy_j)

    def end_aside(self, time_s: float, energy_j: float) -> Aside:
        """It ended."""
        seconds, joules = time_s - self._aside[0], energy_j - self._aside[1]
        self._beside[0] += seconds
        if math.isnan(joules):
            self._ended = (time_s, math.nan)  # the next frame's joules begin with itself
            return Aside(seconds=seconds)
        self._beside[1] += joules
        held_j = self.waiting_w * seconds
        self._held_j += held_j
        return Aside(joules - held_j, 'measured', seconds, self.waiting_w)

    def _waited(self, seconds: float, joules: float) -> None:
        if self._waits[0] > _REMEMBERED_S:
            self._waits = [value / 2 for value in self._waits]
        self._waits[0] += max(seconds, 0.0)
        self._waits[1] += joules
