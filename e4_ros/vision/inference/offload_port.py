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

"""How an engine reaches an edge server: what it says to whoever knows the way, and what it gets.

Engines know nothing of networks between machines. They tell a port what they are about to compute
and where they are with it, and look now and then whether somebody else was faster. No call of a
port waits or raises because of the network. `perception.offload_stream` has the real one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from e4_ros.vision.detections import Detections
from e4_ros.vision.tiles import Tile


class Asked(NamedTuple):
    """What was arranged for a frame that needs the network.

    Attributes:
        cut: name of the tensor behind which `OffloadPort.features` is to be called; empty: nowhere.
        follow: the tracks shall answer this frame.
        sent: a picture of it, or of a part of it, is on its way.
        hand_over: what comes behind the cut is the server's, and the tracks answer this frame.
    """

    cut: str = ''
    follow: bool = False
    sent: bool = False
    hand_over: bool = False


NOTHING, BY_TRACKS = Asked(), Asked(follow=True)
"""The robot computes the frame as if there were no server; the tracks answer, and nothing is sent.
"""


@dataclass(frozen=True)
class LateAnswer:
    """An answer to an earlier frame, or to a part of one.

    Attributes:
        stamp_s: stamp of that frame.
        detections: objects in pixels of that frame, without ids.
        better: whether whoever gave it knows more than the robot's own network.
        part: the part of the frame that was looked at; None for all of it.
    """

    stamp_s: float
    detections: Detections
    better: bool = False
    part: Tile | None = None


class OffloadPort(Protocol):
    """The way to an edge server for the frames of one stream."""

    @property
    def asks_for_parts(self) -> bool:
        """Whether it would send the part of a frame that the tracks are unsure about."""
        ...

    @property
    def better(self) -> bool:
        """Whether the server knows more than the robot's own network in what it is asked for."""
        ...

    @property
    def awaits(self) -> bool:
        """Whether a frame that the tracks answered is still to be answered in time."""
        ...

    def begin(self, stamp_s: float, frame_shape: tuple[int, ...]) -> None:
        """A frame comes; a stamp before the last one's, or another shape, begins a new stream."""
        ...

    def overdue(self) -> bool:
        """Whether an answer that the tracks stood in for has not come in time; true once each."""
        ...

    def ask(self, frame: np.ndarray, part: Tile | None = None, may_follow: bool = False) -> Asked:
        """The frame that came last needs the network: send what is to be sent now.

        Args:
            frame: ``(H, W, 3)`` uint8 RGB; never written to again.
            part: the part that the tracks are unsure about; None where nobody knows one.
            may_follow: whether the tracks could answer it.
        """
        ...

    def ask_part(self, frame: np.ndarray, part: Tile) -> bool:
        """Send a part of the frame that came last, for a closer look; whether it is on its way."""
        ...

    def features(self, tensors: Mapping[str, np.ndarray]) -> bool:
        """The network has come to the cut; whether they are on their way.

        Args:
            tensors: all that the stages behind it read, by name; written to again after the call.
        """
        ...

    def answer(self, done: bool = False) -> Detections | None:
        """The server's answer to the whole frame that came last, if it is there and of use.

        Args:
            done: the robot has its own answer now; only a better one is of use.
        """
        ...

    def came(self) -> Sequence[LateAnswer]:
        """Answers to earlier frames of this stream that have come since."""
        ...

    def used(self, answer: LateAnswer) -> None:
        """The tracks were corrected by an answer that `came`; the others were of no use."""
        ...

    def reset(self) -> None:
        """The stream ends: what is still to come of it is of no use."""
        ...


class NoPort:
    """There is no edge server."""

    asks_for_parts = better = awaits = False

    def begin(self, stamp_s: float, frame_shape: tuple[int, ...]) -> None:
        """Nothing to note."""

    def overdue(self) -> bool:
        """Nothing was asked."""
        return False

    def ask(self, frame: np.ndarray, part: Tile | None = None, may_follow: bool = False) -> Asked:
        """Nothing is sent."""
        return NOTHING

    def ask_part(self, frame: np.ndarray, part: Tile) -> bool:
        """Nothing is sent."""
        return False

    def features(self, tensors: Mapping[str, np.ndarray]) -> bool:
        """Nothing is sent."""
        return False

    def answer(self, done: bool = False) -> Detections | None:
        """Nothing comes."""
        return None

    def came(self) -> Sequence[LateAnswer]:
        """Nothing comes."""
        return ()

    def used(self, answer: LateAnswer) -> None:
        """Nothing came."""

    def reset(self) -> None:
        """Nothing to forget."""


NO_PORT = NoPort()
"""What engines have at first."""
