"""Ownership of the clocks: state saved in the undo log before the first write, then restored.

This module knows neither plans nor steps. Clocks are *acquired* (saved state on disk, domains open)
or they are not; what could not be restored stays in `problems`, and in the undo log, until it is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
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

    Attributes:
        problems: what could not be restored, one line for each; while there is any, nothing can be
            acquired.
    """

    def __init__(
        self,
        board: str,
        root: Path,
        domains: Mapping[str, Domain],
        undo_log: UndoLog,
        problems: Sequence[str] = (),
    ) -> None:
        self.problems = list(problems)
        self._board = board
        self._root = root
        self._domains = domains
        self._undo_log = undo_log
        self._acquired: tuple[Entry, ...] = ()

    @property
    def acquired(self) -> list[str]:
        """Names of the domains that are acquired."""
        return [entry.name for entry in self._acquired]

    def acquire(self, names: Sequence[str]) -> None:
        """Save the domains' state to the undo log, then open them.

        Raises:
            DomainError, OSError: the domains could not be acquired; all are as before.
        """
        try:
            left = self.recover()
        except UndoLogError as error:
            raise DomainError(str(error)) from error
        if left:
            raise DomainError(self.refusal())
        chosen = [self._domains[name] for name in names]
        entries = tuple(Entry(d.name, d.kind, d.snapshot()) for d in chosen)
        self._undo_log.write(self._record(entries))
        self._acquired = entries
        try:
            for domain in chosen:
                domain.open()
        except BaseException:
            self.restore()
            raise

    def restore(self) -> list[str]:
        """Restore and close what is acquired; return what could not be restored."""
        problems, left = [], []
        for entry in self._acquired:
            domain = self._domains[entry.name]
            if not gone(entry, self._root) and (wrong := domain.restore(entry.snapshot)):
                problems += wrong
                left.append(entry)
            domain.close()
        if self._acquired:
            keep_only(self._undo_log, self._record(self._acquired), left)
        self._acquired = ()
        self.problems = problems
        if problems:
            _log.error('not restored, will be tried again: %s', '; '.join(problems))
        return problems

    def recover(self) -> list[str]:
        """Restore what an earlier owner left in the undo log; return what could not be restored.

        Raises:
            UndoLogError: the undo log is damaged or another machine's; nothing was written.
        """
        if not self._acquired:
            self.problems = recover(self._undo_log, self._board, self._root)
        return self.problems

    def retry(self) -> list[str]:
        """As `recover`, with an undo log that cannot be used as one of the problems."""
        try:
            return self.recover()
        except UndoLogError as error:
            self.problems = [str(error)]
            return self.problems

    def _record(self, entries: tuple[Entry, ...]) -> Record:
        return Record(self._board, str(self._root), boot_id(), entries)

    def refusal(self) -> str:
        """Why nothing can be acquired now; empty when it can."""
        if not self.problems:
            return ''
        return (
            'the clocks of an earlier lease are not all restored: '
            + '; '.join(self.problems)
            + '; the daemon keeps trying, or put its undo log away with `e4 dvfs restore --forget`'
        )
