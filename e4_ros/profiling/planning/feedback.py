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

"""From what frames took to a better plan: when the corrected costs call for one.

Two ways lead there. Costs that drift by a tenth bring a plan once a few frames agree, in either
direction. Late frames bring one at once, by the newest medians, and raise the margin where costs do
not explain them. Both are searches of milliseconds, beside the frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from e4_ros.energy.plan import FrequencyPlan
from e4_ros.profiling.planning.correction import Correction
from e4_ros.profiling.planning.lateness import Lateness
from e4_ros.profiling.planning.replan import Replanner

_DRIFT = 0.1  # of a path's latency, in logarithms
_MARGIN_DRIFT = 0.05
_SETTLE = 5  # frames from a plan to the next for drifted costs,
_AFTER_ALARM = 2  # for late frames: those in flight still had the clocks before
_LONGEST = 64  # and longer where searches find nothing better, up to so many
_STALL = 1.5  # times as long as all that is known says: no margin is meant for that
_TRIFLE = 1e-6  # of the deadline: rounding


class Feedback:
    """Follows one stream and corrects its replanner.

    Args:
        replanner: makes the plans.

    Attributes:
        alarmed: whether the newest frame made late frames more than an accident.
        why: what the plan that `observe` returned last was made for.
    """

    def __init__(self, replanner: Replanner) -> None:
        self.alarmed, self.why = False, ''
        self._replanner = replanner
        self._correction, self._lateness = Correction(replanner.costs, replanner.switch), Lateness()
        self._factors = self._correction.factors  # those of the plan in force, and its
        self._margin = 1.0
        self._since, self._patience = 0, _AFTER_ALARM

    def observe(
        self,
        rows: Sequence[int],
        seconds: Sequence[float],
        points: Sequence[Mapping[str, int]],
        before: Mapping[str, int] | None,
        asked: Sequence[Mapping[str, int]] | None = None,
        bound: bool = True,
    ) -> FrequencyPlan | None:
        """Learn from a frame; return a new plan if there is a better one.

        Args:
            rows: indices of the segments that ran, in order.
            seconds: how long each of them took.
            points: operating point that each of them ended with, domain → hertz.
            before: operating point that the first one began with; None: nobody knows.
            asked: operating point that the plan asks for each of them; None: nobody knows.
            bound: whether the deadline was to be kept: not behind a pause, when clocks rest.
        """
        if not all(0 <= taken_s < np.inf for taken_s in seconds):
            return None
        self._since += 1
        self._correction.observe(rows, seconds, points, before, asked)
        drift = self._drift()
        if bound and self._since > _AFTER_ALARM:
            deadline_s, taken_s = self._replanner.deadline_s, sum(seconds)
            helpless = self._replanner.fastest_s * self._margin >= deadline_s
            stalled = taken_s > _STALL * self._correction.expected_s(rows, points)
            explained = abs(drift) > _DRIFT or helpless or stalled
            self._lateness.observe(taken_s > deadline_s * (1 + _TRIFLE), explained)
        self.alarmed = self._lateness.alarm and self._since > self._patience
        if self.alarmed:
            self._correction.catch_up()
            self._lateness.answered()
            self.why = 'frames came late'
            return self._correct(self._correction.factors)
        more = float(np.log(self._lateness.margin / self._margin))
        if more > _MARGIN_DRIFT:
            self.why = 'frames came late'
            return self._correct(self._sure())
        if self._since < _SETTLE:
            return None
        if abs(drift) > _DRIFT:
            self.why = f'frames take {np.exp(drift):.2f} times as long as planned'
            return self._correct(self._sure())
        if -more > _MARGIN_DRIFT:
            self.why = 'fewer frames were late'
            return self._correct(self._sure())
        return None

    def facts(self) -> Mapping[str, str]:
        """What diagnostics show of it: name → value."""
        return {
            'latency_factor': f'{self._replanner.longer_by(self._factors):.2f}',
            'latency_margin': f'{self._lateness.margin:.2f}',
            'late_share': f'{self._lateness.share:.3f}',
        }

    def _sure(self) -> np.ndarray:
        """The factors for which more than a frame or two speaks; the others as they were."""
        correction = self._correction
        return np.where(correction.sure, correction.factors, self._factors)

    def _drift(self) -> float:
        return self._replanner.drift(self._sure())

    def _correct(self, factors: np.ndarray) -> FrequencyPlan | None:
        self._factors, self._margin = factors, self._lateness.margin
        plan = self._replanner.correct(factors, self._margin)
        self._since = 0
        self._patience = min(2 * self._patience, _LONGEST) if plan is None else _AFTER_ALARM
        return plan
