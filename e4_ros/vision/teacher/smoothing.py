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

"""Detections of a whole video made steady: linked into tracks, gaps filled, noise taken out.

All of it looks forwards and backwards in time, so it is for footage, not for a live stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import make_smoothing_spline

from e4_ros.vision.boxes import iou_matrix, match
from e4_ros.vision.detections import Detections
from e4_ros.vision.tiles import suppress

_LINK_IOU = 0.3
_GAP_S = 0.6  # a track unseen for longer has ended
_LEAST_SEEN = 3  # detections that make a track
_LEAST_BEST = 0.5  # score that its best detection must reach
_STIFFNESS_S3 = 0.002  # weight of the boxes' acceleration: noise below about 0.2 s goes
_SCORE_WIDTH_S = 0.6  # standard deviation of the window that scores are averaged over
_SAME_BOX_IOU = 0.7
_SPLINE_LEAST = 5  # points that scipy's smoothing spline needs


@dataclass
class Track:
    """Detections of one object over time.

    Attributes:
        label: class of the object.
        indices: frames in which it was found, rising.
        boxes: one box for each of them.
        scores: scores of the boxes, in the same order.
    """

    label: int
    indices: list[int]
    boxes: list[np.ndarray]
    scores: list[float]
    _velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def predict(self, elapsed_s: float) -> np.ndarray:
        """Its box so long after the last detection, at constant velocity."""
        return self.boxes[-1] + np.tile(self._velocity * elapsed_s, 2)

    def add(self, index: int, box: np.ndarray, score: float, elapsed_s: float) -> None:
        """Append a detection; the velocity follows as a running mean that forgets."""
        moved = (box - self.boxes[-1]).reshape(2, 2).mean(0) / elapsed_s
        self._velocity += max(1 / len(self.indices), 0.3) * (moved - self._velocity)
        self.indices.append(index)
        self.boxes.append(box)
        self.scores.append(score)


def smooth(answers: Sequence[Detections | None], stamps_s: Sequence[float]) -> list[Detections]:
    """The answers with short tracks removed, gaps filled, boxes and scores smoothed.

    Answers of too few frames, or of frames too far apart to follow anything (below about 3 Hz),
    come back as they are.

    Args:
        answers: one for each frame of one scene; None where nobody looked, which gets its boxes
            from the tracks. The first frame has one.
        stamps_s: stamps of the frames in seconds, strictly rising.

    Raises:
        ValueError: times do not rise, or there is not one for each answer.
    """
    stamps = np.asarray(stamps_s, float)
    if len(stamps) != len(answers) or (np.diff(stamps) <= 0).any():
        raise ValueError('smoothing needs one time for each answer, each later than the one before')
    looked = [index for index, detections in enumerate(answers) if detections is not None]
    if len(looked) < _LEAST_SEEN or np.median(np.diff(stamps[looked])) > _GAP_S / 2:
        return _last_known(answers)
    found: list[list[tuple[np.ndarray, float, int]]] = [[] for _ in answers]
    for track in link(answers, stamps):
        if len(track.indices) < _LEAST_SEEN or max(track.scores) < _LEAST_BEST:
            continue
        first, last = track.indices[0], track.indices[-1]
        times = stamps[first : last + 1]
        boxes, scores = _smooth_track(track, stamps, times)
        for index, box, score in zip(range(first, last + 1), boxes, scores, strict=True):
            found[index].append((box, score, track.label))
    return [_answer(rows) for rows in found]


def _last_known(answers: Sequence[Detections | None]) -> list[Detections]:
    known, last = [], Detections.empty()
    for detections in answers:
        last = last if detections is None else detections
        known.append(last)
    return known


def link(answers: Sequence[Detections | None], stamps_s: np.ndarray) -> list[Track]:
    """Chain detections of the same object from frame to frame; frames without an answer pass.

    Each frame's detections go to the tracks so that the sum of overlap with the predicted boxes,
    weighted by score, is largest (after SORT, Bewley et al., arXiv 1602.00763).
    """
    ended: list[Track] = []
    alive: list[Track] = []
    for index, (detections, now) in enumerate(zip(answers, stamps_s, strict=True)):
        if detections is None:
            continue
        unseen = [now - stamps_s[track.indices[-1]] for track in alive]
        ended += [track for track, gap in zip(alive, unseen, strict=True) if gap > _GAP_S]
        alive = [track for track, gap in zip(alive, unseen, strict=True) if gap <= _GAP_S]
        owners = _assign(alive, detections, [gap for gap in unseen if gap <= _GAP_S])
        for row, box in enumerate(detections.boxes.astype(float)):
            score = float(detections.scores[row])
            if row in owners:
                track = owners[row]
                track.add(index, box, score, now - stamps_s[track.indices[-1]])
            else:
                alive.append(Track(int(detections.labels[row]), [index], [box], [score]))
    return ended + alive


def _assign(tracks: list[Track], detections: Detections, unseen_s: list[float]) -> dict[int, Track]:
    """The track that each row of the answer continues, where there is one."""
    if not tracks or not len(detections):
        return {}
    predicted = np.array([t.predict(gap) for t, gap in zip(tracks, unseen_s, strict=True)])
    overlap = iou_matrix(predicted, detections.boxes)
    same = np.array([t.label for t in tracks])[:, None] == detections.labels[None]
    possible = same & (overlap >= _LINK_IOU)
    worth = np.where(possible, overlap * (0.5 + detections.scores[None]), 0.0)
    return {int(column): tracks[row] for row, column in zip(*match(worth), strict=True)}


def _smooth_track(
    track: Track, stamps: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes ``(T, 4)`` and scores ``(T,)`` at every time, also where it was not found.

    The smoothing spline is the best estimate of a path with random acceleration from noisy points,
    forwards and backwards (Wahba 1978), and takes gaps as they are.
    """
    seen, boxes, scores = stamps[track.indices], np.array(track.boxes), np.array(track.scores)
    if len(seen) < _SPLINE_LEAST:
        smoothed = np.column_stack([np.interp(times, seen, side) for side in boxes.T])
    else:
        weights = scores / scores.mean()
        smoothed = np.column_stack(
            [make_smoothing_spline(seen, s, weights, _STIFFNESS_S3)(times) for s in boxes.T]
        )
    distance = (times[:, None] - seen[None]) / _SCORE_WIDTH_S
    near = np.exp(-0.5 * distance**2)
    return smoothed, near @ scores / near.sum(1)


def _answer(rows: list[tuple[np.ndarray, float, int]]) -> Detections:
    if not rows:
        return Detections.empty()
    boxes, scores, labels = (np.array(column) for column in zip(*rows, strict=True))
    return suppress(Detections.of(boxes, scores, labels), _SAME_BOX_IOU)
