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

"""The daemon's core: what each lease wants, and clocks that serve them all. No sockets, no ROS.

Clocks are *acquired* (their state saved in the undo log, their domains opened) for a lease when its
plan comes into force, and *restored* when nobody wants them any more: the plan ends, its steps stop
coming, or the board refuses a write. Where several leases want a clock, it has the highest of their
frequencies. Between acquiring and restoring only steps write, and a step either applies its whole
operating point or leaves the one before.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import RLock
from typing import NoReturn

from e4_ros.energy.client.status_page import MAX_DOMAINS, DaemonState, PageWriter
from e4_ros.energy.daemon.compiled_plan import (
    SharedTargets,
    Target,
    compile_plan,
    narrowed,
    within,
)
from e4_ros.energy.daemon.lease import Lease
from e4_ros.energy.daemon.ownership import Ownership
from e4_ros.energy.daemon.parked_cpus import ALL
from e4_ros.energy.daemon.pinned_clocks import PinnedClocks
from e4_ros.energy.daemon.undo_log import UndoLog
from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.errors import DeviceGone, DomainError
from e4_ros.energy.plan import FrequencyPlan

_log = logging.getLogger(__name__)

MAX_FAILURES = 8
"""Steps in a row that may fail (and be rolled back) before the lease has its clocks no more."""


class ClocksLost(DomainError):  # noqa: N818
    """The board no longer accepts a lease's operating points; it has no clocks any more."""


class DaemonCore:
    """Applies the steps of leases to the domains of one board; safe to use from several threads.

    Args:
        board: name of the board; a plan for another board is refused.
        root: file system root below which the domains were discovered.
        domains: the board's frequency domains; at most 16.
        undo_log: log that keeps the saved state; the caller has locked it.
        page: status page on which the applied frequencies are published.
        limits_hz: domain → lowest and highest frequency allowed, besides the domains' own limits.
        problems: what an earlier daemon's undo log could not restore, one line for each.
        isochronous_floor: share of the memory's clock that is kept for displays and cameras.
        spare_cpus: numbers of the CPUs that may be switched off while leases need fewer.

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
        isochronous_floor: float = 1.0,
        spare_cpus: Sequence[int] = (),
    ) -> None:
        if len(domains) > MAX_DOMAINS:
            raise ValueError(f'{len(domains)} domains; the daemon handles {MAX_DOMAINS}')
        self.board = board
        self.root = Path(root)
        self.domains = {domain.name: domain for domain in domains}
        self._configured_hz = dict(limits_hz or {})
        narrowed(self.domains, self._configured_hz)
        self._ownership = Ownership(
            board, self.root, self.domains, undo_log, problems, isochronous_floor, spare_cpus
        )
        self._page = page
        self._clocks = PinnedClocks(tuple(domains), page)
        self._lock = RLock()
        self._leases: list[Lease] = []
        self._alone: Lease | None = None  # the only lease that is awake
        self._shared = SharedTargets()
        self._revision = 0
        self._paused = False
        self.refresh()

    @property
    def limits_hz(self) -> dict[str, tuple[int, int]]:
        """Domain → lowest and highest frequency that a plan may use now, in hertz."""
        return within(self.domains, self._configured_hz)

    @property
    def frequencies_hz(self) -> dict[str, tuple[int, ...]]:
        """What a plan may use: each domain's table within its limits."""
        return {
            name: tuple(f for f in self.domains[name].frequencies_hz if low <= f <= high)
            for name, (low, high) in self.limits_hz.items()
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
            return dict(zip(self.domains, self._clocks.applied, strict=True))

    def begin(self, lease: Lease) -> None:
        """Take in a lease: from now on it may have a plan."""
        with self._lock:
            self._ownership.read_limits()
            lease.steps = self._page.open_counters()
            self._leases.append(lease)

    def set_plan(self, lease: Lease, plan: FrequencyPlan) -> None:
        """Put a plan in force for a lease and acquire the clocks that it needs.

        Raises:
            PlanError: the plan does not fit the board; the plan before stays in force.
            DomainError, OSError: the clocks could not be acquired; those of others are as before,
                and the lease has no plan.
        """
        plan.check_board(self.board)
        tables = {name: domain.frequencies_hz for name, domain in self.domains.items()}
        plan.check_domains(tables, self.limits_hz)
        compiled_for = self._revision
        table = compile_plan(plan, self.domains)
        with self._lock:
            if self._revision != compiled_for:
                table = compile_plan(plan, self.domains)
            if lease.plan is None or set(lease.plan.domains) != set(plan.domains):
                lease.target = None
            lease.plan, lease.table, lease.awake = plan, table, not self._paused
            try:
                if lease.awake:
                    self._ownership.acquire(plan.domains)
            except BaseException:
                self._drop_plans(lease)
                raise
            self._settle()

    def step(self, lease: Lease, path: int, segment: int) -> None:
        """Apply the operating point of a segment; indices that the plan lacks change nothing.

        Args:
            lease: whose plan it is.
            path: index of the exit in the plan's ``exits``.
            segment: index of the segment in the plan's ``segments``.

        Raises:
            ClocksLost: the board refused; what the lease had was restored, and it has no plan.
        """
        with self._lock:
            try:
                wanted = lease.table[path][segment]
            except IndexError:
                wanted = None
            if wanted is None:
                lease.steps.count_skipped()
                return
            if lease is self._alone:
                target = wanted
            elif lease.awake:
                target = self._together(lease, wanted)
            else:
                self._wake(lease, path, segment)
                return
            before = self._clocks.target
            if target is before:
                lease.target = wanted
                lease.steps.count_skipped()
                return
            if not self._clocks.change(target):
                self._follow()
                if not lease.awake:
                    self._wake(lease, path, segment)
                    return
                wanted = lease.table[path][segment]
                assert wanted is not None
                try:
                    self._clocks.pin(self._together(lease, wanted))
                except OSError as error:
                    self._roll_back(lease, before, error)
                    return
            lease.target = wanted
            lease.failures = 0
            lease.steps.count_applied()

    def rest(self, lease: Lease) -> None:
        """Want nothing until the lease's next step; its plan stays in force."""
        with self._lock:
            if lease.awake:
                lease.rest()
                self._settle()

    def rest_all(self) -> None:
        """Restore every clock; each lease takes its clocks anew with its next step."""
        with self._lock:
            for lease in self._leases:
                lease.rest()
            self._settle()

    def pause(self) -> None:
        """Restore every clock, and apply no step until :meth:`resume`; leases and plans stay."""
        with self._lock:
            self._paused = True
            self.rest_all()

    def resume(self) -> None:
        """Apply steps again."""
        self._paused = False

    def end(self, *leases: Lease) -> list[str]:
        """Drop leases and what they want; return what could not be restored."""
        with self._lock:
            for lease in leases:
                self._leases.remove(lease)
                self._page.close_counters(lease.steps)
            self._drop_plans(*leases)
            return self._ownership.problems

    def recover(self) -> list[str]:
        """Try once more to restore what is left in the undo log; return what still is.

        An undo log that cannot be used (damaged, another machine's) is such a problem, too.
        """
        with self._lock:
            return self._ownership.retry()

    def follow(self) -> None:
        """Take over at once what others changed: limits, and which CPUs are online.

        What is above a new limit is lowered; plans stay, with what is above it cut off.
        """
        with self._lock:
            self._follow()

    def read_limits(self) -> None:
        """Follow the limits of clocks that nobody has acquired: what the next plan may use."""
        with self._lock:
            self._ownership.read_limits()

    @property
    def holds_clocks(self) -> bool:
        """Whether any clock is acquired, so that others' writes have to be told from its own."""
        return bool(self._ownership.acquired)

    @property
    def waits_for_cpus(self) -> bool:
        """Whether CPUs that are offline have a state to be restored; `recover` tries it."""
        return self._ownership.waits_for_cpus

    def refresh(self) -> None:
        """Publish the clocks as they are read; the next step pins anew one that others moved."""
        self._clocks.refresh(self._lock)

    def _follow(self) -> None:
        changed = self._ownership.take_over()
        if changed:
            self._clocks.target = None  # others have replaced what it says
        if self._recompile() or changed:
            self._settle()

    def _recompile(self) -> bool:
        """Compile every plan anew if a domain's limits or descriptors are others; whether so."""
        revision = sum(domain.revision for domain in self.domains.values())
        if revision == self._revision:
            return False
        self._revision = revision
        for lease in self._leases:
            if lease.plan is not None:
                table = compile_plan(lease.plan, self.domains)
                rows = zip(lease.table, table, strict=True)
                same = {old: new for pair in rows for old, new in zip(*pair, strict=True)}
                lease.target = same.get(lease.target)
                lease.table = table
        self._shared.clear()
        return True

    def _together(self, lease: Lease, wanted: Target) -> Target:
        """What all leases want, if this one wants `wanted`."""
        targets = tuple(
            wanted if other is lease else other.target
            for other in self._leases
            if other is lease or other.target is not None
        )
        return self._shared.highest(targets)  # type: ignore[arg-type]

    def _wake(self, lease: Lease, path: int, segment: int) -> None:
        """Acquire what a lease needs that rested, and apply its step with all checks."""
        if self._paused:
            lease.steps.count_skipped()
            return
        assert lease.plan is not None
        try:
            self._ownership.acquire(lease.plan.domains)
            self._recompile()
            wanted = lease.table[path][segment]
            assert wanted is not None
            self._clocks.pin(self._together(lease, wanted))
        except OSError as error:
            lease.steps.count_failed()
            self._lose(lease, error)
        lease.awake, lease.target = True, wanted
        lease.failures = 0
        lease.steps.count_applied()
        self._settle()

    def _settle(self) -> None:
        """After leases woke, rest or ended: the clocks that are wanted now, the others restored."""
        awake = [lease for lease in self._leases if lease.awake]
        self._alone = awake[0] if len(awake) == 1 else None
        self._shared.clear()
        wanted = {domain.name for t in _targets(awake) for _, domain, _ in t.point}
        needed = {name for lease in awake if lease.plan for name in lease.plan.domains}
        unwanted = (self._clocks.pinned - wanted) | ({*self._ownership.acquired} - needed)
        try:
            if unwanted:
                self._ownership.restore(unwanted)
                self._clocks.forget(unwanted)
                # Some may be open for a lease that has not stepped yet.
                self._ownership.acquire(needed)
            self._recompile()
            if targets := _targets(awake):
                self._clocks.keep(self._shared.highest(targets))
        except OSError as error:
            _log.error('every clock is restored, because %s', error)
            self.rest_all()
            return
        needs = [lease.cpus for lease in awake]
        self._ownership.need_cpus(ALL if ALL in needs else max(needs, default=ALL))
        has_plan = any(lease.plan for lease in self._leases)
        if not has_plan:
            self._ownership.forget()
        state = DaemonState.RESTING if has_plan else DaemonState.IDLE
        self._page.set_state(DaemonState.ACTIVE if awake else state)

    def _drop_plans(self, *leases: Lease) -> None:
        for lease in leases:
            lease.plan, lease.table = None, []
            lease.rest()
        self._settle()

    def _roll_back(self, lease: Lease, before: Target | None, error: OSError) -> None:
        """Return to the operating point before a failed step, or else take the lease's clocks."""
        lease.steps.count_failed()
        lease.failures += 1
        try:
            if before is None or isinstance(error, DeviceGone) or lease.failures > MAX_FAILURES:
                raise error
            self._clocks.bring_back(before)
        except OSError as last:
            self._lose(lease, last)

    def _lose(self, lease: Lease, error: OSError) -> NoReturn:
        self._drop_plans(lease)
        raise ClocksLost(f'the clocks were restored, because {error}') from error


def _targets(leases: Sequence[Lease]) -> tuple[Target, ...]:
    return tuple(lease.target for lease in leases if lease.target is not None)
