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

"""A plan measured on a virtual board, with noise in rails and timing."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e4_ros.benchmarks.profile.searches import MIXES, MODELS, paths_of

if TYPE_CHECKING:
    from e4_ros.energy.board_model import SegmentWork
    from e4_ros.energy.virtual.machine import Kernel


def measured_row(
    works: list[SegmentWork], board_name: str = 'jetson_nano', kernel: Kernel | None = None
) -> dict[str, Any]:
    """A plan measured on a virtual board (FUSE), with noise, against the board model's optimum."""
    import tempfile

    from e4_ros.energy.board_model import BoardModel
    from e4_ros.energy.boards import load_board
    from e4_ros.energy.daemon.daemon import DaemonConfig
    from e4_ros.energy.daemon.hold_point import leased
    from e4_ros.energy.domains.discovery import discover
    from e4_ros.energy.virtual import mount
    from e4_ros.energy.virtual.mount import mount_problem
    from e4_ros.profiling.measuring.host import open_power
    from e4_ros.profiling.measuring.measured_search import measured_plan
    from e4_ros.profiling.measuring.prober import Prober
    from e4_ros.profiling.measuring.virtual_workload import VirtualWorkload
    from e4_ros.profiling.planning.cost_table import CostTable
    from e4_ros.profiling.planning.exact import exact
    from e4_ros.profiling.planning.objective import SwitchCost, make_problem

    if reason := mount_problem():
        return {'gap_percent': None, 'seconds': None, 'why_not': reason}
    board = load_board(board_name)
    table = CostTable.from_board(BoardModel(board), works, MODELS[0])
    paths = paths_of(works)
    shares = dict(zip(paths, MIXES['mixed'], strict=True))
    switch = SwitchCost.of_board(board, table.domains)
    true = make_problem(table, paths, shares, 0, switch)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        at = Path(folder)
        root = stack.enter_context(mount.mounted(board_name, at / 'board', kernel))
        config = DaemonConfig(root=root, state_dir=at / 'state', socket_path=at / 'socket')
        client = stack.enter_context(leased(config, 'bench'))
        domains = discover(root)
        power, _ = open_power(stack, root, client, board_name, works)
        assert power is not None, 'the board is described'

        def clocks() -> dict[str, int]:
            return {domain.name: domain.current_hz() for domain in domains}

        workload = VirtualWorkload(board, root, works, MODELS[0], clocks)
        axes = dict(zip(table.domains, table.axes_hz, strict=True))
        prober = Prober(client, power, workload, axes, clocks)
        found = measured_plan(
            prober, lambda t: make_problem(t, paths, shares, true.deadline_s, switch)
        )
    seconds, energy_j = true.cost(found.found.points)
    return {
        'gap_percent': 100 * (energy_j / exact(true).best.energy_j - 1),
        'seconds': found.seconds,
        'board': board_name,
        'kernel': kernel or board.kernel,
        'energy': power.source,
        'segments': len(works),
        'cells_share': found.cells / table.latency_s.size,
        'fit_error_percent': found.problem.table.error_percent,
        'of_deadline': seconds / true.deadline_s,
    }
