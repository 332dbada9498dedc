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

"""Ownership of the clocks: state saved in the undo log before the first write, then restored.

This module knows neither plans nor steps. Clocks are *acquired* (saved state on disk, domains open)
or they are not; what could not be restored stays in `problems`, and in the undo log, until it is.
The undo log is written once and kept while leases are held, however often their clocks rest. What
others change meanwhile becomes the saved state. CPUs that are offline when theirs is to be restored
are no problem: the undo log keeps it until they are back.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from e4_ros.energy.daemon.outside_changes import OutsideChanges
from e4_ros.energy.daemon.parked_cpus import ParkedCpus
from e4_ros.energy.daemon.recovery import gone, keep_only, parted, recover
from e4_ros.energy.daemon.undo_log import UndoLog, UndoLogError
from e4_ros.energy.daemon.undo_record import Entry, Record, boot_id
from e4_ros.energy.domains.discovery import restore_snapshot
from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.domains.isochronous import IsochronousGuard
from e4_ros.energy.errors import DomainError, Snapshot

_log = logging.getLogger(__name__)

_TRIES = 3  # while CPUs come back


class Ownership:
    """The domains of one board and their saved state; not safe to use from several threads.

    Args:
        board: name of the board.
        root: file system root below which the domains were discovered.
        domains: domain name → domain.
        undo_log: log that keeps the saved state; the caller has locked it.
        problems: what an earlier daemon's undo log could not restore, one line for each.
        isochronous_floor: see `IsochronousGuard`.
        spare_cpus: numbers of the CPUs that may be switched off while leases need fewer.
    """

    def __init__(
        self,
        board: str,
        root: Path,
        domains: Mapping[str, Domain],
        undo_log: UndoLog,
        problems: Sequence[str] = (),
        isochronous_floor: float = 1.0,
        spare_cpus: Sequence[int] = (),
    ) -> None:
        self._board = board
        self._root = root
        self._domains = domains
        self._undo_log = undo_log
        self._left = list(problems)  # what an undo log still holds that is no lease's any more
        self._saved: dict[str, Entry] = {}  # what the undo log holds for the leases of now
        self._acquired: list[str] = []
        self._stuck: dict[str, list[str]] = {}  # domain -> what could not be restored
        self._away: dict[str, Entry] = {}  # domain -> saved state of its CPUs that are offline
        self._on_disk: tuple[Entry, ...] = ()
        self._outside = OutsideChanges(root)
        self._guard = IsochronousGuard(root, isochronous_floor)
        self._parked = ParkedCpus(root, spare_cpus)

    @property
    def problems(self) -> list[str]:
        """What could not be restored; while there is any, nothing more can be acquired."""
        return [*self._of_clocks(), *self._parked.problems]

    @property
    def acquired(self) -> list[str]:
        """Names of the domains that are acquired."""
        return list(self._acquired)

    def acquire(self, names: Iterable[str]) -> None:
        """Save the state of the domains that are not acquired yet to the undo log, then open them.

        Raises:
            DomainError, OSError: they could not be acquired; all are as before.
        """
        new = [name for name in names if name not in self._acquired]
        if not new:
            return
        try:
            left = self.recover()
        except UndoLogError as error:
            raise DomainError(str(error)) from error
        if left:
            raise DomainError(self.refusal())
        if not self._acquired:
            self._outside.look()  # what was set before is in the files
        chosen = [self._domains[name] for name in new]
        before = self._saved
        self._saved = before | {
            d.name: Entry(d.name, d.kind, self._first_snapshot(d)) for d in chosen
        }
        self._acquired += new
        try:
            self._write()
        except BaseException:
            self._saved, self._acquired = before, self._acquired[: -len(new)]
            raise
        try:
            for domain in chosen:
                self._limit(domain)
                domain.open()
        except BaseException:
            self.restore(new)
            raise

    def restore(self, names: Iterable[str]) -> None:
        """Restore and close domains that are acquired; the undo log remembers their state."""
        names = set(names).intersection(self._acquired)
        self.take_over()  # what others wrote a moment ago stays, too
        for name in names:
            self._acquired.remove(name)
            self._restore(name)
            self._domains[name].close()
        if self._outside.look():  # the power mode was set meanwhile: what it says goes
            for name in names:
                self._take_over(name)
                self._restore(name)
        self._write_or_log()
        if self._stuck:
            _log.error('not restored, will be tried again: %s', '; '.join(self.problems))

    def take_over(self) -> bool:
        """Take what others changed since the last call as the saved state, on disk too.

        The limits of the acquired domains follow; CPUs that are back from offline are pinned again.

        Returns:
            Whether others changed anything, so that the clocks have to be set anew.
        """
        self._outside.look()
        self._guard.look()
        if self._parked.cpus and self._parked.follow(self._outside.mode):
            self._write_or_log()
        changed = [name for name in self._acquired if self._take_over(name)]
        back = [name for name in list(self._away) if self._restore_back(name)]
        if changed or back:
            self._write_or_log()
        for name in self._acquired:
            try:
                changed += [name] * self._domains[name].rediscover(self._saved[name].snapshot)
            except DomainError as error:
                _log.warning('back, and not pinned: %s', error)
            self._limit(self._domains[name])
        return bool(changed)

    def need_cpus(self, needed: int) -> None:
        """Switch off what the operator spares and nobody needs; switch on again what somebody does.

        Args:
            needed: how many CPUs are needed; `parked_cpus.ALL`: all.
        """
        wanted, parked = self._parked.wanted(needed), list(self._parked.cpus)
        back = [cpu for cpu in parked if cpu not in wanted]
        off = [cpu for cpu in wanted if cpu not in parked]
        if back:
            self._parked.bring_back(back)
        if off:
            try:
                self._write(off)
            except OSError as error:  # what cannot be saved is not switched off
                _log.error('no CPU goes offline, because %s', error)
                off = []
            self._parked.park(off)
        if back or off:
            self._write_or_log()

    def read_limits(self) -> None:
        """Let the limits of domains that nobody acquired follow what others set."""
        self._guard.look()
        for name, domain in self._domains.items():
            if name not in self._acquired:
                with contextlib.suppress(DomainError):
                    limits = domain.machine_limits(domain.snapshot())
                    limits = self._guard.limits(domain, limits)
                    if limits != domain.limits_hz:
                        domain.set_limits(*limits)

    def forget(self) -> None:
        """Remove from the undo log what was restored, once no lease has a plan any more."""
        if self._saved:
            stuck = (self._saved[name] for name in self._stuck)
            left = [*self._parked.entries(), *stuck, *self._away.values()]
            keep_only(self._undo_log, self._record(), left)
            self._left = self._of_clocks()
            self._saved, self._stuck, self._on_disk = {}, {}, ()

    def recover(self) -> list[str]:
        """Restore what the undo log holds and nobody acquired; return what could not be restored.

        Raises:
            UndoLogError: the undo log is damaged or another machine's; nothing was written.
        """
        if not self._saved and not self._parked.cpus:
            self._left = recover(self._undo_log, self._board, self._root)
            record = self._undo_log.read()
            self._away = {}
            if record is not None and not self._left:
                # All that is left is offline, or was a moment ago; of two leases, maybe.
                for entry in record.entries:
                    before = self._away.get(entry.name, entry)
                    self._away[entry.name] = before._replace(
                        snapshot=before.snapshot | entry.snapshot
                    )
            self._on_disk = ()
        elif self._stuck or self._parked.problems:
            for name in list(self._stuck):
                self._restore(name)
            if self._parked.problems:
                self._parked.bring_back(list(self._parked.cpus))
            self._write_or_log()
        return self.problems

    def retry(self) -> list[str]:
        """As `recover`, with an undo log that cannot be used as one of the problems."""
        try:
            return self.recover()
        except UndoLogError as error:
            self._left = [str(error)]
            return self.problems

    @property
    def waits_for_cpus(self) -> bool:
        """Whether saved state of CPUs that are offline waits for them, and nobody's lease does."""
        return bool(self._away) and not self._saved

    def refusal(self) -> str:
        """Why nothing can be acquired now; empty when it can."""
        if not self.problems:
            return ''
        return (
            'the clocks of an earlier lease are not all restored: '
            + '; '.join(self.problems)
            + '; the daemon keeps trying, or put its undo log away with `e4 dvfs restore --forget`'
        )

    def _of_clocks(self) -> list[str]:
        return [*self._left, *(line for lines in self._stuck.values() for line in lines)]

    def _first_snapshot(self, domain: Domain) -> Snapshot:
        """The state of a domain before a lease's first write.

        CPUs that come back from offline have the pins of an earlier lease: those are not the state.
        """
        snapshot: Snapshot = {}
        away: Snapshot = {}
        for _ in range(_TRIES):
            if domain.name in self._away:
                self._restore_back(domain.name)
            snapshot = self._outside.snapshot(domain)
            away = self._away[domain.name].snapshot if domain.name in self._away else {}
            if not snapshot.keys() & away.keys():
                break
        return snapshot | {name: text for name, text in away.items() if name in snapshot}

    def _take_over(self, name: str) -> bool:
        """Take over what others changed of a domain; whether its saved state is another."""
        before = entry = self._saved[name]
        if name in self._away:
            still, back = parted(self._away[name], self._root)
            if back.snapshot and restore_snapshot(self._root, back.kind, back.snapshot):
                still, back = self._away[name], back._replace(snapshot={})  # gone again
            entry = entry._replace(snapshot={**entry.snapshot, **back.snapshot})
            self._keep_away(still)
        snapshot = self._outside.taken_over(self._domains[name], entry.snapshot)
        if name in self._away:  # some may be back since, with the pins of an earlier lease
            away = self._away[name].snapshot
            snapshot = {file: text for file, text in snapshot.items() if file not in away}
        self._saved[name] = entry._replace(snapshot=snapshot)
        return self._saved[name] != before

    def _limit(self, domain: Domain) -> None:
        """Let a domain's limits follow its saved state, and what else the machine says."""
        limits = self._outside.limits(domain, self._saved[domain.name].snapshot)
        limits = self._guard.limits(domain, limits)
        if limits != domain.limits_hz:
            _log.info('%s may have %d to %d Hz from now on', domain.name, *limits)
            domain.set_limits(*limits)

    def _restore(self, name: str) -> None:
        self._stuck.pop(name, None)
        entry = self._saved[name]
        if gone(entry, self._root):
            return
        away, here = parted(entry, self._root)
        wrong = self._domains[name].restore(here.snapshot)
        self._outside.note_restored(self._domains[name], here.snapshot)
        if wrong and parted(entry, self._root)[0] != away:
            # CPUs went or came back in the middle of it: nobody knows what of all this was written.
            away, wrong = entry, []
        if wrong:
            self._stuck[name] = wrong
        if away.snapshot:
            before = self._away.get(name, away).snapshot  # of an earlier lease
            self._away[name] = away._replace(snapshot=away.snapshot | before)

    def _restore_back(self, name: str) -> bool:
        """Restore CPUs that were offline when their lease ended; whether any were back."""
        if name in self._acquired or name not in self._domains:
            return False
        still, back = parted(self._away[name], self._root)
        if not back.snapshot or self._domains[name].restore(back.snapshot):
            return False
        self._keep_away(still)
        return True

    def _keep_away(self, away: Entry) -> None:
        self._away.pop(away.name, None)
        if away.snapshot:
            self._away[away.name] = away

    def _write(self, going_off: Sequence[int] = ()) -> None:
        """Bring the undo log up to date: marks where they say it all, else the whole record.

        Args:
            going_off: CPUs that are switched off next.
        """
        record = self._record(going_off)
        busy = {*self._acquired, *self._stuck}
        others = len(record.entries) - len(self._saved) - len(self._away)
        saved = [entry.name in busy for entry in self._saved.values()]
        marks = [True] * others + saved + [True] * len(self._away)
        if not record.entries:
            self._undo_log.clear()
        elif record.entries != self._on_disk or not self._undo_log.mark(marks):
            self._undo_log.write(record, marks)
        self._on_disk = record.entries

    def _write_or_log(self) -> None:
        try:
            self._write()
        except OSError as error:  # what is there restores more than it should, but loses nothing
            _log.error('the undo log is not up to date: %s', error)

    def _record(self, going_off: Sequence[int] = ()) -> Record:
        parked = self._parked.entries(going_off)
        entries = (*parked, *self._saved.values(), *self._away.values())
        return Record(self._board, str(self._root), boot_id(), entries)
