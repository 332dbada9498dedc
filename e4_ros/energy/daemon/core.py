"""The helper's core: a plan in force, its steps, and the way back. No sockets, no ROS.

The clocks are *taken* (originals journalled, domains opened) when a plan comes into force and
*given back* when the plan ends, steps stop coming, or the board refuses. Between the two only
:meth:`DaemonCore.step` writes, and a step either brings its whole operating point or leaves the one
before.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from e4_ros.energy.client.status_page import MAX_DOMAINS, PageWriter, State
from e4_ros.energy.daemon.compiled_plan import Target, Way, compile_plan, narrowed
from e4_ros.energy.daemon.ownership import Ownership
from e4_ros.energy.daemon.undo_log import UndoLog
from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.errors import DeviceGone, DomainError
from e4_ros.energy.plan import FrequencyPlan

_LONGEST = 64  # more than any attribute that holds one number

MAX_FAILURES = 8
"""Steps in a row that may fail (and be undone) before the clocks are given back."""


class ClocksLost(DomainError):  # noqa: N818
    """The board no longer takes operating points; everything was given back."""


class DaemonCore:
    """Applies the steps of one plan to the domains of one board; safe to use from several threads.

    Args:
        board: name of the board, which plans must carry.
        root: the root the domains were discovered below.
        domains: what was discovered; at most 16.
        undo_log: where originals are kept; already locked by the caller.
        page: where the applied clocks are shown.
        limits_hz: domain → lowest and highest frequency allowed, besides the domains' own limits.

    Raises:
        ValueError: limits for a domain that the board does not have, or that leave it nothing.
    """

    def __init__(
        self,
        board: str,
        root: str | Path,
        domains: Sequence[Domain],
        undo_log: UndoLog,
        page: PageWriter,
        limits_hz: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        if len(domains) > MAX_DOMAINS:
            raise ValueError(f'{len(domains)} domains; the helper handles {MAX_DOMAINS}')
        self.board = board
        self.root = Path(root)
        self.domains = {domain.name: domain for domain in domains}
        self.limits_hz = narrowed(self.domains, limits_hz or {})
        self.plan: FrequencyPlan | None = None
        self.ownership = Ownership(board, self.root, self.domains, undo_log)
        self._page = page
        self._lock = threading.RLock()
        self._table: list[list[Target | None]] = []
        self._current: Target | None = None
        self._applied = [0] * len(domains)
        self._failures = 0
        self._changes = 0
        self.refresh()

    @property
    def frequencies_hz(self) -> dict[str, tuple[int, ...]]:
        """What a plan may use: each domain's table within its limits."""
        return {
            name: tuple(f for f in domain.frequencies_hz if low <= f <= high)
            for name, domain in self.domains.items()
            for low, high in [self.limits_hz[name]]
        }

    def applied_hz(self) -> dict[str, int]:
        """The clocks as last written or seen."""
        with self._lock:
            return dict(zip(self.domains, self._applied, strict=True))

    def set_plan(self, plan: FrequencyPlan) -> None:
        """Put a plan in force and take the clocks it needs.

        Raises:
            PlanError: it does not fit the board; the plan before stays in force.
            DomainError, OSError: the clocks could not be taken; all are as before, without a plan.
        """
        plan.check_board(self.board)
        tables = {name: domain.frequencies_hz for name, domain in self.domains.items()}
        plan.check_domains(tables, self.limits_hz)
        table = compile_plan(plan, self.domains)
        with self._lock:
            if self.ownership.taken != list(plan.domains):
                self.end()
                self.ownership.take(plan.domains)
            self.plan = plan
            self._table = table
            self._current = None
            self._page.set_state(State.ACTIVE)

    def step(self, path: int, segment: int) -> None:
        """Bring the clocks of a segment on the way to an exit; what the plan lacks changes nothing.

        Raises:
            ClocksLost: the board refused; everything was given back and no plan is in force.
        """
        with self._lock:
            here = self._current
            try:
                target = self._table[path][segment]
            except IndexError:
                target = None
            if target is None or target is here:
                self._page.count_skipped()
                return
            way = None if here is None else here.ways.get(target) or here.way_to(target)
            if way is None or not self._go(way):
                try:
                    target = self._bring(path, segment)
                except OSError as error:
                    self._undo(here, error)
                    return
            self._current = target
            self._changes += 1
            self._failures = 0
            self._page.count_applied()

    def rest(self) -> None:
        """Give the clocks back until the next step; the plan stays in force."""
        with self._lock:
            if self.ownership.taken:
                self._give_back()
                self._page.set_state(State.RESTING)

    def end(self) -> list[str]:
        """Give the clocks back and forget the plan; return what did not come back."""
        with self._lock:
            self._table, self.plan = [], None
            if self.ownership.taken:
                self._give_back()
            self._page.set_state(State.IDLE)
            return self.ownership.problems

    def recover(self) -> list[str]:
        """Bring back what a journal holds; return (and remember) what did not come back.

        Raises:
            JournalError: the journal is damaged or another machine's; nothing was written.
        """
        with self._lock:
            return self.ownership.recover()

    def refresh(self) -> None:
        """Read the clocks and show what they really are; a pin that was lost is renewed later."""
        seen = self._changes
        current = [_current_hz(domain) for domain in self.domains.values()]
        with self._lock:
            if seen == self._changes and current != self._applied:
                self._current = None
                self._applied[:] = current
                self._page.set_clocks(current, time.monotonic_ns())

    def _go(self, way: Way) -> bool:
        """Write first, then see what stuck. False: a write failed, and the clocks are anywhere."""
        self._current = None
        exact = True
        try:
            for descriptor, text in way.writes:
                os.pwrite(descriptor, text, 0)
            written_ns = time.monotonic_ns()
            for descriptor, text in way.writes:
                exact = exact and os.pread(descriptor, _LONGEST, 0) == text
            for slot, domain, hertz in way.clocks:
                self._applied[slot] = hertz if exact else domain.read_back(hertz)
        except OSError:
            return False
        self._page.set_clocks(self._applied, written_ns)
        return True

    def _bring(self, path: int, segment: int) -> Target:
        """Set every domain of a target, by the rules; takes the clocks first if they rest."""
        if not self.ownership.taken and self.plan is not None:
            self.ownership.take(self.plan.domains)
            self._table = compile_plan(self.plan, self.domains)
            self._page.set_state(State.ACTIVE)
        target = self._table[path][segment]
        assert target is not None
        self._set(target)
        return target

    def _set(self, target: Target) -> None:
        for slot, domain, hertz in target.point:
            self._applied[slot] = domain.set_hz(hertz)
        self._page.set_clocks(self._applied, time.monotonic_ns())

    def _undo(self, before: Target | None, error: OSError) -> None:
        """Bring the operating point before a failed step back, or else the originals."""
        self._page.count_failed()
        self._failures += 1
        self._current = None
        try:
            if before is None or isinstance(error, DeviceGone) or self._failures > MAX_FAILURES:
                raise error
            for slot, domain, hertz in before.point:
                # What the failed step did not reach may go on refusing writes, and needs none.
                if domain.read_back(hertz) != hertz:
                    self._applied[slot] = domain.set_hz(hertz)
            self._page.set_clocks(self._applied, time.monotonic_ns())
        except OSError as last:
            self.end()
            raise ClocksLost(f'the clocks were given back, because {last}') from error
        self._current = before

    def _give_back(self) -> None:
        self.ownership.give_back()
        self._current = None
        self._changes += 1
        self._applied[:] = [_current_hz(domain) for domain in self.domains.values()]
        self._page.set_clocks(self._applied, time.monotonic_ns())


def _current_hz(domain: Domain) -> int:
    try:
        return domain.current_hz()
    except OSError:
        return 0
