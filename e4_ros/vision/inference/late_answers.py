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

"""Answers of an edge server to frames that are past: how they correct the tracks of a ladder."""

from __future__ import annotations

from collections import deque

from e4_ros.vision.agreement import disagreement
from e4_ros.vision.inference.closer import Attention
from e4_ros.vision.inference.offload_port import LateAnswer, OffloadPort
from e4_ros.vision.inference.online_risk import OnlineRisk
from e4_ros.vision.inference.track_exit import Doubt, Moment, TrackExit

OLDEST_S = 1.0
"""Age from which an answer corrects nothing: the flow between the two frames is lost by then."""

_KEPT = 4  # frames that are remembered until an answer to them comes


class LateAnswers:
    """Remembers frames that were sent away, and corrects the tracks when answers come.

    Args:
        tracks: are corrected.
        risk: learns what the tracks had lost in a frame that they answered meanwhile.
        attention: learns what looks at parts of a frame change.
    """

    def __init__(self, tracks: TrackExit, risk: OnlineRisk, attention: Attention) -> None:
        self._tracks, self._risk, self._attention = tracks, risk, attention
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._sent: deque[Moment] = deque(maxlen=_KEPT)
        self._skipped: deque[tuple[float, Doubt]] = deque(maxlen=_KEPT * 64)

    def sent(self, doubt: Doubt | None) -> None:
        """Somebody else looks at the frame that the tracks last looked at."""
        self._sent.append(self._tracks.moment(doubt))

    def skipped(self, doubt: Doubt) -> None:
        """The tracks answered the frame."""
        self._skipped.append((self._tracks.stamp_s, doubt))

    def key(self) -> None:
        """The frame was a key frame: those before it are judged by it."""
        self._skipped.clear()

    def take(self, port: OffloadPort) -> None:
        """Correct the tracks, at the frame last looked at, by all answers that have come."""
        for answer in port.came():
            if self._correct(answer):
                port.used(answer)

    def _correct(self, answer: LateAnswer) -> bool:
        """Whether an answer could be used.

        One to a frame that the robot's own network has answered by now says nothing new, unless
        whoever gave it knows more.
        """
        then = next((each for each in self._sent if each.stamp_s == answer.stamp_s), None)
        if then is None:
            return False
        self._sent.remove(then)
        tracks, tracker = self._tracks, self._tracks.tracker
        if not 0 <= tracks.stamp_s - then.stamp_s <= OLDEST_S:
            return False
        stood_in = any(stamp_s == then.stamp_s for stamp_s, _ in self._skipped)
        if answer.part is None and not (answer.better or stood_in):
            return False
        said, before = tracks.answer(), tracker.tracks
        tracks.late(then, answer.detections, answer.part)
        if answer.part is not None:
            self._attention.seen(answer.part, before, tracker.tracks)
        elif stood_in and then.doubt is not None:
            while self._skipped and self._skipped[0][0] <= then.stamp_s:
                self._skipped.popleft()
            loss = disagreement(said, tracks.answer(), 'detect', score=0.0)
            self._risk.late(then.doubt, loss, [doubt for _, doubt in self._skipped])
        return True
