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

"""How far the tracks may be trusted on this stream, learnt from its own key frames.

The loss of a frame is 1 - F1 against what the full network with the same tracker would have said.
Each key frame shows what the tracks' answer would have lost there, just before the network ran: a
free audit. The limit on the tracks' drift follows it, up while less was lost than the user allows
and down while more was, as adaptive conformal inference moves its quantile (Gibbs & Candès, arXiv
2106.00170, equation 2; for bounded losses Feldman et al., arXiv 2205.09095). Whatever the stream
does, the mean loss seen stays within ``(log of the limit's range + 1)/(step · cycles)`` of the
risk, as there: the limit cannot run away without a loss that pays for it.

What is between two key frames is not seen, so the loss of a cycle is made from three parts: what
was seen at its end, spread over its frames in proportion to their drift; nothing at the key frame;
and on every frame what the tracks cannot know, since the network did not vote on objects that it is
undecided about.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from e4_ros.vision.inference.exit_thresholds import TAKEN
from e4_ros.vision.inference.track_exit import Doubt

_UNDECIDED = 0.5  # loss for each share of undecided objects
_START = 0.12  # limit at first, of `Doubt.drift`: every second or third frame is a key frame
_LEAST, _MOST = 0.004, 0.5
_STEP = 0.25
_LONGEST_S = 0.6  # between two key frames: what comes in unseen has waited so long at most
_MEMORY = 30  # cycles over which the loss is averaged, for people
_MEMORY_FRAMES = 100  # and the share of key frames


class OnlineRisk:
    """Keeps the mean loss of a stream at the risk asked for.

    Args:
        risk: mean loss that is allowed, above 0, up to 1.

    Attributes:
        risk: as given.
        limit: drift up to which the tracks' answer is taken.
        seen: running mean of the loss; NaN before the first cycle ends.
        key_share: running share of key frames among the last hundred or so; NaN before the first.

    Raises:
        ValueError: the risk is not in that range.
    """

    def __init__(self, risk: float) -> None:
        if not 0 < risk <= 1:
            raise ValueError(f'the risk is above 0, and at most 1; got {risk}')
        self.risk, self.limit = risk, _START
        self.seen = self.key_share = math.nan
        self._cycles = self._counted = 0
        self._begin()

    def _begin(self) -> None:
        self._drifts = self._undecided = 0.0
        self._frames, self._held = 0, False

    def trust(self, doubt: Doubt) -> float:
        """Score of the exit `track` in [0, 1]; `TAKEN` where the drift is at its limit."""
        if doubt.age_s > _LONGEST_S:
            return 0.0
        return TAKEN ** min(doubt.drift / self.limit, 100.0)

    def skipped(self, doubt: Doubt, held: bool = False) -> None:
        """Count a frame that the tracks answered.

        Args:
            doubt: what was doubtful about it.
            held: they had to, for want of time. What that cost is seen, and does not move the
                limit: a lower one would ask for more of the network where there is no time for it.
        """
        self._count(0.0)
        self._held |= held
        self._frames += 1
        self._drifts += doubt.drift
        self._undecided += doubt.undecided

    def unaudited(self) -> None:
        """Count a key frame that says nothing of the tracks: a stream begins, or none may answer.

        What was not audited of the cycle is left out.
        """
        self._count(1.0)
        self._begin()

    def key(self, doubt: Doubt, loss: float) -> None:
        """Count a key frame, and learn from it.

        Args:
            doubt: what was doubtful about the tracks' answer.
            loss: what that answer lost against the network's with the tracker, in [0, 1].
        """
        self._count(1.0)
        frames = self._frames + 1
        drifts = self._drifts if self._frames and math.isfinite(doubt.drift) else 0.0
        self._learn(doubt, loss, frames, drifts, self._undecided + doubt.undecided)
        self._begin()

    def late(self, doubt: Doubt, loss: float, since: Sequence[Doubt] = ()) -> None:
        """A frame of this cycle that the tracks answered has become a key frame; learn from it.

        Args:
            doubt: what was doubtful about the tracks' answer to that frame.
            loss: what that answer lost against the key frame's, in [0, 1].
            since: doubts of the frames after it, which the tracks answered: they are the next
                cycle's.
        """
        frames = max(self._frames - len(since), 1)
        drifts = max(self._drifts - sum(each.drift for each in since), 0.0)
        undecided = max(self._undecided - sum(each.undecided for each in since), 0.0)
        if math.isfinite(doubt.drift):
            self._learn(doubt, loss, frames, drifts, undecided)
        more = 1 / min(max(self._counted, 1), _MEMORY_FRAMES)
        self.key_share = min(self.key_share + more, 1.0)
        self._begin()
        for each in since:  # their drift was counted from the key frame before
            self._frames += 1
            self._drifts += max(each.drift - doubt.drift, 0.0)
            self._undecided += each.undecided

    def _learn(
        self, doubt: Doubt, loss: float, frames: int, drifts: float, undecided: float
    ) -> None:
        """A cycle of so many frames ends, with these sums over the frames that tracks answered."""
        unknowable = _UNDECIDED * undecided / frames
        beyond = max(loss - _UNDECIDED * doubt.undecided, 0.0)
        drifted = beyond * drifts / max(doubt.drift, 1e-6) / frames
        seen = min(unknowable + drifted, 1.0)
        factor = math.exp(_STEP * (1 - seen / self.risk))
        if not self._held:
            self.limit = min(max(self.limit * factor, _LEAST), _MOST)
        self._cycles += 1
        weight = 1 / min(self._cycles, _MEMORY)
        self.seen = seen if self._cycles == 1 else self.seen + weight * (seen - self.seen)

    def _count(self, key: float) -> None:
        self._counted += 1
        before = key if self._counted == 1 else self.key_share
        self.key_share = before + (key - before) / min(self._counted, _MEMORY_FRAMES)
