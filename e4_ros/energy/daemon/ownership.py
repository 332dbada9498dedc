"""Custody of the clocks: originals journalled before the first write, and the way back.

Nothing here knows of plans or steps. Clocks are *taken* (originals on disk, domains open) or they
are not; what could not be given back is kept as `problems`, and in the journal, until it could.
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
    """The domains of one board and their originals; not safe to use from several threads.

    Args:
        board: name of the board.
        root: the root the domains were discovered below.
        domains: by name.
        undo_log: where originals are kept; already locked by the caller.

    Attributes:
        problems: what did not come back, one line each; while there is any nothing can be taken.
    """

    def __init__(
        self, board: str, root: Path, domains: Mapping[str, Domain], undo_log: UndoLog
    ) -> None:
        self.problems: list[str] = []
        self._board = board
        self._root = root
        self._domains = domains
        self._undo_log = undo_log
        self._taken: tuple[Entry, ...] = ()

    @property
    def taken(self) -> list[str]:
        """Names of the domains that are taken."""
        return [entry.name for entry in self._taken]

    def take(self, names: Sequence[str]) -> None:
        """Put the originals on disk, then open the domains.

        Raises:
            DomainError, OSError: they could not be taken; all are as before.
        """
        try:
            left = self.recover()
        except UndoLogError as error:
            raise DomainError(str(error)) from error
        if left:
            raise DomainError(self.why_not())
        chosen = [self._domains[name] for name in names]
        entries = tuple(Entry(d.name, d.kind, d.snapshot()) for d in chosen)
        self._undo_log.write(self._record(entries))
        self._taken = entries
        try:
            for domain in chosen:
                domain.open()
        except BaseException:
            self.give_back()
            raise

    def give_back(self) -> list[str]:
        """Restore and close what is taken; return what did not come back."""
        problems, left = [], []
        for entry in self._taken:
            domain = self._domains[entry.name]
            if not gone(entry, self._root) and (wrong := domain.restore(entry.snapshot)):
                problems += wrong
                left.append(entry)
            domain.close()
        if self._taken:
            keep_only(self._undo_log, self._record(self._taken), left)
        self._taken = ()
        self.problems = problems
        if problems:
            _log.error('not given back, will be tried again: %s', '; '.join(problems))
        return problems

    def recover(self) -> list[str]:
        """Bring back what the journal of an earlier time holds; return what did not come back.

        Raises:
            JournalError: the journal is damaged or another machine's; nothing was written.
        """
        if not self._taken:
            self.problems = recover(self._undo_log, self._board, self._root)
        return self.problems

    def _record(self, entries: tuple[Entry, ...]) -> Record:
        return Record(self._board, str(self._root), boot_id(), entries)

    def why_not(self) -> str:
        """Why nothing can be taken now; empty when it can."""
        if not self.problems:
            return ''
        return (
            'the clocks of an earlier lease have not all come back: '
            + '; '.join(self.problems)
            + '; the helper keeps trying, or put it away with `e4 dvfs restore --forget`'
        )
