"""The way back after a helper that could not: from the journal alone, before anything else."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from e4_ros.energy.daemon.undo_log import Entry, Record, UndoLog, UndoLogError, boot_id
from e4_ros.energy.domains.discovery import restore_snapshot
from e4_ros.energy.errors import DomainError

_log = logging.getLogger(__name__)


def recover(undo_log: UndoLog, board: str, root: str | Path) -> list[str]:
    """Bring back what a journal holds and return what did not come back; without one, nothing.

    Raises:
        JournalError: the journal is damaged or another machine's; nothing was written.
    """
    record = undo_log.read()
    if record is None:
        return []
    if (record.board, record.root) != (board, str(root)):
        raise UndoLogError(
            f'{undo_log.path} holds the originals of board {record.board!r} at {record.root}, and '
            f'this is {board!r} at {root}; nothing of it was applied. Bring it back there, or put '
            'it away with `e4 dvfs restore --forget`'
        )
    if record.boot_id != boot_id():
        _log.info('%s is of an earlier boot, which ended with its clocks', undo_log.path)
        undo_log.clear()
        return []
    problems: list[str] = []
    left: list[Entry] = []
    for entry in record.entries:
        if gone(entry, Path(root)):
            _log.warning('%s has disappeared with its clock; nothing to give back', entry.name)
            continue
        try:
            wrong = restore_snapshot(root, entry.kind, entry.snapshot)
        except DomainError as error:
            wrong = [str(error)]
        problems += wrong
        left += [entry] if wrong else []
    keep_only(undo_log, record, left)
    return problems


def keep_only(undo_log: UndoLog, record: Record, left: Sequence[Entry]) -> None:
    """Strike from a journal what came back: only the rest is written again at the next try."""
    if not left:
        undo_log.clear()
    elif len(left) < len(record.entries):
        try:
            undo_log.write(record._replace(entries=tuple(left)))
        except OSError as error:  # all of it is still there
            _log.warning('%s cannot be shortened: %s', undo_log.path, error)


def gone(entry: Entry, root: Path) -> bool:
    """Whether a domain has disappeared, and with it what there was to give back."""
    return not any((root / name).exists() for name in entry.snapshot)
