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

"""Tracks of the objects of one stream: moved by optical flow, confirmed by the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e4_ros.vision.boxes import clip
from e4_ros.vision.detections import Detections
from e4_ros.vision.tracking.association import confirm, report
from e4_ros.vision.tracking.box_motion import BoxMotion, box_motion, box_points
from e4_ros.vision.tracking.camera_motion import CameraMotion, camera_motion
from e4_ros.vision.tracking.flow import small_grey, sparse_flow
from e4_ros.vision.tracking.lost_tracks import LostTracks
from e4_ros.vision.tracking.score_noise import ScoreNoise
from e4_ros.vision.tracking.tracks import Tracks

_BACKGROUND = (6, 4)  # columns and rows of the points that show the camera's motion
_LEAST_BACKGROUND = 10
_PLACE_S = 6.7  # variance that a box's place gains in a second, in detections' variances
_UNSEEN = 1.0  # variance that a box gains in a frame in which its points were lost
_VELOCITY = 0.3  # weight of the newest velocity
_VISIBLE = 0.25  # share of a box that is in the picture, below which the object has left
_CLOSER_S = 0.5  # a look at a part counts as much as looks at the whole for so long
_VOUCH_S = 1.0  # time constant in which a closer look's word fades
_VOUCH_SIZES = 1.0  # as it does when the object has moved by its own size
_LONGEST_S = 2.0  # a longer gap between frames shows another scene
_SPREAD = np.stack(np.meshgrid(*((np.arange(n) + 0.5) / n for n in _BACKGROUND)), 2).reshape(-1, 2)


@dataclass(frozen=True)
class Motion:
    """What happened between the frame before and this one.

    Attributes:
        camera: the camera's own motion.
        boxes: motion of each track's box.
        found: share of all points that were found again, 0 to 1.
    """

    camera: CameraMotion
    boxes: BoxMotion
    found: float


class Tracker:
    """Follows the objects of one stream.

    Each frame is given to `look`, which moves the tracks; a key frame's detections to `update`.
    Then `answer` is what is to be said of the frame. A frame of another size, and a time before
    the last one's or more than two seconds after it, begin a new stream; ids go on counting.

    Args:
        report_score: score from which an object is reported, 0 to 1; it is until its score has
            fallen to seven tenths of that.

    Attributes:
        tracks: the objects.
        grey: ``(h, w)`` uint8, the small picture of the frame last looked at; None before.
        noise: of the network's scores; it is the network's, and outlives a stream.

    Example:
        >>> tracker = Tracker()
        >>> for stamp_s in (0.0, 0.1):
        ...     _ = tracker.look(np.zeros((480, 640, 3), np.uint8), stamp_s)
        ...     tracker.update(Detections.of(np.array([[10, 10, 60, 90]]), np.array([0.9])))
        ...     print(tracker.answer().ids)
        [1]
        [1]
    """

    def __init__(self, report_score: float = 0.3) -> None:
        self.report_score = report_score
        self._next_id = 1
        self.noise = ScoreNoise()
        self.reset()

    def reset(self) -> None:
        """Forget the stream; no id is used again."""
        self.tracks = Tracks.none()
        self._lost = LostTracks()
        self.grey: np.ndarray | None = None
        self._shape: tuple[int, ...] = (1, 1)
        self._stamp_s = self._key_s = -np.inf

    @property
    def scale(self) -> float:
        """Pixels of the small picture in one of the source."""
        return 1.0 if self.grey is None else self.grey.shape[1] / self._shape[1]

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """``(H, W, ...)`` of the frames."""
        return self._shape

    def look(self, frame: np.ndarray, stamp_s: float) -> Motion | None:
        """Move the tracks to the next frame of the stream.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB.
            stamp_s: time of the frame in seconds.

        Returns:
            What moved; None where the frame begins a new stream.
        """
        elapsed_s = stamp_s - self._stamp_s
        if frame.shape != self._shape or not 0 <= elapsed_s <= _LONGEST_S:
            self.reset()
        before, self.grey = self.grey, small_grey(frame)
        self._shape, self._stamp_s = frame.shape, stamp_s
        if before is None:
            return None
        motion = self._follow(before, self.grey, self.scale)
        self._move(motion, elapsed_s, self.scale)
        return motion

    def update(
        self,
        detections: Detections,
        looked_at: np.ndarray | None = None,
        seen_s: float | None = None,
    ) -> None:
        """Take what the network found in the frame last looked at.

        Args:
            detections: of the whole network, or of one exit; low scores are welcome.
            looked_at: part of the picture that was seen, ``(4,)`` source pixels; None for all.
                Its objects are seen larger and believed more; those outside stay as they are.
            seen_s: time of the frame in which they were found, where that was an earlier one and
                they were moved here since; None for the frame last looked at.
        """
        seen_s = self._stamp_s if seen_s is None else seen_s
        elapsed_s = max(seen_s - self._key_s, 0.0) if looked_at is None else _CLOSER_S
        kept, new = confirm(
            self.tracks, detections, elapsed_s, self.report_score, looked_at, self.noise
        )
        self._lost.add(self.tracks, kept, self._stamp_s)
        ids = self._lost.find(new, self._stamp_s)
        fresh = ids == 0
        ids[fresh] = self._next_id + np.arange(np.count_nonzero(fresh))
        self._next_id += int(np.count_nonzero(fresh))
        born = Tracks.born(new, ids, closer=looked_at is not None)
        self.tracks = report(kept.plus(born), self.report_score)
        if looked_at is None:
            self._key_s = max(seen_s, self._key_s)

    def answer(self) -> Detections:
        """The objects that are reported, in the frame last looked at."""
        return self.tracks.detections(self._shape, self.report_score)

    def _follow(self, before: np.ndarray, after: np.ndarray, scale: float) -> Motion:
        boxes = self.tracks.boxes * scale
        inside = box_points(boxes).reshape(-1, 2)
        around = _background(after.shape, boxes)
        flow = sparse_flow(before, after, np.concatenate([inside, around]))
        camera = camera_motion(flow.part(slice(len(inside), None)))
        objects = box_motion(boxes, flow.part(slice(len(inside))))
        return Motion(camera, objects, float(flow.good.mean()))

    def _move(self, motion: Motion, elapsed_s: float, scale: float) -> None:
        tracks, boxes = self.tracks, motion.boxes
        self._lost.move(motion.camera, scale)
        if not len(tracks):
            return
        low, high = tracks.boxes[:, :2], tracks.boxes[:, 2:]
        centre, half = (low + high) / 2, (high - low) / 2
        if motion.camera.known:
            carried = motion.camera.carry(centre * scale) / scale - centre
        else:
            carried = tracks.velocities * elapsed_s
        trusted = boxes.trusted[:, None]
        shift = np.where(trusted, boxes.shift / scale, carried)
        centre = centre + shift
        half = half * np.where(trusted, boxes.growth[:, None], 1.0)
        tracks.boxes = np.concatenate([centre - half, centre + half], 1)
        if elapsed_s > 0:
            velocity = shift / elapsed_s
            begun = np.abs(tracks.velocities).max(1, keepdims=True) > 0
            tracks.velocities += np.where(begun, _VELOCITY, 1.0) * (velocity - tracks.velocities)
        # Where its points are lost, nobody knows whether this is what the closer look found.
        moved = np.hypot(*shift.T) / np.sqrt(np.maximum(4 * half.prod(1), 1.0))
        tracks.vouched *= np.exp(-elapsed_s / _VOUCH_S - moved / _VOUCH_SIZES) * boxes.trusted
        tracks.variance += _PLACE_S * elapsed_s + np.where(boxes.trusted, 0.0, _UNSEEN)
        seen = clip(tracks.boxes, self._shape)
        share = (seen[:, 2:] - seen[:, :2]).prod(1) / np.maximum(4 * half.prod(1), 1e-9)
        if (share < _VISIBLE).any():
            self.tracks = tracks.where(share >= _VISIBLE)


def _background(shape: tuple[int, ...], boxes: np.ndarray) -> np.ndarray:
    """Points ``(N, 2)`` spread over the picture, outside the boxes where that leaves enough."""
    points = _SPREAD * shape[::-1]
    if not len(boxes):
        return points
    covered = (points[:, None] > boxes[:, :2]) & (points[:, None] < boxes[:, 2:])
    free = ~np.asarray(covered.all(2)).any(1)
    return points[free] if np.count_nonzero(free) >= _LEAST_BACKGROUND else points
