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

"""The offline teacher's look, live: the whole frame and overlapping tiles of it, merged."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping, Sequence

import numpy as np

from e4_ros.offload.engines.base import Engine, EngineError
from e4_ros.offload.exchange import TensorShapes
from e4_ros.offload.identity import network_hash
from e4_ros.offload.request import TEACHER
from e4_ros.offload.server.picture_service import detector
from e4_ros.offload.server.service import Work
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.teacher_look import LEAST_SCORE
from e4_ros.vision.staged_network import StagedNetwork
from e4_ros.vision.tiles import merge, tiles_of


class TeacherService:
    """Looks at frames as the offline teacher does, with what runs side by side.

    All passes of a frame are one piece of work. Whole frame and tiles are given to the engine as
    many at once as it takes; when the next ones would not be done by the deadline, the look ends
    there and what was found so far is the answer.

    Args:
        network: a detector; the robot's own, or another.
        engine: where it runs.

    Attributes:
        looks: frames that were looked at.
        cut_short: those of them whose look ended early.
    """

    name = TEACHER
    cuts: Mapping[str, TensorShapes] = {}
    largest_batch = 1

    def __init__(self, network: StagedNetwork, engine: Engine) -> None:
        model = detector(network, 'a live teacher')
        self._engine, self._model_name = engine, model.name
        own = f'teacher {network_hash(model, network.weights)}'
        self.hash = hashlib.sha256(own.encode()).hexdigest()[:32]
        self.class_names = tuple(model.class_names)
        self._lock = threading.Lock()
        self.looks = self.cut_short = 0

    @property
    def about(self) -> str:
        """Which network, and where it runs now."""
        return f'tiles by {self._model_name}, {self._engine.where}'

    def run(self, batch: Sequence[Work]) -> list[Detections]:
        """The teacher's answers, in pixels of the pictures."""
        return [
            self.look(work.picture, work.deadline_s) for work in batch if work.picture is not None
        ]

    def look(self, frame: np.ndarray, deadline_s: float) -> Detections:
        """What is found in a frame and its tiles until a deadline.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB.
            deadline_s: `time.monotonic` from which nobody needs the answer.

        Raises:
            EngineError: not even the first passes were done in time.
        """
        tiles, found = tiles_of(frame.shape), list[Detections]()
        took_s, now_s = 0.0, time.monotonic()
        while len(found) < len(tiles) and (not found or now_s + took_s < deadline_s):
            some = tiles[len(found) : len(found) + self._engine.largest_batch]
            parts = [tile.crop(frame) for tile in some]
            try:
                found += self._engine.answers(parts, LEAST_SCORE, deadline_s - now_s)
            except EngineError:
                if not found:
                    raise
                break
            took_s, now_s = time.monotonic() - now_s, time.monotonic()
        with self._lock:
            self.looks += 1
            self.cut_short += len(found) < len(tiles)
        return merge(found, tiles[: len(found)], frame.shape)
