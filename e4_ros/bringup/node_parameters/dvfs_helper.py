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

"""The parameters of the DVFS daemon's node."""

from __future__ import annotations

from e4_ros.bringup.node_parameters.common import AUTOSTART
from e4_ros.bringup.parameter_spec import ParameterSpec

PARAMETERS = (
    AUTOSTART,
    ParameterSpec(
        'board',
        '',
        'A simulated board of config/boards, served from a temporary folder; empty for the '
        "machine's own clocks.",
    ),
    ParameterSpec(
        'sysfs_root', '/', 'Folder that holds sys/; another than / for a mounted virtual board.'
    ),
    ParameterSpec(
        'state_dir',
        '',
        'Folder of the undo log, writable by this user only; empty for /run/e4 or the '
        "user's runtime folder.",
    ),
    ParameterSpec(
        'socket_path', '', 'Where clients connect; empty for $E4_SOCKET or helper.sock in /run/e4.'
    ),
    ParameterSpec('group', '', 'Group that may connect to the socket; empty for this user only.'),
    ParameterSpec(
        'limits',
        [''],
        "Limits besides the machine's own, like gpu=306000000..612000000 (hertz).",
    ),
    ParameterSpec(
        'watchdog_s', 2.0, 'Without a step for so long, the original clocks return.', 0.05, 3600.0
    ),
    ParameterSpec(
        'idle_lease_s',
        30.0,
        'Without a step for so long, a lease ends if it leaves another client no room.',
        0.1,
        86400.0,
    ),
    ParameterSpec(
        'over_temperature_c',
        95.0,
        'From this temperature on, the original clocks return and no lease is given out.',
        30.0,
        130.0,
    ),
    ParameterSpec(
        'isochronous_floor',
        1.0,
        "Share of the memory's highest clock that it keeps while a display is on or a camera on "
        'CSI streams: they tear or lose images where it is too slow for them. Lower it once you '
        'know what yours need; 0 looks for none.',
        0.0,
        1.0,
    ),
    ParameterSpec(
        'spare_cpus',
        '',
        'CPUs that may be switched off while no lease needs them, like 4-7; perception says how '
        'many it needs (cpus_needed). Empty: all stay online.',
    ),
    ParameterSpec(
        'realtime_priority',
        10,
        'SCHED_FIFO priority of the thread that applies steps, where permitted; 0 for none.',
        0,
        50,
    ),
    ParameterSpec('publish_rate_hz', 10.0, 'Most messages a second on each topic.', 0.1, 100.0),
)
