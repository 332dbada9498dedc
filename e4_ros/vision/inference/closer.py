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

"""The exit `closer`: a full pass of the network on the part of the picture that deserves it.

The network squeezes a frame into its small input; on a part it sees things larger, and finds those
that are far away or hidden by others. Where that changes the answer most is expected from two
things: tracks that are undecided or overlapped, and how often closer looks changed the answer
there, both the more the longer ago the last of them was. So no place is starved: what was never
looked at closely keeps a small expectation, which grows with time.
"""

from __future__ import annotations

import cv2
import numpy as np

from e4_ros.vision.boxes import clip, iou_matrix
from e4_ros.vision.tiles import Tile, inner_part, tiles_of
from e4_ros.vision.tracking.association import undecided
from e4_ros.vision.tracking.camera_motion import CameraMotion
from e4_ros.vision.tracking.score_noise import START
from e4_ros.vision.tracking.tracks import Tracks

QUALITIES = {'fast': 0.0, 'balanced': 0.5, 'best': 1.0}
"""Parameter `quality` → passes of the network a frame, closer looks and key frames together."""

DEFAULT_QUALITY = 'fast'

_CELLS = (24, 18)  # columns and rows of the map
_OLDEST_S = 3.0  # a longer time since the last closer look makes no difference
_TRACK_S = 1.0  # time constant in which another closer look at a track pays again
_OVERLAPPED = 0.2  # IoU with another track from which one hides the other
_PRIOR = 0.02  # changes a second that a closer look is expected to make in a cell, at first
_LEAST = 0.002
_LEARN = 0.3
_PLACES = 0.3  # weight of the places' expectation beside that of the tracks
_SPREAD = 5  # cells around a change in which the next one is expected
_BARELY = 0.05  # pixels of camera motion that the map need not follow
_DEBT = 10.0  # passes that key frames may use up beforehand


def passes_of(quality: str) -> float:
    """Passes of the network a frame, on average, that a quality allows.

    Raises:
        ValueError: there is no such quality.
    """
    if quality not in QUALITIES:
        raise ValueError(f'quality is one of {", ".join(QUALITIES)}; got {quality!r}')
    return QUALITIES[quality]


class Budget:
    """Lets closer looks use the passes that key frames leave.

    Args:
        passes: passes of the network a frame, on average; key frames come when they must, also
            where they are more than that.

    Raises:
        ValueError: that is not between 0 and 1.
    """

    def __init__(self, passes: float) -> None:
        if not 0 <= passes <= 1:
            raise ValueError(f'the passes a frame are between 0 and 1; got {passes}')
        self.passes = passes
        self._left = 0.0

    def frame(self) -> bool:
        """A frame comes; whether a pass may be spent on it."""
        self._left = min(self._left + self.passes, 1.0)
        return self.passes > 0 and self._left > 1 - 1e-9

    def spend(self) -> None:
        """The network runs on the frame, on the whole or on a part."""
        self._left = max(self._left - 1, -_DEBT)


class Attention:
    """Where in the picture a closer look is expected to change the answer most.

    Args:
        report_score: score from which an object is reported.
    """

    def __init__(self, report_score: float) -> None:
        self._report_score = report_score
        self.reset((1, 1))

    def reset(self, frame_shape: tuple[int, ...]) -> None:
        """A stream of frames ``(H, W, ...)`` begins."""
        height, width = frame_shape[:2]
        columns, rows = _CELLS
        self._shape = frame_shape
        self._tiles = tiles_of(frame_shape)[1:]
        self._cell = np.array([width / columns, height / rows])
        self._age_s: np.ndarray = np.full((rows, columns), _OLDEST_S, np.float32)
        self._rate: np.ndarray = np.full((rows, columns), _PRIOR, np.float32)
        if not self._tiles:
            return
        self._inner = np.stack([inner_part(tile, frame_shape) for tile in self._tiles])
        across = (np.arange(columns) + 0.5) * self._cell[0]
        down = (np.arange(rows) + 0.5) * self._cell[1]
        self._covers = np.stack([_covered(tile, across, down) for tile in self._tiles])

    def knows(self, frame_shape: tuple[int, ...]) -> bool:
        """Whether frames of that shape are what it was reset to."""
        return frame_shape == self._shape

    def look(self, camera: CameraMotion, scale: float, elapsed_s: float) -> None:
        """Move the map to the next frame.

        Args:
            camera: the camera's motion since the frame before.
            scale: pixels of its picture in one of the source.
            elapsed_s: seconds since the frame before.
        """
        if camera.known and camera.moves > _BARELY:
            cell = self._cell * scale
            motion = camera.matrix / cell[:, None] * [*cell, 1.0]
            size = self._age_s.shape[::-1]
            self._age_s = cv2.warpAffine(self._age_s, motion, size, borderValue=_OLDEST_S)
            self._rate = cv2.warpAffine(self._rate, motion, size, borderValue=_PRIOR)
        self._age_s = np.minimum(self._age_s + np.float32(elapsed_s), np.float32(_OLDEST_S))

    def choose(self, tracks: Tracks, noise: float = START) -> Tile | None:
        """The part that deserves a closer look; None where the frame is no larger than a part.

        Args:
            tracks: where the objects are now.
            noise: of the network's scores, see `ScoreNoise`.
        """
        if not self._tiles:
            return None
        expected = _PLACES * np.tensordot(self._covers, self._rate * self._age_s, 2)
        if len(tracks):
            boxes = clip(tracks.boxes, self._shape)
            low, high = self._inner[:, None, :2], self._inner[:, None, 2:]
            inside = ((boxes[:, :2] >= low) & (boxes[:, 2:] <= high)).all(2)
            again = 1 - np.exp(-self._age_s[self._cells_of(boxes)] / _TRACK_S)
            expected += inside @ (self._need(tracks, noise) * again)
        return self._tiles[int(expected.argmax())]

    def seen(self, tile: Tile, before: Tracks, after: Tracks) -> None:
        """Learn from a closer look how much another is expected to change there.

        Args:
            tile: the part that was looked at.
            before: the tracks just before.
            after: the tracks with what was found.
        """
        said, says = before.ids[before.reported], after.ids[after.reported]
        gone = before.boxes[before.reported & ~np.isin(before.ids, says)]
        come = after.boxes[after.reported & ~np.isin(after.ids, said)]
        changes: np.ndarray = np.zeros_like(self._rate)
        np.add.at(changes, self._cells_of(np.concatenate([gone, come])), 1)
        changes = cv2.blur(changes, (_SPREAD, _SPREAD))
        here = self._covers[self._tiles.index(tile)]
        rate = changes[here] / np.maximum(self._age_s[here], 0.1)
        self._rate[here] += _LEARN * (rate - self._rate[here])
        np.maximum(self._rate, _LEAST, out=self._rate)
        self._age_s[here] = 0

    def _need(self, tracks: Tracks, noise: float) -> np.ndarray:
        """How likely a closer look changes what is said of each track."""
        need = undecided(tracks, self._report_score, noise)
        overlap = iou_matrix(tracks.boxes, tracks.boxes)
        np.fill_diagonal(overlap, 0)
        return np.asarray(need + np.minimum(overlap.max(1) / _OVERLAPPED, 1))

    def _cells_of(self, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the cells in which boxes have their centres."""
        columns, rows = _CELLS
        column, row = ((boxes[:, :2] + boxes[:, 2:]) / 2 / self._cell).astype(int).T
        return np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)


def _covered(tile: Tile, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Mask of the cells whose centres lie in a tile."""
    columns = (across > tile.x) & (across < tile.x + tile.width)
    rows = (down > tile.y) & (down < tile.y + tile.height)
    return rows[:, None] & columns
