"""The helper's core: a plan in force, its steps, and the way back. No sockets, no ROS.

The clocks are *taken* (originals journalled, domains opened) when a plan comes into force and
*given back* when the plan ends, steps stop coming, or the board refuses. Between the two only
:meth:`HelperCore.step` writes, and a step either brings its whole operating point or leaves the one
before.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from e4_ros.energy.domains import DeviceGone, Domain, DomainError
from e4_ros.energy.journal import Entry, Journal, JournalError, Record, boot_id
from e4_ros.energy.plan import FrequencyPlan
from e4_ros.energy.recovery import gone, recover
from e4_ros.energy.status_page import MAX_DOMAINS, PageWriter, State
from e4_ros.energy.targets import Target, compile_plan, narrowed

_log = logging.getLogger(__name__)

MAX_FAILURES = 8
"""Steps in a row that may fail (and be undone) before the clocks are given back."""


class ClocksLost(DomainError):  # noqa: N818
    """The board no longer takes operating points; everything was given back."""


class HelperCore:
    """Applies the steps of one plan to the domains of one board; safe to use from several threads.

    Args:
        board: name of the board, which plans must carry.
        root: the root the domains were discovered below.
        domains: what was discovered; at most 16.
        journal: where originals are kept; already locked by the caller.
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
        journal: Journal,
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
        self.problems: list[str] = []
        self._journal = journal
        self._page = page
        self._lock = threading.RLock()
        self._table: list[list[Target | None]] = []
        self._taken: list[Entry] = []
        self._current: Target | None = None
        self._requested = [0] * len(domains)
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
            if [entry.name for entry in self._taken] != list(plan.domains):
                self.end()
                self._take(plan.domains)
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
            page = self._page
            page.count_received()
            table = self._table
            if path >= len(table) or segment >= len(table[path]):
                page.count_skipped()
                return
            target = table[path][segment]
            if target is None or target is self._current:
                page.count_skipped()
                return
            requested, applied = self._requested, self._applied
            try:
                if not self._taken:
                    self._wake()
                for slot, set_hz, hertz in target:
                    if requested[slot] != hertz:
                        requested[slot] = 0  # unknown, should the write stop half way
                        applied[slot] = set_hz(hertz)
                        requested[slot] = hertz
            except OSError as error:
                self._undo(error)
                return
            self._current = target
            self._changes += 1
            self._failures = 0
            page.set_clocks(applied, time.monotonic_ns())
            page.count_applied()

    def rest(self) -> None:
        """Give the clocks back until the next step; the plan stays in force."""
        with self._lock:
            if self._taken:
                self._give_back()
                self._page.set_state(State.RESTING)

    def end(self) -> list[str]:
        """Give the clocks back and forget the plan; return what did not come back."""
        with self._lock:
            self._table, self.plan = [], None
            if self._taken:
                self._give_back()
            self._page.set_state(State.IDLE)
            return self.problems

    def why_not(self) -> str:
        """Why nobody may take the clocks now; empty when somebody may."""
        if not self.problems:
            return ''
        return (
            'the clocks of an earlier lease have not all come back: '
            + '; '.join(self.problems)
            + '; the helper keeps trying, or put it away with `e4 dvfs restore --forget`'
        )

    def recover(self) -> list[str]:
        """Bring back what a journal holds; return (and remember) what did not come back.

        Raises:
            JournalError: the journal is damaged or another machine's; nothing was written.
        """
        with self._lock:
            if not self._taken:
                self.problems = recover(self._journal, self.board, self.root)
            return self.problems

    def refresh(self) -> None:
        """Read the clocks and show what they really are; a pin that was lost is renewed later."""
        seen = self._changes
        current = [_current_hz(domain) for domain in self.domains.values()]
        with self._lock:
            if seen != self._changes or current == self._applied:
                return
            for slot, (now, before) in enumerate(zip(current, self._applied, strict=True)):
                if now != before:
                    self._requested[slot] = 0
                    self._current = None
            self._applied[:] = current
            self._page.set_clocks(current, time.monotonic_ns())

    def _take(self, names: Sequence[str]) -> None:
        try:
            left = self.recover()
        except JournalError as error:
            raise DomainError(str(error)) from error
        if left:
            raise DomainError(self.why_not())
        chosen = [self.domains[name] for name in names]
        entries = [Entry(d.name, d.kind, d.snapshot()) for d in chosen]
        self._journal.write(Record(self.board, str(self.root), boot_id(), tuple(entries)))
        self._taken = entries
        self._requested[:] = [0] * len(self._requested)
        self._failures = 0
        try:
            for domain in chosen:
                domain.open()
        except BaseException:
            self._give_back()
            raise

    def _wake(self) -> None:
        if self.plan is not None:
            self._take(self.plan.domains)
            self._page.set_state(State.ACTIVE)

    def _give_back(self) -> None:
        problems = []
        for entry in self._taken:
            domain = self.domains[entry.name]
            if not gone(entry, self.root):
                problems += domain.restore(entry.snapshot)
            domain.close()
        self._taken = []
        self._current = None
        self._changes += 1
        self.problems = problems
        if problems:
            _log.error('not given back, will be tried again: %s', '; '.join(problems))
        else:
            self._journal.clear()
        self._applied[:] = [_current_hz(domain) for domain in self.domains.values()]
        self._page.set_clocks(self._applied, time.monotonic_ns())

    def _undo(self, error: OSError) -> None:
        """Bring the operating point before a failed step back, or else the originals."""
        self._page.count_failed()
        self._failures += 1
        before, self._current = self._current, None
        try:
            if before is None or isinstance(error, DeviceGone) or self._failures > MAX_FAILURES:
                raise error
            for slot, set_hz, hertz in before:
                if self._requested[slot] != hertz:
                    self._requested[slot] = 0
                    self._applied[slot] = set_hz(hertz)
                    self._requested[slot] = hertz
        except OSError as last:
            self.end()
            raise ClocksLost(f'the clocks were given back, because {last}') from error
        self._current = before
        self._page.set_clocks(self._applied, time.monotonic_ns())


def _current_hz(domain: Domain) -> int:
    try:
        return domain.current_hz()
    except OSError:
        return 0
