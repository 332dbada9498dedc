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

"""Part `cluster`: what a second worker is worth, and whether a worker that is killed costs frames.

The same bags are run by one worker and by two of one Ray cluster, in turns. Then workers are
killed in the middle of bags.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import typer

from e4_ros import console, extras
from e4_ros.evaluation.job import JobOptions
from e4_ros.evaluation.report.video_writer import VideoWriter
from e4_ros.evaluation.sources import open_source
from e4_ros.evaluation.spread.bag_task import Bag
from e4_ros.evaluation.spread.many import Watch, run_bags
from e4_ros.evaluation.spread.merged import MergedSummary
from e4_ros.evaluation.spread.ray_workers import RayWorkers
from e4_ros.evaluation.spread.workers import Event

BAR = 1.7
_BAGS, _FRAMES, _FPS = 6, 90, 10.0
_TURNS = (1, 2, 2, 1, 1, 2)
_KILLS = 3


def measure(quick: bool) -> dict[str, Any]:
    """Run the bags in turns, then with killed workers.

    Returns:
        `speedup`, time of one worker over time of two; `lost`, frames that are missing or counted
        twice after the kills; and what they were made from, seconds all.
    """
    extras.require('cluster', 'the part `cluster`')
    frames, turns = (20, _TURNS[:2]) if quick else (_FRAMES, _TURNS)
    folder = Path(tempfile.mkdtemp(prefix='e4-bench-cluster-'))
    try:
        bags = _bags(folder, frames)
        with console.STDERR.status('starting a Ray cluster of two cores'):
            cluster = RayWorkers('local', 2)
        try:
            _run(cluster, 2, bags[:2], folder / 'warm')
            runs = [
                _timed(cluster, count, bags, folder / f'turn-{i}') for i, count in enumerate(turns)
            ]
            killed = _killed(cluster, bags, frames, folder)
        finally:
            cluster.close()
        same = [
            _answers(folder / 'turn-0', bag.name) == _answers(folder / 'killed', bag.name)
            for bag in bags
        ]
        return {**_speedup(turns, runs), **killed, 'answers_equal': all(same)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def show(found: Mapping[str, Any]) -> None:
    """Say both figures, and where the time went."""
    typer.echo(
        f'two workers: {found["speedup"]:.2f} × one (bar {BAR}); {found["bags"]} bags in '
        f'{found["one_worker_s"]:.1f} s and {found["two_workers_s"]:.1f} s'
    )
    typer.echo(
        f'a bag takes {found["bag_alone_s"]:.2f} s alone and {found["bag_beside_s"]:.2f} s beside '
        f'another, {found["bag_alone_cpu_s"]:.2f} and {found["bag_beside_cpu_s"]:.2f} s of a core; '
        f'what is not in a bag: {found["outside_s"]:.1f} s of a run with two'
    )
    typer.echo(
        f'{found["killed"]} workers killed in the middle of bags: {found["lost"]} frames lost of '
        f'{found["frames"]}; answers as without: {"yes" if found["answers_equal"] else "NO"}'
    )


class _Some:
    """Some of a cluster's workers, which stay when a run is over."""

    def __init__(self, cluster: RayWorkers, count: int) -> None:
        self.begin, self.share = cluster.begin, cluster.share
        self._cluster, self._count = cluster, count

    def limit(self) -> int:
        return self._count

    def events(self, timeout_s: float) -> list[Event]:
        return self._cluster.events(timeout_s)

    def close(self) -> None:
        """Nothing."""


def _bags(folder: Path, frames: int) -> list[Bag]:
    """Parts of `vtest` as videos. What goes by the clock is off: answers can be compared."""
    options = JobOptions(threads=1, baseline=False, audit_share=0.0, check_pay=False)
    stream = iter(open_source('vtest'))
    found = []
    for number in range(_BAGS):
        path = folder / f'part{number}.mp4'
        with VideoWriter(path, _FPS) as video:
            for _, frame in islice(stream, frames):
                video.write(frame)
        found.append(Bag(path.stem, str(path), options))
    return found


def _run(
    cluster: RayWorkers,
    count: int,
    bags: Sequence[Bag],
    out: Path,
    watch: Watch = lambda bag, progress: None,
) -> MergedSummary:
    return run_bags(bags, out, lambda: _Some(cluster, count), cluster.place, watch=watch)


def _timed(
    cluster: RayWorkers, count: int, bags: Sequence[Bag], out: Path
) -> tuple[float, list[tuple[float, float]]]:
    """Seconds of the run, and of each bag at its worker, by the clock and of a core."""
    began = time.monotonic()
    merged = _run(cluster, count, bags, out)
    return time.monotonic() - began, [(row.seconds, row.cpu_seconds) for row in merged.bags]


def _speedup(
    turns: Sequence[int], runs: Sequence[tuple[float, list[tuple[float, float]]]]
) -> dict[str, Any]:
    whole = {n: [run[0] for run, m in zip(runs, turns, strict=True) if m == n] for n in (1, 2)}
    each = {
        n: [s for run, m in zip(runs, turns, strict=True) if m == n for s in run[1]] for n in (1, 2)
    }
    one, two = statistics.median(whole[1]), statistics.median(whole[2])
    alone, cpu_alone = (statistics.mean(values) for values in zip(*each[1], strict=True))
    beside, cpu_beside = (statistics.mean(values) for values in zip(*each[2], strict=True))
    return {
        'speedup': one / two,
        'one_worker_s': one,
        'two_workers_s': two,
        'all_one_worker_s': whole[1],
        'all_two_workers_s': whole[2],
        'bag_alone_s': alone,
        'bag_beside_s': beside,
        'bag_alone_cpu_s': cpu_alone,
        'bag_beside_cpu_s': cpu_beside,
        'outside_s': two - beside * _BAGS / 2,
        'bags': _BAGS,
    }


def _killed(cluster: RayWorkers, bags: Sequence[Bag], frames: int, folder: Path) -> dict[str, Any]:
    """Kill the workers of some bags, each once, when a third of its frames is done."""
    victims = {bag.name for bag in bags[:_KILLS]}
    killed: set[str] = set()

    def kill(bag: str, progress: Mapping[str, Any]) -> None:
        if bag in victims - killed and frames / 3 <= progress['done'] < frames:
            killed.add(bag)
            os.kill(progress['pid'], signal.SIGKILL)

    merged = _run(cluster, 2, bags, folder / 'killed', kill)
    counts = [
        0 if row.summary is None else row.summary.frames_processed + row.summary.frames_dropped
        for row in merged.bags
    ]
    lines = [len(_answers(folder / 'killed', bag.name)) for bag in bags]
    return {
        'lost': sum(abs(frames - n) + abs(frames - m) for n, m in zip(counts, lines, strict=True)),
        'killed': len(killed),
        'begun_again': sum(row.workers_lost for row in merged.bags),
        'frames': frames * len(bags),
    }


def _answers(out: Path, name: str) -> list[tuple[int, list[Any]]]:
    file = out / name / 'detections.jsonl'
    lines = file.read_text().splitlines() if file.exists() else []
    return [(row['frame'], row['detections']) for row in map(json.loads, lines)]
