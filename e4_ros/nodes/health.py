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

"""What became of every image, and what went wrong lately: counted, and told to /diagnostics."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticStatus

from e4_ros.nodes.diagnostics import status

RECENT_S = 10.0
"""How long an error stays in the diagnostics."""
REPEAT_S = 5.0
"""An error of one kind is told again after so long."""


class Counts(NamedTuple):
    """Images whose fate is known; an image in hand or waiting is in none of them."""

    processed: int = 0
    dropped: int = 0

    @property
    def received(self) -> int:
        """Every image that reached the node and is done with."""
        return self.processed + self.dropped


class Health:
    """Tallies of one activation. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._exits: Counter[str] = Counter()
        self._drops: Counter[str] = Counter()
        self._errors: deque[tuple[float, str]] = deque(maxlen=1000)
        self._told: dict[str, float] = {}
        self._last_image_s = time.monotonic()
        self._came_s: deque[float] = deque(maxlen=10_000)
        self._losses: deque[tuple[float, int]] = deque(maxlen=10_000)
        self._processed = self._dropped = self._lost = 0

    def arrived(self) -> None:
        """Note that an image came."""
        now = time.monotonic()
        with self._lock:
            self._last_image_s = now
            self._came_s.append(now)

    def lost(self, number: int) -> None:
        """Count images that the middleware lost on the way; they were never received."""
        with self._lock:
            self._lost += number
            self._losses.append((time.monotonic(), number))

    @property
    def lost_in_all(self) -> int:
        """Images that were lost on the way since activation."""
        return self._lost

    def lately(self) -> tuple[int, int]:
        """Images that were lost on the way, and images that came, in the last `RECENT_S` s."""
        since = time.monotonic() - RECENT_S
        with self._lock:
            lost = sum(number for when, number in self._losses if when >= since)
            return lost, sum(when >= since for when in self._came_s)

    def processed(self, exit_name: str) -> Counts:
        """Count an answered image; the totals with it, none of another's in between."""
        with self._lock:
            self._exits[exit_name] += 1
            self._processed += 1
            return Counts(self._processed, self._dropped)

    def dropped(self, reason: str) -> None:
        """Count an image without an answer."""
        with self._lock:
            self._drops[reason] += 1
            self._dropped += 1

    def failed(self, error: str) -> bool:
        """Keep an error for a while.

        Returns:
            Whether none of its kind was told in the last `REPEAT_S` seconds; it counts as told now.
        """
        now, kind = time.monotonic(), _kind(error)
        with self._lock:
            self._errors.append((now, error))
            self._told = {k: at for k, at in self._told.items() if now - at < REPEAT_S}
            news = kind not in self._told
            self._told.setdefault(kind, now)
        return news

    def counts(self) -> Counts:
        """Totals since activation."""
        with self._lock:
            return Counts(self._processed, self._dropped)

    def wanted(self) -> int:
        """Images since activation that were to be answered, whether they were or not."""
        with self._lock:
            return self._processed + self._dropped - self._drops['not_needed']

    def silence_s(self) -> float:
        """Seconds since the last image, or since activation."""
        return time.monotonic() - self._last_image_s

    def recent_errors(self) -> dict[str, int]:
        """Errors of the last `RECENT_S` seconds and how often each kind came, the newest first."""
        since = time.monotonic() - RECENT_S
        with self._lock:
            recent = [text for when, text in self._errors if when >= since]
        counts = Counter(map(_kind, recent))
        newest: dict[str, str] = {}
        for text in reversed(recent):
            newest.setdefault(_kind(text), text)
        return {text: counts[kind] for kind, text in newest.items()}

    def status(
        self, complaint: str = '', more: Mapping[str, object] | None = None
    ) -> DiagnosticStatus:
        """Counts, shares of the exits, reasons of drops and recent errors.

        Args:
            complaint: What is wrong besides; empty when nothing is.
            more: What else there is to show: name → value.
        """
        errors = self.recent_errors()
        with self._lock:
            counts = Counts(self._processed, self._dropped)
            exits, drops, lost = dict(self._exits), dict(self._drops), self._lost
        values: dict[str, object] = {
            'frames_received': counts.received,
            'frames_processed': counts.processed,
            'frames_dropped': counts.dropped,
            'lost_before_receipt': lost,
            'lost_lately': self.lately()[0],
        }
        values |= {f'exit_share.{e}': f'{n / counts.processed:.3f}' for e, n in exits.items()}
        values |= {f'dropped.{reason}': number for reason, number in drops.items()}
        values |= more or {}
        values |= {f'error.{i}': f'{n}× {t}' for i, (t, n) in enumerate(errors.items())}
        fine = f'{counts.processed} of {counts.received} images processed'
        return status('images', next(iter(errors), complaint), fine, values)


def _kind(error: str) -> str:
    """What two errors have in common that differ by their numbers alone, such as sizes."""
    return re.sub(r'\d+', '0', error)
