"""The daemon's core: a plan in force, its steps, and the rollback. No sockets, no ROS.

The clocks are *acquired* (their state saved in the undo log, their domains opened) when a plan
comes into force, and *restored* when the plan ends, when steps stop coming, or when the board
refuses a write. Between the two only :meth:`DaemonCore.step` writes, and a step either applies its
whole operating point or leaves the one before.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from e4_ros.energy.client.status_page import MAX_DOMAINS, DaemonState, PageWriter
from e4_ros.energy.daemon.compiled_plan import Target, Transition, compile_plan, narrowed
from e4_ros.energy.daemon.ownership import Ownership
from e4_ros.energy.daemon.undo_log import UndoLog
from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.errors import DeviceGone, DomainError
from e4_ros.energy.plan import FrequencyPlan

_LONGEST = 64  # more than any attribute that holds one number

MAX_FAILURES = 8
"""Steps in a row that may fail (and be rolled back) before the clocks are restored."""


class ClocksLost(DomainError):  # noqa: N818
    """The board no longer accepts operating points; every clock was restored."""


class DaemonCore:
    """Applies the steps of one plan to the domains of one board; safe to use from several threads.

    Args:
        board: name of the board; a plan for another board is refused.
        root: file system root below which the domains were discovered.
        domains: the board's frequency domains; at most 16.
        undo_log: log that keeps the saved state; the caller has locked it.
        page: status page on which the applied frequencies are published.
        limits_hz: domain → lowest and highest frequency allowed, besides the domains' own limits.
        problems: what an earlier daemon's undo log could not restore, one line for each.

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
        problems: Sequence[str] = (),
    ) -> None:
        if len(domains) > MAX_DOMAINS:
            raise ValueError(f'{len(domains)} domains; the daemon handles {MAX_DOMAINS}')
        self.board = board
        self.root = Path(root)
        self.domains = {domain.name: domain for domain in domains}
        self.limits_hz = narrowed(self.domains, limits_hz or {})
        self.plan: FrequencyPlan | None = None
        self._ownership = Ownership(board, self.root, self.domains, undo_log, problems)
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

    @property
    def problems(self) -> list[str]:
        """What could not be restored, one line for each; retried until it can be."""
        return self._ownership.problems

    def refusal(self) -> str:
        """Why the clocks cannot be acquired now; empty when they can."""
        return self._ownership.refusal()

    def applied_hz(self) -> dict[str, int]:
        """Each domain's frequency in hertz, as last written or read."""
        with self._lock:
            return dict(zip(self.domains, self._applied, strict=True))

    def set_plan(self, plan: FrequencyPlan) -> None:
        """Put a plan in force and acquire the clocks that it needs.

        Raises:
            PlanError: the plan does not fit the board; the plan before stays in force.
            DomainError, OSError: the clocks could not be acquired; all are as before, and no plan
                is in force.
        """
        plan.check_board(self.board)
        tables = {name: domain.frequencies_hz for name, domain in self.domains.items()}
        plan.check_domains(tables, self.limits_hz)
        table = compile_plan(plan, self.domains)
        with self._lock:
            if self._ownership.acquired != list(plan.domains):
                self.end()
                self._ownership.acquire(plan.domains)
            self.plan = plan
            self._table = table
            self._current = None
            self._page.set_state(DaemonState.ACTIVE)

    def step(self, path: int, segment: int) -> None:
        """Apply the operating point of a segment; indices that the plan lacks change nothing.

        Args:
            path: index of the exit in the plan's ``exits``.
            segment: index of the segment in the plan's ``segments``.

        Raises:
            ClocksLost: the board refused; every clock was restored and no plan is in force.
        """
        with self._lock:
            current = self._current
            try:
                target = self._table[path][segment]
            except IndexError:
                target = None
            if target is None or target is current:
                self._page.count_skipped()
                return
            transition = None if current is None else current.transition_to(target)
            if transition is None or not self._apply(transition):
                try:
                    target = self._apply_checked(path, segment)
                except OSError as error:
                    self._roll_back(current, error)
                    return
            self._current = target
            self._changes += 1
            self._failures = 0
            self._page.count_applied()

    def rest(self) -> None:
        """Restore the clocks until the next step; the plan stays in force."""
        with self._lock:
            if self._ownership.acquired:
                self._restore_saved()
                self._page.set_state(DaemonState.RESTING)

    def end(self) -> list[str]:
        """Restore the clocks and drop the plan; return what could not be restored."""
        with self._lock:
            self._table, self.plan = [], None
            if self._ownership.acquired:
                self._restore_saved()
            self._page.set_state(DaemonState.IDLE)
            return self._ownership.problems

    def recover(self) -> list[str]:
        """Try once more to restore what is left in the undo log; return what still is.

        An undo log that cannot be used (damaged, another machine's) is such a problem, too.
        """
        with self._lock:
            return self._ownership.retry()

    def refresh(self) -> None:
        """Publish the clocks as they are read; the next step pins anew one that others moved."""
        seen = self._changes
        current = [_current_hz(domain) for domain in self.domains.values()]
        with self._lock:
            if seen == self._changes and current != self._applied:
                self._current = None
                self._applied[:] = current
                self._page.set_clocks(current, time.monotonic_ns())

    def _apply(self, transition: Transition) -> bool:
        """Write, then read back. False: a write failed, and any clock may be at either point."""
        self._current = None
        exact = True
        try:
            for descriptor, text in transition.writes:
                os.pwrite(descriptor, text, 0)
            written_ns = time.monotonic_ns()
            for descriptor, text in transition.writes:
                exact = exact and os.pread(descriptor, _LONGEST, 0) == text
            for slot, domain, hertz in transition.settings:
                self._applied[slot] = hertz if exact else domain.read_back(hertz)
        except OSError:
            return False
        self._page.set_clocks(self._applied, written_ns)
        return True

    def _apply_checked(self, path: int, segment: int) -> Target:
        """Set every domain of a target with all checks; acquires the clocks first if they rest."""
        if not self._ownership.acquired and self.plan is not None:
            self._ownership.acquire(self.plan.domains)
            self._table = compile_plan(self.plan, self.domains)
            self._page.set_state(DaemonState.ACTIVE)
        target = self._table[path][segment]
        assert target is not None
        self._set(target)
        return target

    def _set(self, target: Target) -> None:
        for slot, domain, hertz in target.point:
            self._applied[slot] = domain.set_hz(hertz)
        self._page.set_clocks(self._applied, time.monotonic_ns())

    def _roll_back(self, before: Target | None, error: OSError) -> None:
        """Return to the operating point before a failed step, or else to the saved state."""
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
            raise ClocksLost(f'the clocks were restored, because {last}') from error
        self._current = before

    def _restore_saved(self) -> None:
        self._ownership.restore()
        self._current = None
        self._changes += 1
        self._applied[:] = [_current_hz(domain) for domain in self.domains.values()]
        self._page.set_clocks(self._applied, time.monotonic_ns())


def _current_hz(domain: Domain) -> int:
    try:
        return domain.current_hz()
    except OSError:
        return 0
