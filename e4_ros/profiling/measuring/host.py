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

"""What measuring needs of the host: clocks that may be set, a meter, what a switch costs."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from e4_ros.energy.board_model import BoardModel, SegmentWork
from e4_ros.energy.boards import Board, board_names, load_board
from e4_ros.energy.client.client import DaemonError, DvfsClient
from e4_ros.energy.daemon.daemon import DaemonConfig
from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.identify import known_board
from e4_ros.energy.meters.meters import open_meter
from e4_ros.profiling.measuring.power import MeteredPower, ModelledPower, PageMeter, PowerSource
from e4_ros.profiling.planning.cost_table import CostTable
from e4_ros.profiling.planning.objective import SwitchCost

_LONGEST_AXIS = 32
_METERS = {
    'ina': 'INA power rails',
    'jtop': 'the total of jtop',
    'counters': 'energy counters (RAPL, NVML)',
}


class NothingToSetError(OSError):
    """No clock of this machine can be set; the message says why and what would help."""


def may_set(clocked: Mapping[str, Domain], config: DaemonConfig) -> None:
    """Raise unless the clocks of the domains can be set, by a running daemon or by this process.

    Args:
        clocked: domain name → domain that is to be set.
        config: settings of the daemon: where it listens, and the root of the machine's files.

    Raises:
        NothingToSetError: the clocks cannot be set.
        DaemonError: a daemon runs, but this user may not talk to it.
    """
    if not clocked:
        raise NothingToSetError(
            f'no clock was found below {config.root}: no cpufreq policies (virtual machines and '
            'containers have none), no devfreq GPU, no NVML. The host of this machine may have '
            'them; `e4 virtual-board` serves a board to try'
        )
    if all(len(domain.allowed_hz) < 2 for domain in clocked.values()):
        raise NothingToSetError(
            f'{", ".join(clocked)} may run at one frequency only; the power mode (nvpmodel) or '
            'jetson_clocks pins it'
        )
    closed = {name: files[0] for name, d in clocked.items() if (files := d.unwritable())}
    if closed and not _daemon_runs(config):
        file = next(iter(closed.values()))
        raise NothingToSetError(
            f'you may not set {", ".join(closed)} ({file}), and no daemon listens on '
            f'{config.socket_path}; `sudo e4 dvfs serve` starts one, docs/energy.md says how to do '
            'without root'
        )


def axes_of(clocked: Mapping[str, Domain], client: DvfsClient) -> dict[str, tuple[int, ...]]:
    """Domain → frequencies in hertz to choose from; an even selection of a very long table."""
    axes = {}
    for name, domain in clocked.items():
        may = frozenset(client.frequencies_hz.get(name, domain.allowed_hz))
        table = [hz for hz in domain.allowed_hz if hz in may]
        keep = np.linspace(0, len(table) - 1, min(len(table), _LONGEST_AXIS)).round()
        axes[name] = tuple(table[int(i)] for i in keep)
    return axes


def open_power(
    stack: contextlib.ExitStack,
    root: Path,
    client: DvfsClient | None,
    board: str,
    works: Sequence[SegmentWork],
    power_like: str = '',
) -> tuple[PowerSource | None, str]:
    """The best source of watts: own sensors, the daemon's, the power model of a known board.

    Args:
        stack: exit stack that closes the meter.
        root: folder that holds ``sys/``, where sensors are looked for.
        client: client that holds the lease; None without a daemon.
        board: name of this machine's board.
        works: work of each segment.
        power_like: name of a board whose power model is used where there is no sensor.

    Returns:
        The source of watts or None, and in that case the reason.
    """
    meter = open_meter(root)
    if meter is not None:
        stack.callback(meter.close)
        return MeteredPower(meter, _METERS.get(meter.name, meter.name)), ''
    if client is not None and client.applied().source == 'measured':
        return MeteredPower(PageMeter(client), "the daemon's meter"), ''
    if power_like:
        return ModelledPower(BoardModel(load_board(power_like)), works), ''
    if board in board_names():
        return ModelledPower(BoardModel(known_board(board, root)), works), ''
    return None, (
        f'nothing tells the joules: no power rails, RAPL or NVML counter can be read (RAPL is '
        f'often for root alone), and {board!r} is no board whose power is modelled. '
        "`--power-like raspberry_pi_5` (or another board) takes that one's model instead"
    )


def switch_cost(board: str, names: Sequence[str]) -> tuple[SwitchCost, str]:
    """Cost of a clock change on a board by its name, and a note where it is assumed."""
    known = _board(board)
    if known is not None and all(name in known.domains for name in names):
        return SwitchCost.of_board(known, names), ''
    return SwitchCost.assumed(names), (
        'The cost of a clock change is assumed: the delays of an Orin Nano (CPU 1 ms, GPU 5 ms, '
        'memory 8 ms).'
    )


def default_point(table: CostTable) -> dict[str, int]:
    """The stock system's operating point; the top of the table's axes on an unknown board."""
    top = {name: axis[-1] for name, axis in zip(table.domains, table.axes_hz, strict=True)}
    known = _board(table.board)
    return top if known is None else top | BoardModel(known).default_point()


def model_of(table: CostTable) -> BoardModel | None:
    """The model of a table's board, which says what waits draw; None for an unknown board."""
    known = _board(table.board)
    if known is None or set(table.domains) - set(known.domains):
        return None
    return BoardModel(known)


def _daemon_runs(config: DaemonConfig) -> bool:
    try:
        DvfsClient(config.socket_path).status()
    except DaemonError as error:
        if error.errno in (errno.EACCES, errno.EPROTO):
            raise
        return False
    return True


def _board(name: str) -> Board | None:
    return load_board(name) if name in board_names() else None
