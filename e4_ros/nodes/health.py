"""What became of every image, and what went wrong lately: counted, and told to /diagnostics."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

RECENT_S = 10.0
"""How long an error stays in the diagnostics."""


@dataclass(frozen=True)
class Counts:
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
        self._errors: deque[tuple[float, str]] = deque(maxlen=20)
        self._last_image_s = time.monotonic()

    def arrived(self) -> None:
        """Note that an image came."""
        self._last_image_s = time.monotonic()

    def processed(self, exit_name: str) -> Counts:
        """Count an answered image."""
        with self._lock:
            self._exits[exit_name] += 1
        return self.counts()

    def dropped(self, reason: str, error: str = '') -> None:
        """Count an image without an answer; ``error`` is kept for a while."""
        with self._lock:
            self._drops[reason] += 1
            if error:
                self._errors.append((time.monotonic(), error))

    def counts(self) -> Counts:
        """Totals since activation."""
        with self._lock:
            return Counts(self._exits.total(), self._drops.total())

    def silence_s(self) -> float:
        """Seconds since the last image, or since activation."""
        return time.monotonic() - self._last_image_s

    def recent_errors(self) -> dict[str, int]:
        """Errors of the last `RECENT_S` seconds and how often each came."""
        since = time.monotonic() - RECENT_S
        with self._lock:
            return dict(Counter(text for when, text in self._errors if when >= since))

    def frames_status(self, name: str, complaint: str = '') -> DiagnosticStatus:
        """Counts, shares of the exits, reasons of drops and recent errors.

        Args:
            name: Name of the status.
            complaint: What is wrong besides; empty when nothing is.
        """
        errors = self.recent_errors()
        counts = self.counts()
        with self._lock:
            exits, drops = dict(self._exits), dict(self._drops)
        values: dict[str, object] = {
            'frames_received': counts.received,
            'frames_processed': counts.processed,
            'frames_dropped': counts.dropped,
        }
        values |= {f'exit_share.{e}': f'{n / counts.processed:.3f}' for e, n in exits.items()}
        values |= {f'dropped.{reason}': number for reason, number in drops.items()}
        values |= {f'error.{i}': f'{n}× {t}' for i, (t, n) in enumerate(errors.items())}
        wrong = next(iter(errors), '') or complaint
        return status(
            name,
            DiagnosticStatus.WARN if wrong else DiagnosticStatus.OK,
            wrong or f'{counts.processed} of {counts.received} images processed',
            values,
        )


def status(
    name: str, level: bytes, message: str, values: Mapping[str, object] | None = None
) -> DiagnosticStatus:
    """Build a status; values are turned into text."""
    pairs = [KeyValue(key=key, value=str(item)) for key, item in (values or {}).items()]
    return DiagnosticStatus(name=name, level=level, message=message, values=pairs)
