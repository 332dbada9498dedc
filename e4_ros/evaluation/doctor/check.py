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

"""One line of a checkup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal['ok', 'optional', 'missing']


@dataclass(frozen=True)
class Check:
    """One line of the checkup.

    Attributes:
        group: ``software``, ``clocks``, ``energy`` or ``access``; where it is asked what could
            sleep, ``chip``, ``around`` or ``buses``.
        name: Name of the thing that was checked.
        state: ``ok``: present; ``optional``: absent but not needed; ``missing``: absent and needed.
        found: What was found.
        advice: What to do where something is absent.
    """

    group: str
    name: str
    state: State
    found: str
    advice: str = ''
