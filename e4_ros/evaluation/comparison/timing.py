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

"""The time that a comparison runs in: this machine's, or a simulated board's."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A time source that can be waited on."""

    def now(self) -> float:
        """Seconds since some moment; never jumps."""
        ...

    def sleep_until(self, time_s: float) -> None:
        """Wait; returns at once where that moment has passed."""
        ...


class RealClock(Clock):
    """The time of this machine."""

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def sleep_until(self, time_s: float) -> None:
        """Sleep until then."""
        left_s = time_s - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)
