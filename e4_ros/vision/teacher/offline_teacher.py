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

"""The offline teacher: the detector itself, asked slowly and thoroughly.

One pass squeezes the whole frame into the network's small input. The teacher also looks at
overlapping tiles, merges what it finds, and uses the frames before *and after* to fill gaps and
steady the boxes. Far too slow for a robot, it is what exits learn from and are judged by.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from e4_ros.paths import cache_dir
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.stage_chain import StageChain
from e4_ros.vision.inference.teacher_look import LEAST_SCORE, TeacherLook
from e4_ros.vision.model import VisionModel
from e4_ros.vision.runtime.one_per_core import OnePerCore
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime
from e4_ros.vision.staged_network import Part, StagedNetwork
from e4_ros.vision.teacher.smoothing import smooth

_VERSION = b'1'  # change it when the answers to a single frame change


class OfflineTeacher:
    """Answers for whole videos, with what single frames gave kept on disk.

    A frame is known by its pixels, so a run that was interrupted goes on where it stopped, and
    another cut of the same footage costs nothing.

    Args:
        network: a detector; its full network is what is asked.
        threads: threads that look at frames, each at one of its own; None for one per core.
        cache: folder for the answers of single frames.
        apart_s: least time between two frames that are looked at; those between have their boxes
            from the tracks, and where a scene begins and ends is always looked at. 0: all frames.

    Raises:
        ValueError: the model is no detector.
    """

    def __init__(
        self,
        network: StagedNetwork,
        threads: int | None = None,
        cache: Path | None = None,
        apart_s: float = 0.0,
    ):
        model = network.model
        if model.task != 'detect':
            raise ValueError(f'{model.name} finds no boxes; the offline teacher is for detectors')
        self._chains = OnePerCore(lambda: teacher_chain(model, network.stages), threads)
        self._apart_s = apart_s
        folder = cache or cache_dir() / 'teacher'
        self._known = _AnswerStore(folder / f'{model.name}-{_fingerprint(network)}.sqlite')

    def pseudo_label(
        self,
        frames: Iterable[tuple[float, np.ndarray]],
        progress: Callable[[int], None] | None = None,
    ) -> list[Detections]:
        """One answer for each frame of a video, smoothed over time.

        A change of size or a time that does not rise begins a new scene.

        Args:
            frames: time in seconds and ``(H, W, 3)`` uint8 RGB image, in order of time.
            progress: function that receives the number of frames done, after each frame.
        """
        scenes: list[_Scene] = []
        for look in self._chains.map(self._answer, self._looks(frames, scenes)):
            look.scene.answers[look.place] = look.answer
            if progress is not None:
                progress(look.number)
        return [labels for scene in scenes for labels in scene.smoothed()]

    def look(self, frame: np.ndarray) -> Detections:
        """The answer to a single frame: whole and tiles merged, no smoothing."""
        return self._look(self._chains.copies[0], frame)

    def unknown(self, frames: Iterable[tuple[float, np.ndarray]]) -> Iterator[np.ndarray]:
        """Frames that `pseudo_label` would look at and that nobody has looked at yet.

        Args:
            frames: as of `pseudo_label`.
        """
        for look in self._looks(frames, []):
            if self._known.get(_key(look.frame)) is None:
                yield look.frame

    def keep(self, frame: np.ndarray, answer: Detections) -> None:
        """Take the answer to a frame that somebody else has looked at; see `look_at`."""
        self._known.put(_key(frame), answer)

    def _looks(
        self, frames: Iterable[tuple[float, np.ndarray]], scenes: list[_Scene]
    ) -> Iterator[_Look]:
        """Sort frames into scenes; give those that deserve a look."""
        last: _Look | None = None  # the frame before, if nobody has looked at it
        for number, (stamp_s, frame) in enumerate(frames, 1):
            if not scenes or not scenes[-1].continues(stamp_s, frame):
                if last is not None:
                    yield last
                scenes.append(_Scene(frame.shape))
            scene = scenes[-1]
            wanted = scene.add(stamp_s, self._apart_s)
            last = _Look(scene, len(scene.stamps) - 1, number, frame)
            if wanted:
                yield last
                last = None
        if last is not None:
            yield last

    def _answer(self, chain: StageChain, look: _Look) -> _Look:
        look.answer = self._look(chain, look.frame)
        return look

    def _look(self, chain: StageChain, frame: np.ndarray) -> Detections:
        key = _key(frame)
        known = self._known.get(key)
        if known is None:
            known = look_at(chain, frame)
            self._known.put(key, known)
        return known


def look_at(chain: StageChain, frame: np.ndarray) -> Detections:
    """The teacher's answer to a single frame: whole and tiles merged, no smoothing."""
    look = TeacherLook(frame)
    while not look.done:
        part = look.part()
        chain.see(part)
        look.take(chain.detections(part.shape, LEAST_SCORE))
    return look.detections()


def teacher_chain(model: VisionModel, stages: Sequence[Part]) -> StageChain:
    """What `look_at` asks: the full network on one thread."""
    return StageChain(model, stages, OnnxRuntime(1, arena=True))


def _key(frame: np.ndarray) -> bytes:
    """A frame is known by its pixels."""
    about = repr(frame.shape).encode() + frame.tobytes()
    return hashlib.blake2b(about, digest_size=16).digest()


class _Scene:
    """Frames of one size whose times rise."""

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape
        self.stamps: list[float] = []
        self.answers: list[Detections | None] = []
        self._looked_s = -np.inf

    def continues(self, stamp_s: float, frame: np.ndarray) -> bool:
        """Whether a frame belongs to this scene."""
        return frame.shape == self.shape and stamp_s > self.stamps[-1]

    def add(self, stamp_s: float, apart_s: float) -> bool:
        """Append a frame; whether it is far enough from the last one that deserved a look."""
        self.stamps.append(stamp_s)
        self.answers.append(None)
        wanted = stamp_s - self._looked_s >= apart_s
        if wanted:
            self._looked_s = stamp_s
        return wanted

    def smoothed(self) -> list[Detections]:
        """Boxes at every frame, cut where it ends."""
        return _within(smooth(self.answers, self.stamps), self.shape)


@dataclass(eq=False)
class _Look:
    """A frame on its way: its place in its scene, its number in the video from 1."""

    scene: _Scene
    place: int
    number: int
    frame: np.ndarray
    answer: Detections | None = None


class _AnswerStore:
    """Answers by key in one SQLite file, for any thread; a damaged file is made anew."""

    def __init__(self, path: Path):
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open(path)
        except sqlite3.OperationalError as error:
            raise OSError(f'{path} cannot be used to keep answers: {error}') from error
        except sqlite3.DatabaseError:
            path.unlink()
            self._open(path)

    def _open(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute('PRAGMA journal_mode=WAL')
        self._database.execute('PRAGMA synchronous=NORMAL')
        self._database.execute(
            'CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, rows BLOB)'
        )

    def get(self, key: bytes) -> Detections | None:
        with self._lock:
            found = self._database.execute('SELECT rows FROM answers WHERE key = ?', (key,))
            row = found.fetchone()
        if row is None:
            return None
        table = np.frombuffer(row[0], np.float32).reshape(-1, 6)
        return Detections.of(table[:, :4], table[:, 4], table[:, 5])

    def put(self, key: bytes, detections: Detections) -> None:
        table = np.column_stack([detections.boxes, detections.scores, detections.labels]).astype(
            np.float32
        )
        with self._lock:
            self._database.execute(
                'INSERT OR REPLACE INTO answers VALUES (?, ?)', (key, table.tobytes())
            )


def _fingerprint(network: StagedNetwork) -> str:
    """Changes with the network's weights, its input size and the teacher's version."""
    about = f'{tuple(network.model.input_size)}{network.weights}'
    return hashlib.blake2b(_VERSION + about.encode(), digest_size=8).hexdigest()


def _within(answers: list[Detections], shape: tuple[int, ...]) -> list[Detections]:
    """Cut boxes where the frame ends; a spline may carry them beyond, some of them wholly."""
    height, width = shape[:2]
    most = np.array([width, height, width, height], np.float32)
    inside = []
    for detections in answers:
        boxes = detections.boxes.clip(0, most)
        seen = (boxes[:, 2:] - boxes[:, :2] >= 1).all(1)
        inside.append(Detections(boxes[seen], detections.scores[seen], detections.labels[seen]))
    return inside
