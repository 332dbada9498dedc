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
"""What nobody can beat: cameras' images answered by somebody who knows all that will come.

A linear program, solved exactly. Work may be cut anywhere and taken up again, an image may be
answered in part, and time is counted in slots to whose edges arrivals are moved back and deadlines
put off: each of these can only help, so whatever a policy reaches is below.
"""

from __future__ import annotations

import math

import numpy as np

from e4_ros.evaluation.simulation.camera_world import HELD, CameraWorld

_SLOT_S = 0.02


def most_value(world: CameraWorld) -> float:
    """The bound on `Play.value`, 0 to 1, when one frame is computed at a time.

    Args:
        world: the images; beyond some 4,000 it takes minutes.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_matrix

    images, table = world.images, world.table
    if not images:
        return 1.0
    full_s = min(table.full_s, min(1 / table.rate_hz(*cell) for cell in table.run_s))
    # Variables: for each image its share answered, and of that the share by the network; then the
    # seconds of it in each slot.
    count = len(images)
    gains = np.array([[-HELD, HELD - 1.0] if i.wants else [-1.0, 0.0] for i in images]).ravel()
    spans = [range(int(i.arrived_s / _SLOT_S), math.ceil(i.deadline_s / _SLOT_S)) for i in images]
    starts = 2 * count + np.concatenate([[0], np.cumsum([len(span) for span in spans])])
    total = int(starts[-1])
    rows, columns, values, bounds = [], [], [], []

    def add(row: int, column: int, value: float) -> None:
        rows.append(row)
        columns.append(column)
        values.append(value)

    for index, (image, span) in enumerate(zip(images, spans, strict=True)):
        # share answered · tracks + share deep · network <= seconds in its slots
        add(index, 2 * index, table.track_s * image.factor)
        add(index, 2 * index + 1, full_s * image.factor)
        for offset in range(len(span)):
            add(index, int(starts[index]) + offset, -1.0)
        # deep <= answered
        add(count + index, 2 * index + 1, 1.0)
        add(count + index, 2 * index, -1.0)
    slots = max(span.stop for span in spans)
    for index, span in enumerate(spans):
        for offset, slot in enumerate(span):
            add(2 * count + slot, int(starts[index]) + offset, 1.0)
    matrix = coo_matrix((values, (rows, columns)), shape=(2 * count + slots, total))
    limits = np.concatenate([np.zeros(2 * count), np.full(slots, _SLOT_S)])
    for image in images:
        bounds += [(0.0, 1.0), (0.0, 1.0 if image.wants else 0.0)]
    bounds += [(0.0, _SLOT_S)] * (total - 2 * count)
    costs = np.concatenate([gains, np.zeros(total - 2 * count)])
    found = linprog(costs, matrix.tocsr(), limits, bounds=bounds, method='highs')
    if not found.success:
        raise RuntimeError(f'the bound was not found: {found.message}')
    return float(-found.fun) / count
