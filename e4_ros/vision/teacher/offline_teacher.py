"""The offline teacher: the detector itself, asked slowly and thoroughly.

One pass squeezes the whole frame into the network's small input. The teacher also looks at
overlapping tiles, merges what it finds, and uses the frames before *and after* to fill gaps and
steady the boxes. Far too slow for a robot, it is what exits learn from and are judged by.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from e4_ros.paths import cache_dir
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.stage_chain import StageChain
from e4_ros.vision.inference.teacher_look import LEAST_SCORE, TeacherLook
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime
from e4_ros.vision.staged_network import StagedNetwork
from e4_ros.vision.teacher.smoothing import smooth

_VERSION = b'1'  # change it when the answers to a single frame change


class OfflineTeacher:
    """Answers for whole videos, with what single frames gave kept on disk.

    A frame is known by its pixels, so a run that was interrupted goes on where it stopped, and
    another cut of the same footage costs nothing.

    Args:
        network: a detector; its full network is what is asked.
        threads: threads within one operation; None leaves the choice to the runtime.
        cache: folder for the answers of single frames.

    Raises:
        ValueError: the model is no detector.
    """

    def __init__(
        self, network: StagedNetwork, threads: int | None = None, cache: Path | None = None
    ):
        model = network.model
        if model.task != 'detect':
            raise ValueError(f'{model.name} finds no boxes; the offline teacher is for detectors')
        self._chain = StageChain(model, network.stages, OnnxRuntime(threads, arena=True))
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
        pseudo_labels: list[Detections] = []
        answers: list[Detections] = []
        stamps: list[float] = []
        shape: tuple[int, ...] | None = None
        for count, (stamp_s, frame) in enumerate(frames, 1):
            if stamps and (frame.shape != shape or stamp_s <= stamps[-1]):
                pseudo_labels += _within(smooth(answers, stamps), shape)
                answers, stamps = [], []
            shape = frame.shape
            answers.append(self.look(frame))
            stamps.append(stamp_s)
            if progress is not None:
                progress(count)
        return pseudo_labels + _within(smooth(answers, stamps), shape)

    def look(self, frame: np.ndarray) -> Detections:
        """The answer to a single frame: whole and tiles merged, no smoothing."""
        pixels = frame.tobytes()
        key = hashlib.blake2b(repr(frame.shape).encode() + pixels, digest_size=16).digest()
        known = self._known.get(key)
        if known is None:
            look = TeacherLook(frame)
            while not look.done:
                part = look.part()
                self._chain.see(part)
                look.take(self._chain.detections(part.shape, LEAST_SCORE))
            known = look.detections()
            self._known.put(key, known)
        return known


class _AnswerStore:
    """Answers by key in one SQLite file; a damaged file is made anew."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open(path)
        except sqlite3.OperationalError as error:
            raise OSError(f'{path} cannot be used to keep answers: {error}') from error
        except sqlite3.DatabaseError:
            path.unlink()
            self._open(path)

    def _open(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute('PRAGMA journal_mode=WAL')
        self._database.execute('PRAGMA synchronous=NORMAL')
        self._database.execute(
            'CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, rows BLOB)'
        )

    def get(self, key: bytes) -> Detections | None:
        row = self._database.execute('SELECT rows FROM answers WHERE key = ?', (key,)).fetchone()
        if row is None:
            return None
        table = np.frombuffer(row[0], np.float32).reshape(-1, 6)
        return Detections.of(table[:, :4], table[:, 4], table[:, 5])

    def put(self, key: bytes, detections: Detections) -> None:
        table = np.column_stack([detections.boxes, detections.scores, detections.labels]).astype(
            np.float32
        )
        self._database.execute(
            'INSERT OR REPLACE INTO answers VALUES (?, ?)', (key, table.tobytes())
        )


def _fingerprint(network: StagedNetwork) -> str:
    """Changes with the network's weights, its input size and the teacher's version."""
    about = f'{tuple(network.model.input_size)}{network.weights}'
    return hashlib.blake2b(_VERSION + about.encode(), digest_size=8).hexdigest()


def _within(answers: list[Detections], shape: tuple[int, ...] | None) -> list[Detections]:
    """Cut boxes where the frame ends; a spline may carry them beyond, some of them wholly."""
    if shape is None:
        return answers
    height, width = shape[:2]
    most = np.array([width, height, width, height], np.float32)
    inside = []
    for detections in answers:
        boxes = detections.boxes.clip(0, most)
        seen = (boxes[:, 2:] - boxes[:, :2] >= 1).all(1)
        inside.append(Detections(boxes[seen], detections.scores[seen], detections.labels[seen]))
    return inside
