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

"""What a link is like at one moment."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LinkShape:
    """A link, the same in both directions.

    Attributes:
        rate_bps: bits a second; infinite: as fast as the machine is.
        loss: share of the packets that are lost at random, 0 to 1.
        every: of so many packets one is lost, in turn; 0: none.
        delay_s: seconds that everything takes, one way.
        up: whether anything passes at all.
    """

    rate_bps: float = math.inf
    loss: float = 0.0
    every: int = 0
    delay_s: float = 0.0
    up: bool = True

    def __post_init__(self) -> None:
        if not self.rate_bps > 0:
            raise ValueError(f'a rate of {self.rate_bps} bit/s is none; a link without is not up')
        if not 0 <= self.loss <= 1:
            raise ValueError(f'a loss of {self.loss} is not within 0 to 1')
        if self.every < 0 or self.every == 1:
            raise ValueError('every must be 0, or 2 and more: a link that loses all is not up')
        if not 0 <= self.delay_s < math.inf:
            raise ValueError(f'a delay of {self.delay_s} s is none')

    def __str__(self) -> str:
        if not self.up:
            return 'down'
        rate = 'unlimited' if math.isinf(self.rate_bps) else f'{self.rate_bps / 1e6:g} Mbit/s'
        words = [rate]
        if self.loss:
            words.append(f'{self.loss:.0%} lost')
        if self.every:
            words.append(f'one of {self.every} packets lost')
        if self.delay_s:
            words.append(f'{self.delay_s * 1e3:g} ms')
        return ', '.join(words)
