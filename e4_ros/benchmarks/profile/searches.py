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

"""Searches on the boards' models against the exact optimum, and how long planning takes."""

from __future__ import annotations

import math
import statistics
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from e4_ros.energy.board_model import SegmentWork

MODELS = ('pedestrian_ssdlite', 'efficientnet_lite0')
SEGMENTS = 12  # finer than the engine's own, so that there is something to choose

MIXES = {'mixed': (0.6, 0.2, 0.2), 'calm': (0.95, 0.02, 0.03), 'burst': (0.05, 0.05, 0.9)}
"""Shares of the exits before the network, in its middle and at its end; a bursty stream changes
between the last two."""


def model_works(model: str, segments: int = SEGMENTS) -> list[SegmentWork]:
    """Preparation, and the network cut into ``segments`` pieces of about equal cost."""
    from e4_ros.energy.board_model import SegmentWork
    from e4_ros.vision.networks import nearest_cuts
    from e4_ros.vision.zoo import load_model

    loaded = load_model(model)
    inner = [cut for cut in loaded.network.cuts() if 0.01 < cut.cost_share < 0.99]
    last = max(cut.cost_share for cut in inner)  # a detector's tail has no cut: one segment
    shares = [last * (i + 1) / (segments - 1) for i in range(segments - 1)]
    pieces = loaded.network.stages(nearest_cuts(inner, shares))
    prepare = SegmentWork('prepare', 0, 5.0 * 3 * math.prod(loaded.input_size), 8, 'cpu')
    return [
        prepare,
        *(
            SegmentWork(piece.name, piece.work.macs, piece.work.bytes_moved, piece.work.layers)
            for piece in pieces
        ),
    ]


def paths_of(works: list[SegmentWork]) -> dict[str, list[int]]:
    """Exits before the network, in its middle and at its end."""
    size = len(works)
    return {
        'temporal': [0],
        'exit1': list(range(1 + size // 2)),
        'full': list(range(size)),
    }


def search_row(
    board_name: str,
    model: str,
    works: list[SegmentWork],
    domains: tuple[str, ...],
    mix: str = 'mixed',
) -> dict[str, Any]:
    """One search against its exact optimum, at three times the fastest possible latency."""
    from e4_ros.energy.board_model import BoardModel
    from e4_ros.energy.boards import load_board
    from e4_ros.profiling.planning.cost_table import CostTable
    from e4_ros.profiling.planning.exact import exact
    from e4_ros.profiling.planning.objective import SwitchCost, make_problem
    from e4_ros.profiling.planning.search import coordinate_descent

    board = load_board(board_name)
    table = CostTable.from_board(BoardModel(board), works, model, domains)
    paths = paths_of(works)
    switch = SwitchCost.of_board(board, table.domains)
    problem = make_problem(table, paths, dict(zip(paths, MIXES[mix], strict=True)), 0, switch)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        found = coordinate_descent(problem)
        times.append(time.perf_counter() - began)
    optimum = exact(problem)
    return {
        'board': board_name,
        'model': model,
        'domains': list(domains),
        'exits': mix,
        'gap_percent': 100 * (found.energy_j / optimum.best.energy_j - 1),
        'gap_to_bound_percent': 100 * (found.energy_j / optimum.bound_j - 1),
        'proven': optimum.proven,
        'cells_share': found.cells_share,
        'plan_ms': 1e3 * statistics.median(times),
    }


def planning_ms(domains: tuple[str, ...]) -> float:
    """Median time to plan 32 segments on a 15 x 12 (x 7) table, the Jetson Nano's, on one core."""
    import numpy as np

    from e4_ros.energy.board_model import BoardModel, SegmentWork
    from e4_ros.energy.boards import load_board
    from e4_ros.profiling.planning.cost_table import CostTable
    from e4_ros.profiling.planning.objective import SwitchCost, make_problem
    from e4_ros.profiling.planning.search import coordinate_descent

    rng = np.random.default_rng(1)
    works = [
        SegmentWork(f's{i}', float(macs), float(moved), int(layers))
        for i, (macs, moved, layers) in enumerate(
            zip(
                rng.uniform(5e6, 60e6, 32),
                rng.uniform(3e5, 6e6, 32),
                rng.integers(2, 8, 32),
                strict=True,
            )
        )
    ]
    board = load_board('jetson_nano')
    paths = paths_of(works)
    times = []
    for slack in (1.1, 1.3, 1.6, 2.0, 3.0):  # tight deadlines take longest
        began = time.perf_counter()
        table = CostTable.from_board(BoardModel(board), works, 'random', domains)
        switch = SwitchCost.of_board(board, domains)
        fastest_s = table.latency_s.sum(axis=0).min()
        shares = dict(zip(paths, MIXES['mixed'], strict=True))
        coordinate_descent(make_problem(table, paths, shares, slack * fastest_s, switch))
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)
