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

"""A key frame: what the network found is matched with the tracks, and both learn from it."""

from __future__ import annotations

import numpy as np

from e4_ros.vision.boxes import iou_matrix, match, nms
from e4_ros.vision.detections import Detections
from e4_ros.vision.tracking.score_noise import ScoreNoise
from e4_ros.vision.tracking.tracks import Tracks

LOWEST = 0.1
"""Score from which a detection confirms a track that is there; it begins none."""

_SAME_IOU = 0.3
_DOUBLE_IOU = 0.7  # of two tracks of a class with such boxes, one is a copy
_MEMORY_S = 0.25  # time constant of the running mean of the scores
_STRAYS = 0.4  # standard deviation of a track's score, the running mean, in looks' own
_KEEP = 0.7  # an object is reported until its score falls to this share of the score to report
_BIRTH = 0.6  # share of the score to report from which a track begins, at first unreported


def confirm(
    tracks: Tracks,
    detections: Detections,
    elapsed_s: float,
    report_score: float,
    looked_at: np.ndarray | None = None,
    noise: ScoreNoise | None = None,
) -> tuple[Tracks, Detections]:
    """Tracks after a key frame, and what belongs to none of them.

    A detection confirms the track of its class that it overlaps most, all pairs at once; low scores
    count as well, as in ByteTrack (Zhang et al., arXiv 2110.06864), since a track vouches for them.
    As there overlap is weighed by the score, so that no unsure box next to an object takes the
    track from the sure one. Of two boxes of a class that nearly cover each other one is a copy:
    transformers, which suppress nothing, have many.
    A track's score is the mean of what it was given, the newest half second counting most, so that
    it depends little on how often the network ran. What a closer look at a part has found, the
    network may miss in the whole picture, where it is smaller: that counts against a track only as
    far as the closer look vouches for it no longer. Boxes move towards the detection by a Kalman
    gain.

    Args:
        tracks: moved to this frame.
        detections: what the network found, from score `LOWEST`.
        elapsed_s: seconds since the key frame before, or what a look at a part counts as.
        report_score: score from which an object is reported.
        looked_at: part of the picture that the network saw, ``(4,)`` source pixels; tracks outside
            stay as they are. None for all of it.
        noise: learns from a look at the whole picture.
    """
    detections = detections.above(LOWEST)
    boxes, scores, labels = detections.boxes, detections.scores, detections.labels
    detections = _taken(detections, nms(boxes, scores, _DOUBLE_IOU, labels))
    overlap = iou_matrix(tracks.boxes, detections.boxes)
    overlap[tracks.labels[:, None] != detections.labels] = 0
    overlap[overlap < _SAME_IOU] = 0
    rows, columns = match(overlap * detections.scores)
    seen = np.zeros(len(tracks), bool)
    seen[rows] = True

    found = np.zeros(len(tracks))
    found[rows] = detections.scores[columns]
    if noise is not None and looked_at is None:
        noise.learn(tracks.scores, found, (1 + _KEEP) / 2 * report_score)
    weight = np.maximum(1 - np.exp(-elapsed_s / _MEMORY_S), 1 / (tracks.looks + 1))
    if looked_at is None:
        weight = np.where(found < tracks.scores, weight * (1 - tracks.vouched), weight)
    else:
        judged = seen | _inside(tracks.boxes, looked_at)
        weight[~judged] = 0
        tracks.vouched[judged] = seen[judged]
    tracks.scores += weight * (found - tracks.scores)
    tracks.looks += weight > 0

    gain = (tracks.variance / (tracks.variance + 1))[rows]
    tracks.boxes[rows] += gain[:, None] * (detections.boxes[columns] - tracks.boxes[rows])
    tracks.variance[rows] *= 1 - gain

    new = np.ones(len(detections), bool)
    new[columns] = False
    tracks = report(tracks.where(tracks.scores >= LOWEST), report_score)
    births = np.flatnonzero(new & (detections.scores >= _BIRTH * report_score))
    return tracks, _taken(detections, births)


def report(tracks: Tracks, report_score: float) -> Tracks:
    """Say which tracks belong to the answer; of two of the same object the better one stays."""
    likely = tracks.scores >= report_score
    tracks.reported = likely | (tracks.reported & (tracks.scores >= _KEEP * report_score))
    if len(tracks) < 2:
        return tracks
    return tracks.where(np.sort(nms(tracks.boxes, tracks.scores, _DOUBLE_IOU, tracks.labels)))


def undecided(tracks: Tracks, report_score: float, noise: float) -> np.ndarray:
    """How likely one more look reports or drops each track, ``(N,)`` in [0, 1].

    The nearer its score is to where it is reported, or dropped if it is reported already, the
    likelier: by how far scores stray, which a running mean does less than the looks it is made of.
    With weight ``w`` for the newest it has ``sqrt(w / (2 - w))`` of their deviation, .44 at ten
    looks a second.

    Args:
        tracks: the objects.
        report_score: score from which an object is reported.
        noise: root mean square of the network's scores, see `ScoreNoise`.
    """
    edge = np.where(tracks.reported, _KEEP * report_score, report_score)
    far = (tracks.scores - edge) / (_STRAYS * max(noise, 1e-6))
    return np.asarray(np.exp(-0.5 * far**2))


def _inside(boxes: np.ndarray, part: np.ndarray) -> np.ndarray:
    within = np.concatenate([boxes[:, :2] >= part[:2], boxes[:, 2:] <= part[2:]], 1)
    return np.asarray(within.all(1))


def _taken(detections: Detections, which: np.ndarray) -> Detections:
    return Detections(detections.boxes[which], detections.scores[which], detections.labels[which])
