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

"""Who answers the frames on which a network was not asked: nothing, motion, or a tracker."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from supervision import Detections as Boxes
from trackers import ByteTrackTracker
from trackers.core.bytetrack.tracklet import ByteTrackTracklet
from typing_extensions import override

from e4_ros.vision.boxes import iou_matrix
from e4_ros.vision.detections import Detections
from e4_ros.vision.tracking.constant_velocity import ConstantVelocityTracks
from e4_ros.vision.tracking.tracker import Tracker

_UNNAMED = -1  # id of a track that the package `trackers` has not named yet


class Between(Protocol):
    """Sees every frame, and what the network found on some of them.

    Args:
        min_score: score from which an object is published.
    """

    def __init__(self, min_score: float) -> None: ...

    def begin(self, fps: float) -> None:
        """A new stream begins, of so many frames a second."""
        ...

    def look(self, frame: np.ndarray, stamp_s: float) -> None:
        """See the next frame."""
        ...

    def key(self, found: Detections) -> Detections:
        """Take what the network found on the frame last seen, and answer it."""
        ...

    def answer(self) -> Detections:
        """Answer the frame last seen without the network."""
        ...


class Hold(Between):
    """The last answer stays."""

    def __init__(self, min_score: float) -> None:
        self._min_score = min_score

    @override
    def begin(self, fps: float) -> None:
        self._last = Detections.empty()

    @override
    def look(self, frame: np.ndarray, stamp_s: float) -> None:
        """Do not look."""

    @override
    def key(self, found: Detections) -> Detections:
        self._last = found.above(self._min_score)
        return self._last

    @override
    def answer(self) -> Detections:
        return self._last


class Moved(Between):
    """The last answer moves on at constant velocity."""

    def __init__(self, min_score: float) -> None:
        self._min_score, self._tracks = min_score, ConstantVelocityTracks()

    @override
    def begin(self, fps: float) -> None:
        self._tracks.reset()

    @override
    def look(self, frame: np.ndarray, stamp_s: float) -> None:
        self._stamp_s = stamp_s

    @override
    def key(self, found: Detections) -> Detections:
        found = found.above(self._min_score)
        self._tracks.update(found, self._stamp_s)
        return found

    @override
    def answer(self) -> Detections:
        return self._tracks.predict(self._stamp_s)


class OwnTracks(Between):
    """The tracker of the exit `track`, without its doubt: key frames come by the clock."""

    def __init__(self, min_score: float) -> None:
        self._tracker = Tracker(min_score)

    @override
    def begin(self, fps: float) -> None:
        self._tracker.reset()

    @override
    def look(self, frame: np.ndarray, stamp_s: float) -> None:
        self._tracker.look(frame, stamp_s)

    @override
    def key(self, found: Detections) -> Detections:
        self._tracker.update(found)
        return self._tracker.answer()

    @override
    def answer(self) -> Detections:
        return self._tracker.answer()


class ByteTrack(Between):
    """ByteTrack of the package `trackers`, whose Kalman filter answers: DeepStream's `interval`.

    Its limits are set for this use: a track begins, and is published at once, at the score from
    which objects are published, and low scores keep it. In between the filter's boxes of those that
    the last asked frame confirmed are published, as DeepStream does. One class.
    """

    def __init__(self, min_score: float) -> None:
        self._min_score = min_score

    @override
    def begin(self, fps: float) -> None:
        self._tracker = ByteTrackTracker(
            frame_rate=fps,
            track_activation_threshold=self._min_score,
            high_conf_det_threshold=self._min_score,
            minimum_consecutive_frames=1,
        )
        self._shown: list[ByteTrackTracklet] = []
        self._scores = np.zeros(0)
        self._named = 0

    @override
    def look(self, frame: np.ndarray, stamp_s: float) -> None:
        """ByteTrack needs no picture."""

    @override
    def key(self, found: Detections) -> Detections:
        self._tracker.update(
            Boxes(found.boxes.astype(float), confidence=found.scores, class_id=found.labels)
        )
        self._shown = [track for track in self._tracker.tracks if not track.time_since_update]
        for track in self._shown:
            if track.tracker_id == _UNNAMED:
                # The package names a track at its second look, and drops it if that is too late.
                self._named += 1
                track.tracker_id = self._named
        # A track is published whatever the detection scored that confirmed it.
        best = iou_matrix(self._boxes(), found.boxes.astype(float)).argmax(1) if len(found) else []
        self._scores = np.maximum(found.scores[best], self._min_score)
        return self._published()

    @override
    def answer(self) -> Detections:
        self._tracker.update(Boxes.empty())
        return self._published()

    def _boxes(self) -> np.ndarray:
        return np.array([track.get_state_bbox() for track in self._shown], float).reshape(-1, 4)

    def _published(self) -> Detections:
        found = Detections.of(self._boxes(), self._scores)
        order = np.argsort(-self._scores, kind='stable')
        ids = np.array([track.tracker_id for track in self._shown], np.int64)
        return Detections(found.boxes, found.scores, found.labels, ids[order])
