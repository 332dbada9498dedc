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

"""What frames cost with the waits between them: a robot's board draws power until the next one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from e4_ros.energy.board_model import BoardModel, Cost
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.perception.frame_energy import OperatingPoint, waiting_j
from e4_ros.perception.frequency_control import LONGEST_WAIT_S
from e4_ros.perception.records import FrameRecord, WithWaits


def period_s(records: Sequence[FrameRecord]) -> float:
    """Median seconds between two frames by their stamps; NaN where they are no stream."""
    steps = np.diff([record.stamp_s for record in records])
    steps = steps[(steps > 0) & (steps <= LONGEST_WAIT_S)]
    return float(np.median(steps)) if len(steps) else math.nan


def with_waits(
    model: BoardModel,
    records: Sequence[FrameRecord],
    period: float,
    spent: Mapping[str, Cost],
    plan: FrequencyPlan | None,
    baseline: Cost,
) -> WithWaits | None:
    """Add the waits that the pace of a source leaves between its frames.

    Args:
        model: Model of the board.
        records: Frames with modelled joules.
        period: Seconds between two frames.
        spent: Exit → modelled latency and joules of a frame that takes it.
        plan: Plan in force; None where governors choose the clocks.
        baseline: Mean latency and joules of a frame at full depth and default clocks.

    Returns:
        None where the source has no pace.
    """
    if not (records and math.isfinite(period)):
        return None

    def waited(cost: Cost, point: OperatingPoint) -> float:
        return cost.energy_j + waiting_j(model, point, period - cost.latency_s)

    left = {
        name: {} if plan is None else plan.paths[name].points[0]
        for name in {record.result.exit for record in records}
    }
    total = sum(waited(spent[r.result.exit], left[r.result.exit]) for r in records)
    return WithWaits(period, total / len(records), waited(baseline, {}))
