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

"""The exit `track`: the tracks' own answer, and what makes it doubtful."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from e4_ros.vision.detections import Detections
from e4_ros.vision.tiles import Tile, inner_part, uncut
from e4_ros.vision.tracking.association import undecided
from e4_ros.vision.tracking.camera_motion import UNKNOWN, CameraMotion
from e4_ros.vision.tracking.carried import carried
from e4_ros.vision.tracking.change import Change, ChangeWatch
from e4_ros.vision.tracking.tracker import Motion, Tracker
from e4_ros.vision.tracking.tracks import Tracks

# What drifts between two key frames, in units that are worth about the same loss.
_LOST, _AGE, _UNCOVERED, _UNEXPLAINED = 0.3, 0.6, 2.0, 3.0
_BROKEN = 0.2  # share of the points found again, below which this is another scene
_SAME = 2  # grey levels by which a pixel differs at most in a picture that stands still
_BLANK = 2.0  # standard deviation in grey levels below which a picture shows nothing
_DIVERGE_S = 0.5  # time constant in which a look that was left out is made up for


@dataclass(frozen=True)
class Doubt:
    """Why the tracks' answer may differ from that of the full network with the same tracker.

    Attributes:
        drift: 0 at a key frame, and grows: points that are lost or disagree, picture that is new,
            change that no track explains, time; infinite where the flow fails all over the picture.
        undecided: share of the objects that one more look might report or drop, times the share of
            the last frames that the network did not see, 0 to 1.
        age_s: seconds since the key frame.
    """

    drift: float
    undecided: float
    age_s: float = 0.0


@dataclass(frozen=True)
class Moment:
    """The tracks at a frame that somebody else looks at meanwhile.

    Attributes:
        stamp_s: time of the frame.
        grey: its small picture.
        tracks: where the objects were.
        doubt: what was doubtful about them; None where a stream began.
        strain: part of the drift that had come together by then.
    """

    stamp_s: float
    grey: np.ndarray
    tracks: Tracks
    doubt: Doubt | None
    strain: float


_EVERYWHERE = np.array([-np.inf, -np.inf, np.inf, np.inf])


class TrackExit:
    """Tracks of one stream, and the doubt about them.

    Each frame is given to `look`, then either to `skip` or, where the network ran, to `key`.

    Args:
        report_score: see `Tracker`.

    Attributes:
        tracker: the tracks.
        camera: the camera's motion between the last two frames.
        elapsed_s: seconds between them.
    """

    def __init__(self, report_score: float) -> None:
        self.tracker = Tracker(report_score)
        self._watch = ChangeWatch()
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self.tracker.reset()
        self._begin()

    def _begin(self) -> None:
        self._watch.reset()
        self._stamp_s = self._key_s = self.elapsed_s = 0.0
        self.camera = UNKNOWN
        self._strain, self._unlooked = 0.0, 0.0
        self._key_grey: np.ndarray | None = None
        self._key_blank = False

    @property
    def stamp_s(self) -> float:
        """Time of the frame last looked at."""
        return self._stamp_s

    def look(self, frame: np.ndarray, stamp_s: float) -> Doubt | None:
        """Move the tracks to the next frame.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB.
            stamp_s: time of the frame in seconds.

        Returns:
            What is doubtful about `answer`; None where a stream begins and there is none.
        """
        motion = self.tracker.look(frame, stamp_s)
        if motion is None:
            self._begin()
            self._stamp_s = stamp_s
        self.elapsed_s, self._stamp_s = stamp_s - self._stamp_s, stamp_s
        grey, scale = self.tracker.grey, self.tracker.scale
        assert grey is not None, 'the tracker has just looked'
        self.camera = UNKNOWN if motion is None else motion.camera
        boxes = self.tracker.tracks.boxes * scale
        change = self._watch.look(grey, boxes, self.camera, self.elapsed_s)
        if motion is None:
            return None
        if self._stands_still(grey):
            # A frozen video, a covered lens: the network would say again what it said, and that
            # nothing is there to be followed is no sign of another scene.
            age_s = stamp_s - self._key_s
            return Doubt(_AGE * age_s, 0.0, age_s)
        return self._doubt(motion, change)

    def answer(self) -> Detections:
        """The reported objects in the frame last looked at."""
        return self.tracker.answer()

    def skip(self) -> None:
        """The frame last looked at is answered by the tracks alone."""
        self._pass(looked=False)

    def moment(self, doubt: Doubt | None) -> Moment:
        """What is to be remembered of the frame last looked at until an answer to it comes.

        Args:
            doubt: what `look` said of it.
        """
        grey, tracks = self.tracker.grey, self.tracker.tracks
        assert grey is not None, 'the tracker has looked'
        copied = tracks.where(np.arange(len(tracks)))
        return Moment(self._stamp_s, grey, copied, doubt, self._strain)

    def late(self, then: Moment, detections: Detections, part: Tile | None = None) -> None:
        """An answer to an earlier frame has come: correct the tracks by it.

        What was found is moved to the frame last looked at by the optical flow between the two. An
        answer to the whole frame makes that one the key frame, unless there was a later one, and
        counts as one whoever gave it: boxes that were moved so far outweigh no newer look.

        Args:
            then: what was remembered of that frame.
            detections: what was found in it, in source pixels.
            part: the part of the frame that was looked at; None for all of it.
        """
        tracker, shape = self.tracker, self.tracker.frame_shape
        assert tracker.grey is not None, 'the tracker has looked'
        if part is not None:
            detections = uncut(detections, part, shape)
        scale = tracker.scale
        way = carried(
            detections, then.grey, tracker.grey, scale, shape, then.tracks, tracker.tracks
        )
        looked_at = None
        if part is not None:
            looked_at = _moved(inner_part(part, shape), way.camera, scale)
        tracker.update(way.detections, looked_at, then.stamp_s)
        if part is None and then.stamp_s > self._key_s:
            self._watch.late_key(then.grey, detections.boxes * scale, way.camera)
            self._key_s, self._key_grey = then.stamp_s, then.grey
            self._key_blank = _is_blank(then.grey)
            self._strain = max(self._strain - then.strain, 0.0)

    def key(self, detections: Detections, better: bool = False) -> Detections:
        """The network ran on the frame last looked at, here or elsewhere.

        Args:
            detections: what it found.
            better: whether whoever found it knows more than the network: what the network misses
                then is believed for a while, as after a closer look.

        Returns:
            The answer, by the tracks that this has confirmed.
        """
        known, scale = self.tracker.tracks.ids, self.tracker.scale
        self.tracker.update(detections, _EVERYWHERE if better else None)
        tracks = self.tracker.tracks
        born = ~np.isin(tracks.ids, known)
        self._watch.key(tracks.boxes * scale, tracks.boxes[born] * scale)
        self._key_s, self._strain, self._key_grey = self._stamp_s, 0.0, self.tracker.grey
        self._key_blank = self._key_grey is not None and _is_blank(self._key_grey)
        self._pass(looked=True)
        return self.answer()

    def _pass(self, looked: bool) -> None:
        weight = 1 - np.exp(-self.elapsed_s / _DIVERGE_S)
        self._unlooked += float(weight) * ((not looked) - self._unlooked)

    def _stands_still(self, grey: np.ndarray) -> bool:
        """Whether the picture is that of the key frame, or as empty."""
        if self._key_grey is None:
            return False
        same = cv2.norm(grey, self._key_grey, cv2.NORM_INF) <= _SAME
        return same or (self._key_blank and _is_blank(grey))

    def _doubt(self, motion: Motion, change: Change) -> Doubt:
        boxes = motion.boxes
        if len(boxes.lost):
            spread = boxes.spread[boxes.trusted]
            self._strain += float(spread.mean()) if len(spread) else 0.0
            self._strain += _LOST * float(boxes.lost.mean())
        age_s = self._stamp_s - self._key_s
        drift = (
            self._strain
            + _AGE * age_s
            + _UNCOVERED * change.uncovered
            + _UNEXPLAINED * change.unexplained
        )
        return Doubt(drift if motion.found > _BROKEN else np.inf, self._undecided(), age_s)

    def _undecided(self) -> float:
        tracker, tracks = self.tracker, self.tracker.tracks
        near = undecided(tracks, tracker.report_score, tracker.noise.rms).sum()
        sure = np.count_nonzero(tracks.reported)
        return float(self._unlooked * near / max(sure + near / 2, 1.0))


def _is_blank(grey: np.ndarray) -> bool:
    return bool(cv2.meanStdDev(grey)[1][0, 0] < _BLANK)


def _moved(part: np.ndarray, camera: CameraMotion, scale: float) -> np.ndarray:
    """A part of the picture after the camera has moved; its open sides stay open."""
    if not camera.known:
        return part
    corners = np.where(np.isfinite(part), part, 0.0).reshape(2, 2) * scale
    return np.where(np.isfinite(part), camera.carry(corners).ravel() / scale, part)
