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

"""What was found in an earlier frame, moved to where it is now."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from e4_ros.vision.boxes import clip, iou_matrix
from e4_ros.vision.detections import Detections
from e4_ros.vision.tracking.box_motion import box_motion, box_points
from e4_ros.vision.tracking.camera_motion import UNKNOWN, CameraMotion, camera_motion
from e4_ros.vision.tracking.flow import sparse_flow
from e4_ros.vision.tracking.tracks import Tracks

_BACKGROUND = np.stack(np.meshgrid((np.arange(6) + 0.5) / 6, (np.arange(4) + 0.5) / 4), 2)
_SAME_IOU = 0.3
_LEFT = 0.25  # share of a box that is in the picture, below which the object has left


class Carried(NamedTuple):
    """Detections of an earlier frame in this one.

    Attributes:
        detections: those whose way could be followed, and that are still in the picture.
        camera: the camera's motion between the two frames, in pixels of the small picture.
    """

    detections: Detections
    camera: CameraMotion


def carried(
    found: Detections,
    before: np.ndarray,
    after: np.ndarray,
    scale: float,
    frame_shape: tuple[int, ...],
    then: Tracks,
    now: Tracks,
) -> Carried:
    """Move what was found in an earlier frame to this one.

    By the optical flow between the two pictures; where that loses a box, by the way that a track
    took which was there then; where there was none, by the camera's motion. What nothing is known
    of is left out.

    Args:
        found: objects of the earlier frame, in source pixels.
        before: ``(h, w)`` uint8, the small picture of that frame.
        after: that of this frame.
        scale: pixels of the small picture in one of the source.
        frame_shape: ``(H, W, ...)`` of the source.
        then: the tracks at that frame.
        now: the tracks at this frame.
    """
    if before is after:
        return Carried(found, UNKNOWN)
    boxes = found.boxes.astype(float) * scale
    inside = box_points(boxes).reshape(-1, 2)
    around = _BACKGROUND.reshape(-1, 2) * before.shape[::-1]
    flow = sparse_flow(before, after, np.concatenate([inside, around]))
    camera = camera_motion(flow.part(slice(len(inside), None)))
    if not len(found):
        return Carried(found, camera)
    motion = box_motion(boxes, flow.part(slice(len(inside))))
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    shift = motion.shift.copy()
    growth, known = motion.growth.copy(), motion.trusted.copy()
    by_track = _ways(found, then, now)
    for index in np.flatnonzero(~known).tolist():
        if index in by_track:
            shift[index], growth[index], known[index] = by_track[index] * scale, 1.0, True
        elif camera.known:
            shift[index] = camera.carry(middle[index : index + 1])[0] - middle[index]
            growth[index], known[index] = 1.0, True
    middle, half = middle + shift, half * growth[:, None]
    moved = np.concatenate([middle - half, middle + half], 1) / scale
    seen = clip(moved, frame_shape)
    area = np.maximum((moved[:, 2:] - moved[:, :2]).prod(1), 1e-9)
    known &= (seen[:, 2:] - seen[:, :2]).prod(1) / area >= _LEFT
    kept = replace(
        found,
        boxes=moved[known].astype(np.float32),
        scores=found.scores[known],
        labels=found.labels[known],
        ids=None,
        velocities=None,
    )
    return Carried(kept, camera)


def _ways(found: Detections, then: Tracks, now: Tracks) -> dict[int, np.ndarray]:
    """Shift in source pixels, by index, of what overlaps a track that is still there."""
    if not len(then) or not len(now):
        return {}
    overlap = iou_matrix(found.boxes, then.boxes)
    overlap[found.labels[:, None] != then.labels] = 0
    places = {int(track): place for place, track in enumerate(now.ids)}
    ways = {}
    for index, best in enumerate(overlap.argmax(1)):
        place = places.get(int(then.ids[best]))
        if overlap[index, best] >= _SAME_IOU and place is not None:
            corners = now.boxes[place] - then.boxes[best]
            ways[index] = (corners[:2] + corners[2:]) / 2
    return ways
