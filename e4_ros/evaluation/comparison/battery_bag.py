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

"""The robot's battery, as a bag's sensor_msgs/BatteryState has it.

Most drivers leave out what they do not know: NaN, or 0. Then the battery says nothing of that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from e4_ros.evaluation.comparison.battery import Battery
from e4_ros.evaluation.sources.bag_reader import BROKEN, is_bag, open_bag
from e4_ros.evaluation.sources.base import SourceError

_TYPE = 'sensor_msgs/msg/BatteryState'
_MOST = 20_000  # messages: an hour and a half at the usual rates


def battery_of_bag(path: Path) -> Battery | None:
    """The battery that a bag tells of; of several the largest.

    Its size is `capacity`, else `design_capacity` (Ah), times the mean voltage; what is drawn is
    the mean of minus current times voltage where the current is negative, as the message defines.

    Returns:
        None where no message says a size.

    Raises:
        SourceError: the path is no bag, it cannot be read, or has no such topic.
    """
    if not is_bag(path):
        raise SourceError(f'{path} is no bag; give one with a topic of {_TYPE}')
    told: dict[str, list[Any]] = {}
    for topic, message in _messages(path):
        told.setdefault(topic, []).append(message)
    if not told:
        raise SourceError(f'the bag {path.resolve().name} has no topic of {_TYPE}')
    found = [battery for topic, each in told.items() if (battery := _battery(topic, each))]
    return max(found, key=lambda battery: battery.full_wh, default=None)


def _messages(path: Path) -> Iterator[tuple[str, Any]]:
    with open_bag(path) as (reader, _):
        wanted = [c for c in reader.connections if c.msgtype == _TYPE]
        if not wanted:
            return
        messages = reader.messages(connections=wanted)
        for _ in range(_MOST):
            try:
                connection, _, data = next(messages)
                yield connection.topic, reader.deserialize(data, connection.msgtype)
            except StopIteration:
                return
            except BROKEN:
                return  # a bag that was cut off: what came before counts


def _battery(topic: str, messages: list[Any]) -> Battery | None:
    volts = _mean([message.voltage for message in messages])
    ampere_hours = _mean([m.capacity for m in messages]) or _mean(
        [m.design_capacity for m in messages]
    )
    if not volts or not ampere_hours:
        return None
    drawn = [-m.current * m.voltage for m in messages if m.current < 0]
    return Battery(topic, ampere_hours * volts, _mean(drawn))


def _mean(values: list[float]) -> float | None:
    """Mean of what is more than 0; None where nothing is."""
    known = [value for value in values if math.isfinite(value) and value > 0]
    return float(np.mean(known)) if known else None
