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

"""How well meters find a known energy: of virtual boards whose load is a wave, of a counter."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from e4_ros.energy.boards import load_board
from e4_ros.energy.meters.meters import open_meter
from e4_ros.energy.virtual.mount import mount_problem, mounted

BOARDS = {
    'jetson_orin_nano': 'INA3221 (hwmon)',
    'jetson_nano': 'INA3221 (iio)',
    'laptop_x86': 'RAPL, wrapping',
}
WAVE = '0.2 0.8 0.1'  # the CPU's load: low, high, period in seconds


class MeterError(NamedTuple):
    """Error of a meter, in percent of the true energy."""

    meter: str
    error_percent: float


def measure_meters(seconds: float) -> list[MeterError]:
    """Let meters follow virtual boards for some time; without FUSE only the counter is left."""
    found = [_counter()]
    if mount_problem() is None:
        with tempfile.TemporaryDirectory(prefix='e4') as name:
            found += [_follow(board, Path(name) / board, seconds) for board in BOARDS]
    return found


def _follow(board: str, mount: Path, seconds: float) -> MeterError:
    mount.mkdir()
    with mounted(board, mount) as root:
        (root / 'e4/load/cpu').write_text(WAVE)
        with open_meter(root, load_board(board)) as meter:  # type: ignore[union-attr]
            true_j, read_j = _truth(root), meter.read().energy_j
            time.sleep(seconds)
            true_j, read_j = _truth(root) - true_j, meter.read().energy_j - read_j
    return MeterError(BOARDS[board], round(100 * abs(read_j / true_j - 1), 3))


def _truth(root: Path) -> float:
    return float((root / 'e4/energy_j').read_text())


def _counter(wraps: int = 100, range_uj: int = 65_535, step_uj: int = 50_021) -> MeterError:
    """A RAPL counter in a file that starts again a hundred times between the readings."""
    with tempfile.TemporaryDirectory(prefix='e4') as name:
        zone = Path(name) / 'sys/class/powercap/intel-rapl:0'
        zone.mkdir(parents=True)
        (zone / 'name').write_text('package-0\n')
        (zone / 'max_energy_range_uj').write_text(f'{range_uj}\n')
        (zone / 'energy_uj').write_text('000000\n')
        total_uj = 0
        with (
            (zone / 'energy_uj').open('r+b', buffering=0) as counter,
            open_meter(name) as meter,  # type: ignore[union-attr]
        ):
            while total_uj < wraps * range_uj:
                total_uj += step_uj
                counter.seek(0)
                counter.write(b'%06d\n' % (total_uj % (range_uj + 1)))
                reading = meter.read()
    error = abs(reading.energy_j / (total_uj * 1e-6) - 1)
    return MeterError('RAPL counter across 100 wraps', round(100 * error, 9))
