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

"""Every version answers the same frames in turns, as a robot runs it, and is judged.

Each has a stream of its own, with tracks and exits. They take turns frame by frame, and who begins
rotates, so that what else the machine does falls on all of them. Judges are people's labels, or
the offline teacher's look (the frame and tiles of it) by the first version's network on every n-th
frame. Joules are the board model's, at the clocks that a stock system would run at.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from e4_ros.energy.board_model import BoardModel, works_as_if_on
from e4_ros.energy.boards import load_board
from e4_ros.evaluation.metrics import Counts, Labels, compare
from e4_ros.evaluation.run_labels import load_labels
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.controllers.version_table import pareto
from e4_ros.perception.frame_energy import default_cost
from e4_ros.perception.live_versions import measure_versions
from e4_ros.perception.perceiver import Perceiver
from e4_ros.perception.records import machine_name
from e4_ros.perception.setup import EngineOptions, Setup, set_up
from e4_ros.perception.version_file import Measured, VersionFile
from e4_ros.perception.versions import Version, VersionError, VersionSpec, check_like
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.stream_engine import StreamEngine
from e4_ros.vision.inference.teacher_look import TeacherLook

LEAST_FRAMES = 20
_MIN_SCORE = 0.3

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class VersionRun:
    """What one version did on the footage.

    Attributes:
        setup: its engine.
        version: what a controller knows of it.
        measured: what goes into the file.
        exits: exit of each frame.
        seconds: that each frame took.
        counts: index of each judged frame → its hits, detections and labels.
        interval: 95 % interval of F1; None where there are too few frames.
    """

    setup: Setup
    version: Version
    measured: Measured
    exits: Sequence[str]
    seconds: Sequence[float]
    counts: Mapping[int, Counts]
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class VersionTrial:
    """What all versions did.

    Attributes:
        runs: one for each version, in order.
        file: what the node takes.
    """

    runs: Sequence[VersionRun]
    file: VersionFile


def try_versions(
    specs: Sequence[VersionSpec],
    stamped: Iterable[tuple[float, np.ndarray]],
    footage: Sequence[str],
    *,
    limit: int | None = None,
    labels: Path | None = None,
    labels_class: str = '',
    judge_every: int = 5,
    board: str = '',
    board_device: str = '',
    threads: int | None = None,
    device: str = 'auto',
    progress: Progress = lambda phase, done, total: None,
) -> VersionTrial:
    """Measure versions on footage.

    Args:
        specs: the versions; the teacher looks through the first one's network.
        stamped: stamps in seconds and frames ``(H, W, 3)`` uint8 RGB.
        footage: names of it, for people.
        limit: most frames; None for all.
        labels: people's labels in the MOT format; None: the teacher judges.
        labels_class: class that they are of.
        judge_every: the teacher looks at each n-th frame; labels judge all of them.
        board: name of the board that joules are modelled for; empty: none.
        board_device: device that the network runs on there; empty: the one that runs it here.
        threads: threads within one operation; None for one per core.
        device: device that runs the network here.
        progress: receives the phase, the frames done, and of all frames where that is known.

    Raises:
        VersionError: a version cannot be loaded, is no detector, or has other classes; or there is
            too little footage.
    """
    setups = _load(specs, threads, device)
    first = next(iter(setups.values()))
    teacher = None
    if labels is None:
        options = EngineOptions(
            specs[0].model, exits=False, threads=threads, precision=specs[0].precision,
            tracks=False, device=device,
        )  # fmt: skip
        teacher = set_up(options).engine
    truth = load_labels(labels, labels_class, first.engine.model)
    answers: dict[str, list[Detections]] = {name: [] for name in setups}
    exits: dict[str, list[str]] = {name: [] for name in setups}
    seconds: dict[str, list[float]] = {name: [] for name in setups}
    looks: dict[int, Detections] = {}
    players = {name: Perceiver(setup.engine) for name, setup in setups.items()}
    number, shown = 0, np.zeros((480, 640, 3), np.uint8)
    for index, (stamp_s, frame) in enumerate(islice(stamped, limit)):
        if not index:
            shown = frame
            for player in players.values():
                player.warm_up(frame)
        for name in _rotated(list(players), index):
            record = players[name].process(frame, stamp_s, index)
            answers[name].append(record.result.detections)
            exits[name].append(record.result.exit)
            seconds[name].append(record.result.latency_s)
        if teacher is not None and index % judge_every == 0:
            looks[index] = _look(teacher, frame)
        number = index + 1
        progress('frames', number, limit)
    if number < LEAST_FRAMES:
        raise VersionError(f'there are {number} frames; it takes at least {LEAST_FRAMES}')
    if truth is None:
        truth = Labels.of_answers(
            list(looks.values()), _MIN_SCORE, 'the offline teacher', list(looks)
        )
    frames = list(range(number)) if labels is not None else list(looks)
    timed = measure_versions({name: setup.engine for name, setup in setups.items()}, shown)
    runs = [
        _judged(
            spec, setups[spec.name], [answers[spec.name][i] for i in frames], frames, truth,
            (exits[spec.name], seconds[spec.name]), timed[spec.name][1], board, board_device,
        )
        for spec in specs
    ]  # fmt: skip
    runs = _with_dominance(runs)
    file = VersionFile(
        footage=tuple(footage),
        frames=number,
        judged_by='teacher' if labels is None else 'people',
        machine=machine_name(),
        board=board,
        versions=tuple(run.measured for run in runs),
    )
    return VersionTrial(runs, file)


def _load(specs: Sequence[VersionSpec], threads: int | None, device: str) -> dict[str, Setup]:
    setups: dict[str, Setup] = {}
    for spec in specs:
        options = EngineOptions(
            spec.model, threads=threads, precision=spec.precision, min_score=_MIN_SCORE,
            audit_share=0.0, device=device,
        )  # fmt: skip
        try:
            setup = set_up(options)
        except (ValueError, OSError) as error:
            raise VersionError(f'version {spec.name} cannot be loaded: {error}') from error
        if setup.manifest.task != 'detect':
            raise VersionError(
                f'version {spec.name} is for the task {setup.manifest.task}; F1 needs boxes'
            )
        if setups:
            check_like(next(iter(setups.values())).manifest, setup.manifest, spec.name)
        setups[spec.name] = setup
    return setups


def _look(teacher: StreamEngine, frame: np.ndarray) -> Detections:
    look = TeacherLook(frame)
    while not look.done:
        look.take(teacher.process_full(look.part()).detections)
    return look.detections()


def _judged(
    spec: VersionSpec,
    setup: Setup,
    answers: Sequence[Detections],
    frames: Sequence[int],
    truth: Labels,
    ran: tuple[Sequence[str], Sequence[float]],
    switch_s: float,
    board: str,
    board_device: str,
) -> VersionRun:
    compared = compare(answers, truth, _MIN_SCORE, frames)
    if compared.f1 is None:
        raise VersionError(
            'neither the versions nor their judge found an object, so nothing can be compared: '
            'take footage that has some'
        )
    exits, seconds = ran
    taken: dict[str, list[float]] = {}
    for name, took_s in zip(exits, seconds, strict=True):
        taken.setdefault(name, []).append(took_s)
    stream, joules = setup.stream, {}
    if board:
        device = board_device or setup.engine.device
        works = works_as_if_on(device, stream.works)
        stream = Stream(stream.model, works, stream.paths)
        model = BoardModel(load_board(board))
        joules = {n: default_cost(model, works, p).energy_j for n, p in stream.paths.items()}
    measured = Measured(
        name=spec.name,
        fingerprint=setup.fingerprint,
        model=spec.model,
        precision=spec.precision,
        input=setup.manifest.preprocessing.size,
        f1=compared.f1,
        ms={name: 1e3 * statistics.median(times) for name, times in taken.items()},
        joules=joules,
        shares={name: len(times) / len(exits) for name, times in taken.items()},
    )
    version = Version(
        spec.name,
        stream,
        compared.f1,
        {name: ms / 1e3 for name, ms in measured.ms.items()},
        joules,
        measured.shares,
        switch_s,
    )
    counts = dict(zip(compared.frames, compared.each, strict=True))
    return VersionRun(setup, version, measured, exits, seconds, counts, compared.interval())


def _with_dominance(runs: Sequence[VersionRun]) -> list[VersionRun]:
    """Say of each version which other one is no worse in anything, and better in something."""
    joules = [run.measured.mean_j for run in runs]
    known = [0.0 if math.isnan(j) else j for j in joules]
    rows = np.array(
        [[-r.measured.f1, r.measured.mean_ms, j] for r, j in zip(runs, known, strict=True)]
    )
    front = set(pareto(rows).tolist())
    found = []
    for place, run in enumerate(runs):
        beaten = ''
        if place not in front:
            by = next(i for i in sorted(front) if (rows[i] <= rows[place]).all())
            beaten = runs[by].measured.name
        measured = run.measured.model_copy(update={'dominated_by': beaten})
        found.append(
            VersionRun(
                run.setup, run.version, measured, run.exits, run.seconds, run.counts, run.interval
            )
        )
    return found


def _rotated(names: list[str], by: int) -> list[str]:
    place = by % len(names)
    return names[place:] + names[:place]
