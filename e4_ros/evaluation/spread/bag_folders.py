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

"""Folders of bags: whole or not there, and recognised by what they were made from."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from e4_ros.evaluation.spread.bag_task import Bag, Result
from e4_ros.evaluation.spread.fingerprint import marks_of
from e4_ros.files import write_whole

MARK = 'made_from.json'
"""Is in a folder whose files are complete: what they were made from, and by whom."""

_PART = '.part'


def folder_names(sources: Sequence[str]) -> list[str]:
    """A name for each source, after it; the second of a name gets a number.

    Raises:
        ValueError: a source is there twice.
    """
    twice = [source for source, n in Counter(map(_place, sources)).items() if n > 1]
    if twice:
        raise ValueError(f'{twice[0]} is given more than once, and would be counted twice')
    names: list[str] = []
    for source in sources:
        path = Path(source.rstrip('/'))
        stem = re.sub(r'[^\w.-]+', '_', path.stem if path.suffix else path.name).strip('.') or 'bag'
        taken = set(names)
        numbered = (stem if n == 1 else f'{stem}-{n}' for n in range(1, len(sources) + 1))
        names.append(next(name for name in numbered if name not in taken))
    return names


def _place(source: str) -> str:
    path = Path(source).expanduser()
    return str(path.resolve()) if path.exists() else source


def kept_result(out: Path, bag: Bag) -> dict[str, Any] | None:
    """What is known of a bag that is complete; None where it has to be run.

    A source that this machine does not see is run again: nobody can say whether it changed.
    """
    try:
        kept = json.loads((out / bag.name / MARK).read_text())
        if not bag.path.exists():
            return None
        marks = marks_of(bag.path, kept['marks'])
        return kept if kept['key'] == bag.key(marks) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


class BagFolder:
    """The folder of one bag while its files arrive; only `finish` lets it take its name.

    Args:
        out: Folder of all bags.
        name: Name of this one's.
    """

    def __init__(self, out: Path, name: str) -> None:
        self._folder, self._part = out / name, out / f'.{name}{_PART}'
        self._files: dict[str, BinaryIO] = {}
        shutil.rmtree(self._part, ignore_errors=True)
        self._part.mkdir(parents=True)

    def append(self, name: str, piece: bytes) -> None:
        """Another piece of a file."""
        if name not in self._files:
            self._files[name] = (self._part / Path(name).name).open('wb')
        self._files[name].write(piece)

    def finish(self, result: Result) -> None:
        """All files are there."""
        self._close()
        write_whole(self._part / MARK, json.dumps(result, indent=1) + '\n')
        shutil.rmtree(self._folder, ignore_errors=True)
        self._part.rename(self._folder)

    def discard(self) -> None:
        """Forget the files that came."""
        self._close()
        shutil.rmtree(self._part, ignore_errors=True)

    def _close(self) -> None:
        for file in self._files.values():
            with suppress(OSError):  # a disk that is full said so before
                file.close()
        self._files.clear()


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Keep another command from writing the same folders.

    Raises:
        OSError: one does already.
    """
    out.mkdir(parents=True, exist_ok=True)
    lock = out / '.lock'
    with lock.open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f'another `e4 run` is writing to {out}; give another --out') from None
        try:
            for left in out.glob(f'.*{_PART}'):
                shutil.rmtree(left, ignore_errors=True)
            yield
        finally:
            lock.unlink(missing_ok=True)
