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

"""The footage of the benchmark, and what the offline teacher says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from e4_ros.evaluation.perturbations import PERTURBATIONS, cut_to, perturbed
from e4_ros.evaluation.sources import open_source
from e4_ros.vision.detections import Detections
from e4_ros.vision.export.assemble import assemble
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.teacher.offline_teacher import OfflineTeacher

Clip = Sequence[tuple[float, np.ndarray]]
Progress = Callable[[str, int, int], None]

SOURCE, OTHER_SOURCE = 'vtest', 'bikes'
FIT, CALIBRATE, TEST = (0, 300), (300, 450), (500, 795)  # frames of SOURCE
CHANGE = 1 / 3  # of the test frames pass before something happens to the camera


@dataclass(frozen=True)
class Judged:
    """A stream and what the offline teacher says of each of its frames.

    Attributes:
        name: of the stream.
        clip: ``(stamp_s, frame)`` in order of time.
        reference: the teacher's answers.
        change: index of the frame from which on something has happened; 0 if nothing does.
        looks: what the teacher finds in each frame by itself; None where nobody asked.
    """

    name: str
    clip: Clip
    reference: Sequence[Detections]
    change: int = 0
    looks: Sequence[Detections] | None = None


@dataclass(frozen=True)
class Footage:
    """The video in its three parts.

    Attributes:
        fit: to learn from.
        calibrate: to set thresholds on, judged by a teacher that saw nothing behind it.
        test: to measure on, judged by a teacher that saw the whole video.
    """

    fit: Clip
    calibrate: Judged
    test: Judged


def load_footage(model: TrainableModel, frames: int | None, progress: Progress) -> Footage:
    """Read the video and ask the teacher; what it says of single frames is kept on disk.

    Args:
        model: the detector that the teacher is made of.
        frames: use only so many test frames.
        progress: called with the phase, what is done and how much there is.
    """
    video = list(open_source(SOURCE))
    teacher = OfflineTeacher(assemble(model))

    def pseudo_label(end: int) -> list[Detections]:
        return teacher.pseudo_label(video[:end], lambda done: progress('teacher', done, end))

    known, later = pseudo_label(CALIBRATE[1]), pseudo_label(len(video))
    test = slice(TEST[0], TEST[1] if frames is None else TEST[0] + frames)
    calibration = video[slice(*CALIBRATE)]
    looks = [teacher.look(frame) for _, frame in calibration]
    return Footage(
        video[slice(*FIT)],
        Judged('calibration', calibration, known[slice(*CALIBRATE)], looks=looks),
        Judged('as filmed', video[test], later[test]),
    )


def changed_streams(model: TrainableModel, test: Judged, progress: Progress) -> list[Judged]:
    """The test part, and versions of it in which something happens after a third.

    The teacher judges the frames as the camera then sees them; it smooths over time within each
    of the two scenes.
    """
    change = round(len(test.clip) * CHANGE)
    other = list(islice(open_source(OTHER_SOURCE), len(test.clip) - change))
    clips = {name: perturbed(name, test.clip, change) for name in PERTURBATIONS}
    clips[f'cut to {OTHER_SOURCE}'] = cut_to(test.clip, other, change)
    teacher = OfflineTeacher(assemble(model))
    total, done = len(clips) * (len(test.clip) - change), 0
    streams = [test]
    for name, clip in clips.items():
        after = teacher.pseudo_label(
            clip[change:], _counted(progress, 'teacher on changed streams', done, total)
        )
        done += len(after)
        streams.append(Judged(name, clip, [*test.reference[:change], *after], change))
    return streams


def _counted(progress: Progress, phase: str, before: int, total: int) -> Callable[[int], None]:
    return lambda done: progress(phase, before + done, total)
