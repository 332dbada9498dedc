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

"""The only process that writes sysfs: leases, plans, the undo log, recovery."""

from e4_ros.energy.daemon.access import SocketPathError
from e4_ros.energy.daemon.daemon import Daemon, DaemonConfig, parse_limits
from e4_ros.energy.daemon.hold_point import HeldPoint, hold, leased, parse_hz, parse_point
from e4_ros.energy.daemon.lease import LeaseError
from e4_ros.energy.daemon.recovery import recover
from e4_ros.energy.daemon.undo_log import DaemonRunning, UndoLog, UndoLogError

__all__ = [
    'Daemon',
    'DaemonConfig',
    'DaemonRunning',
    'HeldPoint',
    'LeaseError',
    'SocketPathError',
    'UndoLog',
    'UndoLogError',
    'hold',
    'leased',
    'parse_hz',
    'parse_limits',
    'parse_point',
    'recover',
]
