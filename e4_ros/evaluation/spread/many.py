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

"""Many bags, each once: run those that are not complete, collect their files, merge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from e4_ros.evaluation.source_run import Told
from e4_ros.evaluation.spread.bag_folders import BagFolder, held, kept_result
from e4_ros.evaluation.spread.bag_task import Bag, run_bag
from e4_ros.evaluation.spread.merged import BagRow, MergedSummary, merge, with_summary
from e4_ros.evaluation.spread.merged_page import write_page
from e4_ros.evaluation.spread.schedule import run_tasks
from e4_ros.evaluation.spread.workers import Task, Workers, WorkersGoneError

Words = Callable[[str], None]
Watch = Callable[[str, Mapping[str, Any]], None]


def run_bags(
    bags: Sequence[Bag],
    out: Path,
    open_workers: Callable[[], Workers],
    place: str,
    *,
    ship: bool = False,
    told: Told = lambda phase, done, total, remark: None,
    warn: Words = lambda text: None,
    note: Words = lambda text: None,
    watch: Watch = lambda bag, progress: None,
) -> MergedSummary:
    """Run the bags whose files are not complete yet, and merge all.

    Args:
        bags: Bags with names that differ.
        out: Folder of their folders; made if missing.
        open_workers: Function that opens the place where they run.
        place: The place, for people, where the workers do not know better.
        ship: Whether sources are sent to the workers.
        told: Function that receives progress over all bags.
        warn: Function that receives what went wrong with a bag.
        note: Function that receives what else a user should know.
        watch: Function that receives the progress of each bag: frames `done`, `total`, `pid`.

    Returns:
        All bags together; their rows say which failed.

    Raises:
        KeyboardInterrupt: the user ended it; what is done is kept and merged.
        WorkersGoneError: the place is gone; likewise.
        OSError: the folder cannot be written, or another command writes there.
    """
    with held(out):
        told('sources', 0, len(bags), 'looking for what is done')
        found = {bag.name: kept_result(out, bag) for bag in bags}
        kept = {name: result['frames'] for name, result in found.items() if result}
        left = sorted((bag for bag in bags if bag.name not in kept), key=_size, reverse=True)
        if kept:
            note(f'{len(kept)} of {len(bags)} are complete from before and stay')
        collected = _Collected(bags, kept, out, told, warn, watch)
        try:
            if left:
                told('sources', len(kept), len(bags), 'starting workers')
                workers = open_workers()
                place = getattr(workers, 'place', place)
                try:
                    told('sources', len(kept), len(bags), '')
                    run_tasks((_task(bag, ship) for bag in left), workers, collected)
                finally:
                    workers.close()
        except KeyboardInterrupt:
            note(f'{collected.counts()}; the same command goes on with the rest')
            raise
        except WorkersGoneError as error:
            raise WorkersGoneError(
                f'{error}. {collected.counts()}: run the same command again when it is back, and '
                'it goes on with the rest'
            ) from None
        finally:
            collected.discard()
            merged = merge(collected.rows(), out, place)
            merged.save(out / 'summary.json')
            write_page(merged, out / 'report.html')
    return merged


def _task(bag: Bag, ship: bool) -> Task:
    return Task(bag.name, run_bag, (bag,), ship=bag.path if ship else None)


def _size(bag: Bag) -> int:
    """Bytes of a source; the longest goes first, so that no worker is left alone with it."""
    path = bag.path
    files = path.rglob('*') if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


class _Collected:
    """Takes what tasks say into the folders of their bags, and tells how far all have come."""

    def __init__(
        self,
        bags: Sequence[Bag],
        kept: Mapping[str, int],
        out: Path,
        told: Told,
        warn: Words,
        watch: Watch,
    ) -> None:
        self._bags, self._out = bags, out
        self._told, self._warn, self._watch = told, warn, watch
        self._status = {bag.name: 'kept' if bag.name in kept else 'left' for bag in bags}
        self._reasons: dict[str, str] = {}
        self._lost: dict[str, int] = {}
        self._frames: dict[str, tuple[float, float | None]] = {
            name: (frames, frames) for name, frames in kept.items()
        }
        self._open: dict[str, BagFolder] = {}

    def begun(self, task: str) -> None:
        self._open[task] = BagFolder(self._out, task)
        self._frames.pop(task, None)
        self._show()

    def said(self, task: str, value: Any) -> None:
        kind, content = value
        if kind == 'progress':
            self._frames[task] = content['done'], content['total']
            self._show()
            self._watch(task, content)
        elif kind == 'file':
            self._open[task].append(*content)
        else:
            self._open.pop(task).finish(content)
            self._frames[task] = content['frames'], content['frames']
            self._status[task] = 'done'

    def ended(self, task: str) -> None:
        self._show()

    def failed(self, task: str, why: str) -> None:
        self._forget(task)
        self._status[task], self._reasons[task] = 'failed', why
        self._warn(f'{task}: {why}')
        self._show()

    def lost(self, task: str, why: str) -> bool:
        if self._status[task] == 'done':
            return False
        self._forget(task)
        self._lost[task] = self._lost.get(task, 0) + 1
        self._warn(f'{task} is run again from its beginning: {why}')
        self._show()
        return True

    def discard(self) -> None:
        """Forget what is not complete."""
        for task in list(self._open):
            self._forget(task)

    def counts(self) -> str:
        """How far it came, in words."""
        done = sum(status in ('done', 'kept') for status in self._status.values())
        return f'{done} of {len(self._status)} sources are done and kept'

    def rows(self) -> list[BagRow]:
        """A row for each bag."""
        found = []
        for bag in self._bags:
            row = BagRow(
                name=bag.name,
                source=bag.source,
                status=self._status[bag.name],
                reason=self._reasons.get(bag.name, ''),
                workers_lost=self._lost.get(bag.name, 0),
            )
            complete = row.status in ('done', 'kept')
            found.append(with_summary(row, self._out) if complete else row)
        return found

    def _forget(self, task: str) -> None:
        self._frames.pop(task, None)
        folder = self._open.pop(task, None)
        if folder is not None:
            folder.discard()

    def _show(self) -> None:
        over = sum(status != 'left' for status in self._status.values())
        failed = sum(status == 'failed' for status in self._status.values())
        self._told('sources', over, len(self._status), f'{failed} failed' if failed else '')
        totals = [total for _, total in self._frames.values()]
        known = len(totals) == sum(status != 'failed' for status in self._status.values())
        total = sum(t for t in totals if t) if known and None not in totals else None
        running = '  '.join(sorted(self._open))
        self._told('frames', sum(done for done, _ in self._frames.values()), total, running)
