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
"""What cameras' frames take on one device, as it was measured there: tracks, batches, instances."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from e4_ros.vision.inference.batch_times import BatchTable


@dataclass(frozen=True)
class CameraCosts:
    """Seconds of batches of one network on one device.

    Attributes:
        device: what it was measured on, for people.
        run_s: (frames of a batch, instances that run at the same time) → seconds until all of them
            are done; instances share the cores.
        track_s: seconds of a frame that the tracks answer; the network's frames take them, too.
        pays: whether more frames than one at a time may be worth it.

    Raises:
        ValueError: there is no batch of one in one instance, or a number is not above 0.
    """

    device: str
    run_s: Mapping[tuple[int, int], float]
    track_s: float
    pays: bool = True

    def __post_init__(self) -> None:
        if (1, 1) not in self.run_s:
            raise ValueError('a table of batches has no batch of one in one instance')
        numbers = [self.track_s, *self.run_s.values(), *(n for cell in self.run_s for n in cell)]
        if not all(0 < number < math.inf for number in numbers):
            raise ValueError('a table of batches has a number that is not above 0')

    @classmethod
    def of(cls, tables: Sequence[BatchTable], track_s: float) -> CameraCosts:
        """From tables of one device, each measured with the threads that its sessions have.

        Args:
            tables: one for each number of instances.
            track_s: seconds of the tracks.
        """
        run_s = {(t.batch, t.sessions): t.run_s for table in tables for t in table.times}
        return cls(tables[0].device, run_s, track_s, any(table.pays for table in tables))

    @property
    def full_s(self) -> float:
        """Seconds of one frame by the network alone."""
        return self.run_s[1, 1]

    def rate_hz(self, batch: int, instances: int) -> float:
        """Frames a second."""
        return batch * instances / self.run_s[batch, instances]

    @property
    def gain(self) -> float:
        """Frames a second of the best batch and instances, by those of one frame at a time."""
        return max(self.rate_hz(*cell) for cell in self.run_s) / self.rate_hz(1, 1)

    def seconds(self, frames: int, instances: int = 1) -> float:
        """What so many frames take: in the smallest batch that holds them, or in several of these.

        Args:
            frames: how many.
            instances: how many may run at the same time.
        """
        best = math.inf
        for (batch, parallel), run_s in self.run_s.items():
            if parallel <= instances:
                best = min(best, math.ceil(frames / (batch * parallel)) * run_s)
        return best
