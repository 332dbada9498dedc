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

"""The clocks as they are pinned: changed from one target to another, read back, published."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

from e4_ros.energy.client.status_page import PageWriter
from e4_ros.energy.daemon.compiled_plan import Target, Transition
from e4_ros.energy.domains.domain import UNKNOWN_HZ, Domain

_LONGEST = 64  # more than any attribute that holds one number


class PinnedClocks:
    """The clocks of one board; not safe to use from several threads.

    Args:
        domains: the board's domains, in the order of the status page.
        page: status page on which the frequencies are published.

    Attributes:
        target: what the clocks are pinned to; None where any of them may be elsewhere.
        pinned: names of the domains that were set since they were opened.
        applied: frequency of each domain in hertz, as last written or read.
    """

    def __init__(self, domains: Sequence[Domain], page: PageWriter) -> None:
        self.target: Target | None = None
        self.pinned: set[str] = set()
        self.applied = [0] * len(domains)
        self._domains = domains
        self._page = page
        self._changes = 0

    def change(self, target: Target) -> bool:
        """Pin to another target by bare writes.

        Returns:
            Whether it was done. It was not where there are none, one failed, or somebody else wrote
            a file that they would replace; `pin` then does it, or says what is wrong.
        """
        before = self.target
        transition = None if before is None else before.transition_to(target)
        self.target = None
        self._changes += 1
        if transition is None or not self._write(transition):
            return False
        self.target = target
        return True

    def keep(self, target: Target) -> None:
        """Pin to a target unless the clocks are there, be it on the way of another object.

        Raises:
            OSError: as for `pin`.
        """
        if self.target is None or self.target.point != target.point:
            self.pin(target)
        self.target = target

    def pin(self, target: Target) -> None:
        """Set every domain of a target with all checks.

        Raises:
            OSError: a write failed; any clock may be where it was or where it should be.
        """
        self.target = None
        for slot, domain, hertz in target.point:
            self.pinned.add(domain.name)
            self.applied[slot] = domain.set_hz(hertz)
        self._publish()
        self.target = target

    def bring_back(self, target: Target) -> None:
        """Return to the target before a change that failed.

        Raises:
            OSError: as for `pin`.
        """
        self.target = None
        # Limits may have changed since.
        point = tuple((slot, domain, domain.clamped(hz)) for slot, domain, hz in target.point)
        for slot, domain, hertz in point:
            # What the failed change did not reach may go on refusing writes, and needs none.
            if domain.read_back(hertz) != hertz:
                self.applied[slot] = domain.set_hz(hertz)
        self._publish()
        self.target = target if point == target.point else None

    def forget(self, names: set[str]) -> None:
        """Know that domains were restored, and read every clock anew."""
        self.target = None
        self.pinned -= names
        self.applied[:] = self._read()
        self._publish()

    def refresh(self, lock: AbstractContextManager[object]) -> None:
        """Publish the clocks as they are read; the next change pins anew one that others moved.

        Args:
            lock: held while clocks are changed; reading may take long, and is done without it.
        """
        seen = self._changes
        current = self._read()
        with lock:
            if seen == self._changes and current != self.applied:
                self.target = None
                self.applied[:] = current
                self._page.set_clocks(current, time.monotonic_ns())

    def _write(self, transition: Transition) -> bool:
        """Write, then read back. False: a write failed, and any clock may be at either point.

        Also False, and nothing was written, where somebody else wrote since.
        """
        applied = self.applied
        exact = True
        try:
            for descriptor, value, slack in transition.checks:
                if abs(int(os.pread(descriptor, _LONGEST, 0)) - value) > slack:
                    return False
            for descriptor, text in transition.writes:
                os.pwrite(descriptor, text, 0)
            written_ns = time.monotonic_ns()
            for descriptor, text in transition.writes:
                exact = exact and os.pread(descriptor, _LONGEST, 0) == text
            for slot, domain, hertz in transition.settings:
                domain.pinned_hz = hertz
                applied[slot] = hertz if exact else domain.read_back(hertz)
                domain.settled_hz = applied[slot]
        except (OSError, ValueError):
            for _, domain, _ in transition.settings:
                domain.pinned_hz = UNKNOWN_HZ
            return False
        self._page.set_clocks(applied, written_ns)
        return True

    def _publish(self) -> None:
        self._changes += 1
        self._page.set_clocks(self.applied, time.monotonic_ns())

    def _read(self) -> list[int]:
        return [_current_hz(domain) for domain in self._domains]


def _current_hz(domain: Domain) -> int:
    try:
        return domain.current_hz()
    except OSError:
        return 0
