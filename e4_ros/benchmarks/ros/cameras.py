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

"""Two cameras in one perception node against one: memory, and shares where there is too much."""

from __future__ import annotations

from typing import Any

from e4_ros.benchmarks.node_processes import RATE_HZ
from e4_ros.benchmarks.start.measure import run_perception

CAMERAS = ('front', 'rear')
RSS_BAR, SHARE_BAR = 1.15, 1.1
_BUSY_HZ = 60.0
_EVERY_IMAGE = ('controller:=full', 'threads:=1')  # the network runs on every image


def measure(seconds: float) -> dict[str, Any]:
    """Peak memory of two cameras by that of one, and the shares of two of one rate.

    Args:
        seconds: Of each of the three runs, from the first answers on.
    """
    one = run_perception(seconds)
    two = run_perception(seconds, cameras=CAMERAS)
    busy = run_perception(seconds, cameras=CAMERAS, rate_hz=_BUSY_HZ, parameters=_EVERY_IMAGE)
    # The one that was discovered first had the network for itself until the other came.
    began = max(busy.answered.index(name) for name in CAMERAS)
    taken = [busy.answered[began:].count(name) for name in CAMERAS]
    return {
        'rss_ratio': round(two.rss_mb / one.rss_mb, 3),
        'share_ratio': round(max(taken) / min(taken), 3),
        'rss_mb': {'one': round(one.rss_mb, 1), 'two': round(two.rss_mb, 1)},
        'rate_hz': RATE_HZ,
        'answered': {name: _share(two.counts[name]) for name in CAMERAS},
        'overload': {
            'rate_hz': _BUSY_HZ,
            'answered': {name: _share(busy.counts[name]) for name in CAMERAS},
            'answered_since_both_send': dict(zip(CAMERAS, taken, strict=True)),
        },
    }


def _share(counts: tuple[int, int]) -> float:
    received, processed = counts
    return round(processed / max(received, 1), 3)
