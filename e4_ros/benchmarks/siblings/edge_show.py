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

"""What is known of one demonstration of the edge server, in figures; `edge_page` draws it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

from e4_ros.benchmarks.siblings.lab.film import Film
from e4_ros.benchmarks.siblings.lab.frames import AnsweredFrame, Drive
from e4_ros.evaluation.metrics import Counts, Labels
from e4_ros.offload.request import EDGE

LINK, SERVER, BUNDLE = 'link', 'server', 'bundle'
KINDS = (LINK, SERVER, BUNDLE)
WITH, ALONE = 'with a server', 'alone'


@dataclass(frozen=True)
class Happening:
    """Something that was done to the link or the server.

    Attributes:
        at_s: when, in seconds of CLOCK_MONOTONIC.
        kind: one of `KINDS`.
        words: what, for people.
        rate_mbps: rate of the link from then on, megabits a second; None where that stays.
    """

    at_s: float
    kind: str
    words: str
    rate_mbps: float | None = None


@dataclass(frozen=True)
class Show:
    """A robot with a server, and the same robot without, on the same footage at the same time.

    Attributes:
        drives: `WITH` and `ALONE` → what the robot told.
        happenings: what was done, in order.
        began_s: when the camera started, in seconds of CLOCK_MONOTONIC.
        deadline_s: seconds that a frame may take.
        film: what the camera saw.
        reference: judges where nobody drew labels.
        facts: name → value, for people.
        notes: sentences on how this was made.
    """

    drives: Mapping[str, Drive]
    happenings: Sequence[Happening]
    began_s: float
    deadline_s: float
    film: Film
    reference: Labels | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def judged_by(self) -> str:
        """Who says what is right."""
        return 'people' if self.film.labels is not None else 'the full network'

    def counts(self, frames: Sequence[AnsweredFrame]) -> Counts:
        """Boxes that are right, of some frames together."""
        judged = (self.film.judge(f.number, f.answer, self.reference) for f in frames)
        return reduce(add, judged, Counts())

    def f1(self, frames: Sequence[AnsweredFrame]) -> float:
        """F1 of some frames; NaN where there was nothing to be found."""
        counts = self.counts(frames)
        return math.nan if counts.f1 is None else counts.f1

    def totals(self) -> dict[str, dict[str, Any]]:
        """A row of figures for each drive."""
        return {name: self._totals(drive) for name, drive in self.drives.items()}

    def _totals(self, drive: Drive) -> dict[str, Any]:
        asked = drive.requests
        return {
            'received': drive.received,
            'answered': len(drive.frames),
            'dropped': drive.dropped,
            'failed': drive.failed,
            'late': drive.late(self.deadline_s),
            'p50_ms': drive.latency_ms(50),
            'p99_ms': drive.latency_ms(99),
            'max_ms': drive.latency_ms(100),
            'on_the_edge': sum(frame.place == EDGE for frame in drive.frames),
            'requests': len(asked),
            'answers_in_time': sum(request.in_time for request in asked),
            'sent_kb': sum(frame.sent_bytes for frame in drive.frames) / 1e3,
            'board_j_a_frame': drive.mean('energy_j'),
            'radio_j_a_frame': drive.mean('radio_j'),
            'f1': self.f1(drive.frames),
            'judged_by': self.judged_by,
        }
