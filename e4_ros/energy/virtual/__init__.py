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

"""Virtual boards: a tree of plain files, or a mounted file system with the kernel's rules."""

from e4_ros.energy.virtual.board import board_of, write_tree
from e4_ros.energy.virtual.faults import Fault, FaultError, Faults
from e4_ros.energy.virtual.machine import VirtualMachine
from e4_ros.energy.virtual.mount import MountError, mount_problem, mounted, serve

__all__ = [
    'Fault',
    'FaultError',
    'Faults',
    'MountError',
    'VirtualMachine',
    'board_of',
    'mount_problem',
    'mounted',
    'serve',
    'write_tree',
]
