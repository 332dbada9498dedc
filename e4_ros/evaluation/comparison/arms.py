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

"""The four ways that are compared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Arm:
    """One way to answer frames.

    Attributes:
        name: Its name in files.
        title: What it is, for people.
        exits: Whether frames may be answered early; else the full network with the same tracker.
        clocks: Whether the clocks follow a plan; else the kernel's governors have them, as found.
    """

    name: str
    title: str
    exits: bool
    clocks: bool

    @property
    def controller(self) -> str:
        """The controller that decides so."""
        if self.exits:
            return 'e4' if self.clocks else 'exits'
        return 'plan' if self.clocks else 'full'


STOCK = Arm('stock', 'governors as found, full network with tracker', False, False)
LADDER = Arm('ladder', 'early exits only', True, False)
CLOCKS = Arm('clocks', 'clocks only', False, True)
BOTH = Arm('both', 'early exits and clocks', True, True)

ARMS = (STOCK, LADDER, CLOCKS, BOTH)
"""All of them; the first is what the others are compared with."""
