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

"""What costs were measured for, and plans made for: the board, its power mode, the network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """Where measured costs hold. The devices of the segments stand in tables and plans themselves.

    Attributes:
        board: name of the board.
        power_mode: key of the power mode (`energy.power_mode.SeenMode.key`); empty where the board
            has none.
        bundle: fingerprint of the network's files and precision; empty where nobody wrote it down.
    """

    board: str
    power_mode: str = ''
    bundle: str = ''

    def differs(self, here: Identity) -> str:
        """What tells it from ``here``, in words; empty where both are the same."""
        found = []
        if self.board != here.board:
            found.append(f'board {self.board}, this is {here.board}')
        elif self.power_mode != here.power_mode:
            found.append(f'{_mode(self.power_mode)}, the board is in {_mode(here.power_mode)} now')
        if self.bundle != here.bundle:
            network = f'network files {self.bundle}' if self.bundle else 'unnamed network files'
            found.append(f'{network}, those here are {here.bundle or "unnamed"}')
        return ' and '.join(found)


def _mode(key: str) -> str:
    return f'power mode {key}' if key else 'no power mode'
