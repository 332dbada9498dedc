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

"""What a stream teaches about versions: how often exits answer, how right the costs are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SHARE, _PERIOD = 0.03, 0.05
_LARGEST = math.log(2.0)

# Of logarithms of times: what is not known at first of all versions together and of each one, how
# much the machine changes from frame to frame, and how much single frames scatter.
_ALL, _OWN, _MOVES, _SCATTER = 0.5, 0.2, 0.03, 0.1
_SURE = 0.1


class Drift:
    """How many times as long as expected frames take, of each version.

    What slows one version, such as heat or another process, slows all of them and comes and goes;
    what a version's table gets wrong is its own and stays. A Kalman filter tells the two apart from
    the frames of whichever version answers.

    Args:
        count: number of versions.
    """

    def __init__(self, count: int) -> None:
        self._mean, self._seen = np.zeros(1 + count), False
        self._cov = np.diag([_ALL**2, *[_OWN**2] * count])

    @property
    def factors(self) -> Floats:
        """Of each version, ``(V,)``; 1 before anything was seen."""
        return np.asarray(np.exp(self._mean[0] + self._mean[1:]))

    def hopeful(self, answering: int, hope: float) -> Floats:
        """The same, less where little is known of a version beside the one that answers, ``(V,)``.

        Where nothing was ever seen nothing can be found out, and nothing is credited.

        Args:
            answering: index of the version that answers.
            hope: how many standard deviations of doubt are credited to the others.
        """
        if not self._seen:
            return self.factors
        own = self._cov[1:, 1:]
        doubt = np.diag(own) + own[answering, answering] - 2 * own[answering]
        return np.asarray(
            self.factors * np.exp(-hope * np.maximum(np.sqrt(np.maximum(doubt, 0)) - _SURE, 0))
        )

    def observe(self, version: int, ratio: float) -> None:
        """A frame took so many times as long as expected; a wild one counts as twice or half."""
        if not 0 < ratio < math.inf:
            return
        place, cov, self._seen = 1 + version, self._cov, True
        cov[0, 0] += _MOVES**2
        off = math.log(ratio) - float(self._mean[0] + self._mean[place])
        off = min(max(off, -_LARGEST), _LARGEST)
        along = cov[:, 0] + cov[:, place]
        gain = along / (along[0] + along[place] + _SCATTER**2)
        self._mean += gain * off
        self._cov = cov - np.outer(gain, along)


class Habits:
    """Running averages of a stream: shares of its exits, and its period.

    Args:
        exits: exit → share to begin with.
    """

    def __init__(self, exits: Mapping[str, float]) -> None:
        total = sum(exits.values()) or 1.0
        self.shares = {name: share / total for name, share in exits.items()}
        self.period_s = 0.0

    def observe(self, exit_name: str, known: Sequence[str], period_s: float | None) -> None:
        """A frame was answered at an exit, one of ``known``, so long after the one before."""
        if exit_name in known:
            self.shares.setdefault(exit_name, 0.0)
            for name in self.shares:
                self.shares[name] += _SHARE * ((name == exit_name) - self.shares[name])
        if period_s is not None and 0 < period_s < math.inf:
            before = self.period_s or period_s
            self.period_s = before + _PERIOD * (period_s - before)

    def differ(self, shares: Mapping[str, float], period_s: float) -> bool:
        """Whether they have moved so far from given ones that costs are to be counted anew."""
        names = {*shares, *self.shares}
        moved = sum(abs(self.shares.get(n, 0.0) - shares.get(n, 0.0)) for n in names) / 2
        return moved > 0.1 or abs(self.period_s - period_s) > 0.1 * max(period_s, 1e-9)
