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

"""Perception as it is, watched from within: for `e4 bench start`, `frame` and `ros`, and a test.

The node runs as ever; when the process ends it writes what an outsider cannot see to the file that
``E4_BENCH_OUT`` names: the modules it has imported; for each of the last images its camera, what
the engine took, the time from its receipt until everything about it was published less that, and
the time from its stamp to then; by camera how many images were received and processed since the
last activation; over all activations how many came, were processed, dropped, or lost on the way.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rclpy.lifecycle import LifecycleState, ManagedEntity, TransitionCallbackReturn

from e4_ros.nodes import conversions
from e4_ros.nodes.image_input import AnyImage
from e4_ros.nodes.images import Images
from e4_ros.nodes.lifecycle import run
from e4_ros.nodes.perception import Perception

_KEPT = 4000


class WatchedPerception(Perception):
    """Notes when each image came in and when the last message about it had gone out."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # The last messages with their times; kept, so that none's identity is another's.
        self._came: deque[tuple[AnyImage, float]] = deque(maxlen=4)
        # Of the last images: what is kept is not to show in the memory of a long run.
        self.around_engine_s = deque[float](maxlen=_KEPT)
        self.end_to_end_s = deque[float](maxlen=_KEPT)
        self.engine_s = deque[float](maxlen=_KEPT)
        self.came = 0
        self._earlier = Counter[str]()
        self.answered = deque[str](maxlen=_KEPT)

    def stop(self) -> None:
        """Write down what was seen, when the node has stopped."""
        super().stop()
        seen: dict[str, Any] = {
            'modules': sorted(sys.modules),
            'around_engine_s': [*self.around_engine_s],
            'answered': [*self.answered],
            'end_to_end_s': [*self.end_to_end_s],
            'engine_s': [*self.engine_s],
            'came': self.came,
        }
        if self._images is not None:
            counts = [each.health.counts() for each in self._images.inputs]
            self._tally()
            seen['fates'] = dict(self._earlier)
            seen['lost'] = sum(each.health.lost_in_all for each in self._images.inputs)
            seen['counts'] = {
                name: [n.received, n.processed] for name, n in zip(self._names, counts, strict=True)
            }
        Path(os.environ['E4_BENCH_OUT']).write_text(json.dumps(seen))

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Keep the counts, which begin anew."""
        self._tally()
        return super().on_activate(state)

    def _tally(self) -> None:
        for each in self._images.inputs if self._images is not None else ():
            counts = each.health.counts()
            self._earlier.update(processed=counts.processed, dropped=counts.dropped)

    def parts(self) -> Iterator[ManagedEntity]:
        """The parts, the images' watched."""
        for part in super().parts():
            if isinstance(part, Images):
                for each in part.inputs:
                    vars(each)['_on_image'] = self._watched(each._on_image)
            yield part

    def _watched(self, on_image: Callable[[AnyImage], None]) -> Callable[[AnyImage], None]:
        def watched(message: AnyImage) -> None:
            self.came += 1
            self._came.append((message, time.perf_counter()))
            on_image(message)

        return watched

    def _process(self, place: int, message: Any, arrived_s: float) -> None:
        self._in_hand = message
        super()._process(place, message, arrived_s)

    def _publish(self, place: int, header: Any, frame: Any, record: Any, *rest: Any) -> None:
        super()._publish(place, header, frame, record, *rest)
        published_s = time.perf_counter()
        self.end_to_end_s.append(time.time() - conversions.seconds(header))
        self.engine_s.append(record.result.latency_s)
        self.answered.append(self._names[place])
        for message, came_s in self._came:
            if message is self._in_hand:
                self.around_engine_s.append(published_s - came_s - record.result.latency_s)


def main(args: list[str] | None = None) -> None:
    """Entry point of `python -m e4_ros.nodes bench_perception`."""
    run(WatchedPerception, args)


if __name__ == '__main__':
    main()
