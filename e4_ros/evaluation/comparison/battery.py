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

"""The robot's battery, and what a saving means to it.

Files of the kernel's power-supply class (Documentation/ABI/testing/sysfs-class-power):
``energy_full`` in µWh, or ``charge_full`` in µAh with a voltage in µV; ``power_now`` in µW.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from e4_ros.evaluation.comparison.intervals import Interval

_MICRO = 1e-6


@dataclass(frozen=True)
class Battery:
    """A battery.

    Attributes:
        name: What it is called.
        full_wh: Watt-hours when full.
        draw_w: Watts that are drawn from it now; None where it is charging, or does not say.
    """

    name: str
    full_wh: float
    draw_w: float | None = None


@dataclass(frozen=True)
class Runtime:
    """What a saving means to a battery.

    Attributes:
        battery: The battery.
        draw_w: Watts that it is taken to give with the stock arm running.
        whole_robot: Whether the battery itself says so, or somebody did; else the board alone.
        stock_minutes: Minutes from full to empty with the stock arm.
        gained_minutes: Minutes more.
    """

    battery: Battery
    draw_w: float
    whole_robot: bool
    stock_minutes: float
    gained_minutes: Interval


def read_battery(root: str | Path = '/') -> Battery | None:
    """The largest battery that the kernel knows and that says its size; None where none does."""
    found = [
        battery
        for folder in sorted(Path(root).glob('sys/class/power_supply/*'))
        if (battery := _battery(folder)) is not None
    ]
    return max(found, key=lambda battery: battery.full_wh, default=None)


def runtime(
    battery: Battery, board_w: float, saved_w: Interval, others_w: float | None = None
) -> Runtime | None:
    """What a saving means to a battery.

    Args:
        battery: The battery.
        board_w: Watts of the board in the stock arm.
        saved_w: Watts that are saved.
        others_w: Watts of the rest of the robot (motors, lidar); None: what the battery says is
            drawn now, less the board; else nothing.

    Returns:
        None where the saving is not less than all that is drawn.
    """
    draw_w, whole = board_w, False
    if others_w is not None:
        draw_w, whole = board_w + others_w, True
    elif battery.draw_w is not None and battery.draw_w > board_w:
        draw_w, whole = battery.draw_w, True

    def gained(watts: float) -> float:
        return 60 * battery.full_wh * (1 / (draw_w - watts) - 1 / draw_w)

    if not saved_w.value < draw_w:
        return None
    minutes = Interval(gained(saved_w.value))
    if saved_w.low is not None and saved_w.high is not None and saved_w.high < draw_w:
        minutes = Interval(minutes.value, gained(saved_w.low), gained(saved_w.high))
    return Runtime(battery, draw_w, whole, 60 * battery.full_wh / draw_w, minutes)


def _battery(folder: Path) -> Battery | None:
    if _text(folder / 'type') != 'Battery' or _text(folder / 'scope') == 'Device':
        return None  # a mains adapter, or the battery of a mouse
    full_wh = _number(folder, 'energy_full', 'energy_full_design')
    if full_wh is None:
        charge = _number(folder, 'charge_full', 'charge_full_design')
        volts = _number(folder, 'voltage_min_design', 'voltage_now')
        full_wh = None if charge is None or volts is None else charge * volts * _MICRO
    if full_wh is None or full_wh <= 0:
        return None
    draw_w = None
    if _text(folder / 'status') == 'Discharging':
        draw_w = _number(folder, 'power_now')
        amps, volts = _number(folder, 'current_now'), _number(folder, 'voltage_now')
        if draw_w is None and amps is not None and volts is not None:
            draw_w = amps * volts * _MICRO
    draw_w = None if draw_w is None else abs(draw_w) * _MICRO  # some drivers count out as negative
    return Battery(folder.name, full_wh * _MICRO, draw_w or None)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ''


def _number(folder: Path, *names: str) -> float | None:
    for name in names:
        try:
            return float(_text(folder / name))
        except ValueError:
            continue
    return None
