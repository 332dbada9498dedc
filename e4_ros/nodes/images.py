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

"""The images of all cameras: one thread answers them, the newest of each, the most urgent first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rclpy.lifecycle import LifecycleState, ManagedEntity, TransitionCallbackReturn
from rclpy.node import Node

from e4_ros.nodes.image_input import AnyImage, ImageInput
from e4_ros.nodes.parameters import value
from e4_ros.perception.frame_worker import FrameWorker
from e4_ros.perception.newest_slots import Waiting
from e4_ros.perception.schedule import CameraState
from e4_ros.perception.service_levels import ServiceLevels


class Images(ManagedEntity):
    """While it is active, hands the newest images to a thread; what they replace is counted.

    Args:
        node: Logs, and has the parameters `image_transport` and `pair_within_s`.
        cameras: Their names; an empty one for the only one.
        process: Works on one image, in a thread of its own: the camera's place in ``cameras``, the
            image, and when it came, by `time.monotonic`.
        settle: Called at activation with what begins to listen, for it to be called when the time
            has come.
        levels: Say whose turn it is.

    Attributes:
        inputs: What each camera sends, and what became of it.
    """

    def __init__(
        self,
        node: Node,
        cameras: Sequence[str],
        process: Callable[[int, AnyImage, float], None],
        settle: Callable[[Callable[[], None]], None],
        levels: ServiceLevels,
    ) -> None:
        self.inputs = [
            ImageInput(node, name, lambda *came, place=place: self._submit(place, *came))
            for place, name in enumerate(cameras)
        ]
        self._node, self._process, self._settle = node, process, settle
        self._names, self._levels = cameras, levels
        self._worker: FrameWorker[tuple[int, AnyImage, float]] | None = None

    @property
    def is_active(self) -> bool:
        """Whether there is somebody to work on images."""
        return self._worker is not None

    @property
    def waiting(self) -> int:
        """Images that wait for the one in hand."""
        return 0 if self._worker is None else self._worker.waiting

    def look(self) -> list[Waiting]:
        """What waits for the image in hand."""
        return [] if self._worker is None else self._worker.look()

    def queues(self) -> list[CameraState]:
        """The queue of each camera."""
        periods_s = [] if self._worker is None else self._worker.periods_s()
        return self._levels.states(self._names, self.look(), periods_s)

    def complaint(self, place: int) -> str:
        """What is wrong with a camera, and what to do about it; empty while nothing is."""
        periods_s = [] if self._worker is None else self._worker.periods_s()
        period_s = periods_s[place] if periods_s else 0.0
        return self.inputs[place].complaint() or self._levels.complaint(place, period_s)

    @property
    def is_listening(self) -> bool:
        """Whether the images of all cameras are subscribed."""
        return all(each.is_listening for each in self.inputs)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Count anew, start the thread, and listen once that is settled."""
        for each in self.inputs:
            each.begin()
        self._worker = FrameWorker(
            lambda item: self._process(*item),
            self._replaced,
            self._escaped,
            len(self.inputs),
            value(self._node, 'pair_within_s'),
            self._levels,
            self._late,
        )
        self._settle(self.listen)
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening, finish the image in hand and say what became of all."""
        self.mute()
        if self._worker is not None:
            if not self._worker.stop():
                self._node.get_logger().error('the image in hand does not end')
            self._worker = None
            for each in self.inputs:
                each.tell_counts()
        return super().on_deactivate(state)

    def listen(self) -> None:
        """Subscribe the images of all cameras, if that is not done."""
        for each in self.inputs:
            each.listen()

    def mute(self) -> None:
        """End all subscriptions."""
        for each in self.inputs:
            each.mute()

    def _submit(self, place: int, message: AnyImage, arrived_s: float) -> None:
        if self._worker is not None:
            self._worker.submit((place, message, arrived_s), place)

    def _escaped(self, error: Exception) -> None:
        self.inputs[0].failed(f'{type(error).__name__}: {error}')

    def _replaced(self, item: tuple[int, AnyImage, float]) -> None:
        self.inputs[item[0]].health.dropped('newer_image')
        self._levels.replaced(item[0])

    def _late(self, item: tuple[int, AnyImage, float]) -> None:
        self.inputs[item[0]].health.dropped('too_late')
