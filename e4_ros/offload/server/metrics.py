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

"""What an edge server has done, in figures."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from typing import Any

import numpy as np

_MOST_KEYS = 200  # services and cuts whose times are told in every greeting
_KEPT = 256  # last requests that figures are made of


class Metrics:
    """Counts and times, for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._times: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_KEPT))
        self._runs: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=9))
        self._robots: dict[tuple[str, str], int] = {}

    def count(self, status: str, sent_bytes: int = 0, reason: str = '') -> None:
        """A request of so many bytes came to an end; a refusal has a reason, a short one."""
        with self._lock:
            self._counts[status] += 1
            self._counts['bytes'] += sent_bytes
            if reason and (reason in self._reasons or len(self._reasons) < 32):
                self._reasons[reason] += 1

    def saw(self, robot: str, camera: str) -> None:
        """A camera of a robot has asked."""
        with self._lock:
            if (robot, camera) in self._robots or len(self._robots) < 1024:
                self._robots[robot, camera] = self._robots.get((robot, camera), 0) + 1

    def took(self, key: str, queue_s: float, run_s: float, batch: int) -> None:
        """A request of a service (or a cut) was answered after so many seconds, in a batch."""
        with self._lock:
            self._times['queue'].append(queue_s)
            self._times['run'].append(run_s)
            self._times['batch'].append(batch)
            if key in self._runs or len(self._runs) < _MOST_KEYS:
                self._runs[key].append(run_s)

    def run_s(self) -> dict[str, float]:
        """Median seconds that each service, or cut, took of late."""
        with self._lock:
            return {key: float(np.median(took)) for key, took in self._runs.items()}

    def snapshot(self) -> dict[str, Any]:
        """All figures, as JSON can hold them."""
        with self._lock:
            times = {name: list(values) for name, values in self._times.items()}
            return {
                'answered': self._counts['answered'],
                'expired': self._counts['expired'],
                'refused': self._counts['refused'],
                'bytes': self._counts['bytes'],
                'refusals': dict(self._reasons),
                'cameras': len(self._robots),
                'robots': len({robot for robot, _ in self._robots}),
                **{f'{leg}_ms': _percentiles(times.get(leg, [])) for leg in ('queue', 'run')},
                'batch': float(np.mean(times['batch'])) if times.get('batch') else 0.0,
            }


def _percentiles(seconds: list[float]) -> Mapping[str, float]:
    if not seconds:
        return {}
    p50, p95 = np.percentile(seconds, (50, 95)) * 1e3
    return {'p50': round(float(p50), 3), 'p95': round(float(p95), 3)}
