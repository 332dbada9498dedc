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

"""Recovery after a daemon that was killed: from the undo log alone, before anything else."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from e4_ros.energy.daemon.state_folders import forget, noted
from e4_ros.energy.daemon.undo_log import UndoLog, UndoLogError
from e4_ros.energy.daemon.undo_record import Entry, Record, boot_id
from e4_ros.energy.domains.discovery import away_files, restore_snapshot
from e4_ros.energy.errors import DomainError

_log = logging.getLogger(__name__)


def recover(undo_log: UndoLog, board: str, root: str | Path) -> list[str]:
    """Restore what an undo log holds.

    Args:
        undo_log: the undo log, locked by the caller.
        board: name of this board.
        root: folder that holds ``sys/``.

    Returns:
        One line for each thing that could not be restored; the undo log keeps those.

    Raises:
        UndoLogError: the undo log is damaged or another machine's; nothing was written.
    """
    record = undo_log.read()
    if record is None:
        return []
    if (record.board, record.root) != (board, str(root)):
        raise UndoLogError(
            f'{undo_log.path} holds the saved state of board {record.board!r} at {record.root}, '
            f'and this is {board!r} at {root}; nothing of it was applied. Restore it there, or put '
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
            _log.warning('%s has disappeared with its clock; nothing to restore', entry.name)
            continue
        wrong, away = _restore(root, entry)
        problems += wrong
        if wrong:
            left.append(entry)
        elif away.snapshot:
            _log.info('%s is offline in part, which is restored when it is back', entry.name)
            left.append(away)
    keep_only(undo_log, record, left)
    return problems


def _restore(root: str | Path, entry: Entry) -> tuple[list[str], Entry]:
    """Restore what is there of an entry: what could not be, and the part that is gone for now."""
    away, here = parted(entry, root)
    try:
        wrong = restore_snapshot(root, here.kind, here.snapshot)
    except DomainError as error:
        wrong = [str(error)]
    if wrong and len((later := parted(entry, root)[0]).snapshot) > len(away.snapshot):
        return _restore(root, entry) if later.snapshot != entry.snapshot else ([], later)
    return wrong, away


def parted(entry: Entry, root: str | Path) -> tuple[Entry, Entry]:
    """An entry in two: what is gone for now (offline CPUs), and the rest."""
    away = away_files(root, entry.kind, entry.snapshot)
    here = {name: text for name, text in entry.snapshot.items() if name not in away}
    return entry._replace(snapshot=away), entry._replace(snapshot=here)


def recover_all(undo_log: UndoLog, board: str, root: str | Path) -> list[str]:
    """Restore what an undo log holds, and what this user's other daemons left when killed.

    Args:
        undo_log: the undo log of this daemon; the caller has locked it, and the board.
        board: name of this board.
        root: folder that holds ``sys/``.

    Returns:
        As `recover`; this daemon's undo log holds what is left.

    Raises:
        UndoLogError, OSError: as `recover`, or another's record could not be taken over.
    """
    problems = recover(undo_log, board, root)
    for other in left_behind(undo_log, board, root):
        if problems:
            problems.append(f'{other.path} is of this board, too, and has to wait for the others')
            continue
        record = other.read()
        if record is not None:
            _log.warning('a daemon that was killed left clocks to restore: %s', other.path)
            kept = undo_log.read()  # of clusters that are offline
            entries = () if kept is None else kept.entries
            undo_log.write(record._replace(entries=entries + record.entries))
            other.clear()
        problems += recover(undo_log, board, root)
    return problems


def left_behind(undo_log: UndoLog, board: str, root: str | Path) -> list[UndoLog]:
    """The undo logs of this user's other daemons that hold clocks of a board."""
    found = []
    for folder in noted():
        if folder == undo_log.directory:
            continue
        try:
            other = UndoLog(folder, make=False)
            record = other.read()
        except FileNotFoundError:
            forget(folder)  # with the folder, what it held is gone for good
        except (OSError, UndoLogError) as error:
            _log.warning('not looked through for clocks to restore: %s', error)
        else:
            if record is not None and (record.board, record.root) == (board, str(root)):
                found.append(other)
    return found


def keep_only(undo_log: UndoLog, record: Record, left: Sequence[Entry]) -> None:
    """Remove from an undo log what was restored: only the rest is written at the next try."""
    if not left:
        undo_log.clear()
    elif tuple(left) != record.entries:
        try:
            undo_log.write(record._replace(entries=tuple(left)))
        except OSError as error:  # all of it is still there
            _log.warning('%s cannot be shortened: %s', undo_log.path, error)


def gone(entry: Entry, root: Path) -> bool:
    """Whether a domain has disappeared, and with it what there was to restore."""
    return not any((root / name).exists() for name in entry.snapshot)
