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

"""What on this machine could sleep and does not: one line each, with the operator's command.

Nothing is changed here, and only sysfs and procfs are read: what belongs to the operating system
is the operator's to switch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from e4_ros.evaluation.doctor.check import Check
from e4_ros.evaluation.doctor.power_buses import nvme, pci, usb
from e4_ros.evaluation.doctor.power_chip import cores, gpus, idle_states, memory
from e4_ros.evaluation.doctor.power_periphery import displays, radios, sound


def check_power(
    root: Path = Path('/'), look_s: float = 1.0, sleep: Callable[[float], None] = time.sleep
) -> list[Check]:
    """Look at everything that could sleep; what is not here has no line.

    Args:
        root: Folder that holds ``sys`` and ``proc``.
        look_s: How long the CPUs' idle states are watched.
        sleep: Waits for so many seconds.

    Returns:
        ``ok`` for what sleeps where it can, ``optional`` for what could and does not.
    """
    parts: tuple[Callable[[Path], Iterator[Check]], ...] = (
        partial(idle_states, look_s=look_s, sleep=sleep),
        cores,
        gpus,
        memory,
        displays,
        radios,
        sound,
        usb,
        pci,
        nvme,
    )
    return [check for part in parts for check in part(root)]
