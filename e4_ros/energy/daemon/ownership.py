"""Ownership of the clocks: state saved in the undo log before the first write, then restored.

This module knows neither plans nor steps. Clocks are *acquired* (saved state on disk, domains open)
or they are not; what could not be restored stays in `problems`, and in the undo log, until it is.
The undo log is written once and kept while leases are held, however often their clocks rest.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from e4_ros.energy.daemon.recovery import gone, keep_only, recover
from e4_ros.energy.daemon.undo_log import Entry, Record, UndoLog, UndoLogError, boot_id
from e4_ros.energy.domains.domain import Domain
from e4_ros.energy.errors import DomainError

_log = logging.getLogger(__name__)


class Ownership:
    """The domains of one board and their saved state; not safe to use from several threads.

    Args:
        board: name of the board.
        root: file system root below which the domains were discovered.
        domains: domain name → domain.
        undo_log: log that keeps the saved state; the caller has locked it.
        problems: what an earlier daemon's undo log could not restore, one line for each.
    """

    def __init__(
        self,
        board: str,
        root: Path,
        domains: Mapping[str, Domain],
        undo_log: UndoLog,
        problems: Sequence[str] = (),
    ) -> None:
        self._board = board
        self._root = root
        self._domains = domains
        self._undo_log = undo_log
        self._left = list(problems)  # what an undo log still holds that is no lease's any more
        self._saved: dict[str, Entry] = {}  # what the undo log holds for the leases of now
        self._acquired: list[str] = []
        self._stuck: dict[str, list[str]] = {}  # domain -> what could not be restored

    @property
    def problems(self) -> list[str]:
        """What could not be restored; while there is any, nothing more can be acquired."""
        return [*self._left, *(line for lines in self._stuck.values() for line in lines)]

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
        chosen = [self._domains[name] for name in new]
        saved = self._saved | {d.name: Entry(d.name, d.kind, d.snapshot()) for d in chosen}
        in_force = [name in new or self._in_force(name) for name in saved]
        if saved != self._saved or not self._undo_log.mark(in_force):
            self._undo_log.write(self._record(saved), in_force)
        self._saved = saved
        self._acquired += new
        try:
            for domain in chosen:
                domain.open()
        except BaseException:
            self.restore(new)
            raise

    def restore(self, names: Iterable[str]) -> None:
        """Restore and close domains that are acquired; the undo log remembers their state."""
        for name in set(names).intersection(self._acquired):
            self._acquired.remove(name)
            self._restore(name)
            self._domains[name].close()
        self._undo_log.mark([self._in_force(name) for name in self._saved])
        if self._stuck:
            _log.error('not restored, will be tried again: %s', '; '.join(self.problems))

    def forget(self) -> None:
        """Remove from the undo log what was restored, once no lease has a plan any more."""
        if self._saved:
            left = [self._saved[name] for name in self._stuck]
            keep_only(self._undo_log, self._record(self._saved), left)
            self._left = self.problems
            self._saved, self._stuck = {}, {}

    def recover(self) -> list[str]:
        """Restore what the undo log holds and nobody acquired; return what could not be restored.

        Raises:
            UndoLogError: the undo log is damaged or another machine's; nothing was written.
        """
        if not self._saved:
            self._left = recover(self._undo_log, self._board, self._root)
        elif self._stuck:
            for name in list(self._stuck):
                self._restore(name)
            self._undo_log.mark([self._in_force(name) for name in self._saved])
        return self.problems

    def retry(self) -> list[str]:
        """As `recover`, with an undo log that cannot be used as one of the problems."""
        try:
            return self.recover()
        except UndoLogError as error:
            self._left = [str(error)]
            return self.problems

    def refusal(self) -> str:
        """Why nothing can be acquired now; empty when it can."""
        if not self.problems:
            return ''
        return (
            'the clocks of an earlier lease are not all restored: '
            + '; '.join(self.problems)
            + '; the daemon keeps trying, or put its undo log away with `e4 dvfs restore --forget`'
        )

    def _restore(self, name: str) -> None:
        self._stuck.pop(name, None)
        entry = self._saved[name]
        if not gone(entry, self._root) and (wrong := self._domains[name].restore(entry.snapshot)):
            self._stuck[name] = wrong

    def _in_force(self, name: str) -> bool:
        return name in self._acquired or name in self._stuck

    def _record(self, saved: Mapping[str, Entry]) -> Record:
        return Record(self._board, str(self._root), boot_id(), tuple(saved.values()))
