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

"""What somebody who scales clocks sees: how busy the domains were since the last look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from e4_ros.profiling.planning.cost_table import Floats


@dataclass
class Window:
    """What a governor sees of the time since it last looked.

    Attributes:
        seconds: length of the window.
        busy_s: seconds in which each domain worked.
        cycles: the same, weighted by the share of the domain's top clock it had.
        clocks: index of each domain's clock now.
        energy_j: what the board drew in the window.
        temperature_c: of the board now.
    """

    seconds: float
    busy_s: Floats
    cycles: Floats
    clocks: tuple[int, ...]
    energy_j: float
    temperature_c: float


class Watch:
    """Adds up what happens until somebody looks."""

    def __init__(self, domains: int) -> None:
        self._seconds = self._energy_j = 0.0
        self._busy_s, self._cycles = [0.0] * domains, [0.0] * domains

    def add(
        self, seconds: float, watts: float, busy: Sequence[float] | None, shares: Sequence[float]
    ) -> None:
        """Time passed.

        Args:
            seconds: how much.
            watts: what the board drew.
            busy: share of it in which each domain worked; None: none did.
            shares: each domain's clock, of its top clock.
        """
        self._seconds += seconds
        self._energy_j += watts * seconds
        if busy is None:
            return
        for d, share in enumerate(shares):
            self._busy_s[d] += busy[d] * seconds
            self._cycles[d] += busy[d] * seconds * share

    def window(self, clocks: Sequence[int], temperature_c: float) -> Window:
        """Look."""
        return Window(
            max(self._seconds, 1e-12),
            np.array(self._busy_s),
            np.array(self._cycles),
            tuple(clocks),
            self._energy_j,
            temperature_c,
        )
