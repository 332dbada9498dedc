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

"""A laboratory for a robot and an edge server on one machine: two places and what is between them.

Where the kernel lets us, and that is so for plain users on most Linux systems, robot and server
live in network namespaces of their own with a shaped link between them; where it does not, they
are two processes with a relay between them that shapes what it passes on. `open_room` takes the
best that there is and says which. Nothing that this makes outlives the process that made it, not
even when that one is killed: namespaces have no name and end with a process that reads from us,
and a control group that was left is removed by the next one.
"""

from e4_ros.benchmarks.siblings.lab.cpu_share import CpuShare, cpu_share
from e4_ros.benchmarks.siblings.lab.link_shape import LinkShape
from e4_ros.benchmarks.siblings.lab.places import Place, Running, dies_with_us
from e4_ros.benchmarks.siblings.lab.rooms import Room, open_room

__all__ = [
    'CpuShare',
    'LinkShape',
    'Place',
    'Room',
    'Running',
    'cpu_share',
    'dies_with_us',
    'open_room',
]
