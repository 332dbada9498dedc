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

"""Which camera has a request on its way, what has come back, and how often what happened."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping

from e4_ros.offload.exchange import ANSWERED, EXPIRED, LOST, REFUSED, Answer, Request
from e4_ros.vision.detections import Detections

_MOST_UNTAKEN = 256  # answers that nobody has taken, for each camera; of more the newest stay


class Ledger:
    """Requests and answers of a client, for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._answers: dict[str, list[Answer]] = defaultdict(list)
        self._counts: Counter[str] = Counter()

    def busy(self, camera: str) -> bool:
        """Whether a camera has a request on its way."""
        return camera in self._busy

    def begin(self, camera: str) -> bool:
        """Note that a camera has a request on its way; False where it has one already."""
        with self._lock:
            if camera in self._busy:
                return False
            self._busy.add(camera)
            return True

    def sent(self, size: int) -> None:
        """Note that so many bytes go out."""
        with self._lock:
            self._counts['sent'] += 1
            self._counts['bytes'] += size

    def end(
        self,
        request: Request,
        status: str,
        found: Detections | None = None,
        legs_s: Mapping[str, float] | None = None,
        sent_bytes: int = 0,
        arrived_s: float | None = None,
        reason: str = '',
    ) -> None:
        """Note what became of a request, and make an `Answer` of it."""
        at_s = time.monotonic() if arrived_s is None else arrived_s
        late = at_s > request.deadline_s
        answer = Answer(
            request.stamp_s,
            status,
            found,
            late,
            legs_s or {},
            sent_bytes,
            request.offload.service,
            at_s,
            reason,
            request.camera,
        )
        with self._lock:
            self._counts[status] += 1
            self._counts['late'] += status == ANSWERED and late
            self._busy.discard(request.camera)
            answers = self._answers[request.camera]
            answers.append(answer)
            del answers[:-_MOST_UNTAKEN]

    def take(self, camera: str) -> list[Answer]:
        """What has come for a camera and was not taken yet, in that order."""
        with self._lock:
            return self._answers.pop(camera, [])

    @property
    def counts(self) -> Mapping[str, int]:
        """Requests `sent`, `answered`, of those `late`, `expired`, `refused`, `lost`; `bytes`."""
        names = ('sent', ANSWERED, 'late', EXPIRED, REFUSED, LOST, 'bytes')
        with self._lock:
            return {name: self._counts[name] for name in names}
