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

"""What is known of the machine that a lease is on, beyond what the daemon says."""

from __future__ import annotations

from typing import NamedTuple

from e4_ros.energy.boards import Board, BoardError
from e4_ros.energy.identify import identify, machine_board
from e4_ros.energy.power_mode import read_power_mode


class Machine(NamedTuple):
    """The power mode, and the description.

    Attributes:
        power_mode: key of the power mode; empty where the board has none.
        described: the board with the machine's own clocks, in that mode; None where the daemon was
            told another name than the machine's own.
    """

    power_mode: str = ''
    described: Board | None = None


def see_machine(board: str, root: str) -> Machine:
    """Look at the files below ``root``.

    Args:
        board: name of the board, as the daemon has it.
        root: folder that holds the machine's ``sys/``.
    """
    mode = power_mode(root)
    try:
        return Machine(mode, machine_board(root) if identify(root) == board else None)
    except BoardError:
        return Machine(mode)


def power_mode(root: str) -> str:
    """Key of the power mode; empty where the board has none."""
    seen = read_power_mode(root)
    return '' if seen is None else seen.key
