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

"""The offline teacher's looks, spread over workers: the costly part of `e4 fit`.

What workers find goes into the teacher's own store, by the pixels of each frame. The teacher then
finds all of it there, and everything after it is what it is without workers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np

from e4_ros.evaluation.spread.schedule import run_tasks
from e4_ros.evaluation.spread.workers import Say, Task, Workers
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.stage_chain import StageChain
from e4_ros.vision.model import VisionModel
from e4_ros.vision.staged_network import NO_WORK, Part, StagedNetwork
from e4_ros.vision.teacher.offline_teacher import OfflineTeacher, look_at, teacher_chain

Clip = Sequence[tuple[float, np.ndarray]]

_BATCH = 4  # frames of a task: half a second of a core, or more
_NETWORK = 'network'


@dataclass(frozen=True)
class SentProgram:
    """A program as ONNX, which other machines can be sent; see `Program`."""

    name: str
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    model: bytes

    def onnx(self) -> bytes:
        """The model."""
        return self.model


@dataclass(frozen=True)
class SentNetwork:
    """A full network, which other machines can be sent.

    Attributes:
        weights: Hash of its weights, by which a worker knows it again.
        model: Preprocessing and decoding.
        programs: Its stages, in order.
    """

    weights: str
    model: VisionModel
    programs: Sequence[SentProgram]

    @classmethod
    def of(cls, network: StagedNetwork) -> SentNetwork:
        """The network's stages, exported here: all workers run the same file."""
        programs = [
            SentProgram(
                part.program.name,
                dict(part.program.inputs),
                tuple(part.program.outputs),
                part.program.onnx(),
            )
            for part in network.stages
        ]
        return cls(network.weights, network.model, programs)


class LookError(ValueError):
    """Workers could not look at frames."""


def look_everywhere(
    teacher: OfflineTeacher,
    network: StagedNetwork,
    clips: Sequence[Clip],
    open_workers: Callable[[], Workers],
    progress: Callable[[str, int, int], None] = lambda phase, done, total: None,
) -> int:
    """Let workers look at what a teacher has not seen yet of some clips.

    Args:
        teacher: Teacher whose store takes the answers.
        network: Its network.
        clips: As of `fit`.
        open_workers: Function that opens the workers; called only where there is something to do.
        progress: Function that receives the phase, the frames done and their number.

    Returns:
        The number of frames that they looked at.

    Raises:
        WorkersGoneError: the workers are gone; what they found before is kept.
        LookError: a worker failed.
    """
    total = sum(1 for clip in clips for _ in teacher.unknown(clip))
    if not total:
        return 0
    workers = open_workers()
    try:
        workers.share(_NETWORK, SentNetwork.of(network))
        kept = _Kept(teacher, total, progress)
        run_tasks(kept.tasks(chain.from_iterable(map(teacher.unknown, clips))), workers, kept)
    finally:
        workers.close()
    if kept.failed_why:
        raise LookError(f'the teacher’s looks failed: {kept.failed_why}')
    return kept.done


def look_for(say: Say, frames: Sequence[np.ndarray], network: SentNetwork) -> None:
    """Look at frames, and say boxes, scores and labels of each, in order."""
    asked = _chain(network.weights, network)
    for frame in frames:
        found = look_at(asked, frame)
        say((found.boxes, found.scores, found.labels))


@functools.lru_cache(maxsize=1)
def _compiled(weights: str) -> list[StageChain]:
    """Room for a chain, by the network; a worker serves many tasks."""
    return []


def _chain(weights: str, network: SentNetwork) -> StageChain:
    room = _compiled(weights)
    if not room:
        parts = [Part(program, NO_WORK) for program in network.programs]
        room.append(teacher_chain(network.model, parts))
    return room[0]


class _Kept:
    """Makes tasks of frames, and puts what they say into the teacher's store."""

    def __init__(
        self, teacher: OfflineTeacher, total: int, progress: Callable[[str, int, int], None]
    ) -> None:
        self._teacher, self._total, self._progress = teacher, total, progress
        self._frames: dict[str, list[np.ndarray]] = {}
        self._said: dict[str, int] = {}
        self.done = 0
        self.failed_why = ''

    def tasks(self, frames: Iterable[np.ndarray]) -> Iterator[Task]:
        """Tasks of a few frames each, made as they are needed; none more once one failed."""
        rest = iter(frames)
        number = 0
        while not self.failed_why and (batch := list(islice(rest, _BATCH))):
            number += 1
            name = f'looks {number}'
            self._frames[name] = batch
            yield Task(name, look_for, (batch,), (_NETWORK,))

    def begun(self, task: str) -> None:
        self._said[task] = 0

    def said(self, task: str, value: Any) -> None:
        frame = self._frames[task][self._said[task]]
        self._teacher.keep(frame, Detections(*value))
        self._said[task] += 1
        self.done += 1
        self._progress('teacher, on workers', min(self.done, self._total), self._total)

    def ended(self, task: str) -> None:
        del self._frames[task]

    def failed(self, task: str, why: str) -> None:
        del self._frames[task]
        self.failed_why = why

    def lost(self, task: str, why: str) -> bool:
        self.done -= self._said[task]
        return True
