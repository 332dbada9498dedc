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

"""The robot of the laboratory, in a process of its own: `python -m … '{"film": …}'`.

It runs what the node runs: the same engine, the same way to the edge server, a worker that takes
the newest image. Only the camera is a film that is in memory already. Its one argument is a JSON
object with the fields of `RobotOptions`. It prints lines of JSON: events (``ready``, ``done``) and
one line for each answered frame. From its input it takes lines of JSON, too: ``{"go": frames,
"rate": images a second}`` starts the camera, for one drive after the other. It ends with its input.
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from e4_ros.benchmarks.siblings.lab.film import mapped, turn
from e4_ros.benchmarks.siblings.lab.frames import AnsweredFrame
from e4_ros.energy.board_model import BoardModel
from e4_ros.energy.boards import load_board
from e4_ros.perception.frame_energy import default_cost
from e4_ros.perception.frame_worker import FrameWorker
from e4_ros.perception.perceiver import Perceiver
from e4_ros.perception.setup import EngineOptions, Setup, set_up

_WARM_UPS = 5


@dataclass(frozen=True)
class RobotOptions:
    """What the robot is.

    Attributes:
        film: path of the frames.
        count: number of them.
        shape: ``(H, W, 3)`` of each.
        stamp_rate: frames a second by their stamps.
        model: name or path of the bundle.
        exits: whether frames may be answered by tracks and exits; if not, the network runs on all.
        threads: threads of the network.
        board: board whose model says the joules.
        deadline_s: seconds that a frame may take.
        edge: how it reaches its server and what it asks for; empty: it is alone.
    """

    film: str
    count: int
    shape: tuple[int, int, int]
    stamp_rate: float
    model: str = 'pedestrian_ssdlite'
    exits: bool = True
    threads: int = 1
    board: str = 'jetson_nano'
    deadline_s: float = 0.15
    edge: dict[str, Any] = field(default_factory=dict)


class _Image(NamedTuple):
    number: int
    arrived_s: float


class _Robot:
    def __init__(self, options: RobotOptions) -> None:
        self._options = options
        self._frames = mapped(options.film, options.count, options.shape)
        self._setup = set_up(
            EngineOptions(options.model, exits=options.exits, threads=options.threads)
        )
        self._perceiver = Perceiver(self._setup.engine)
        self._perceiver.warm_up(np.ascontiguousarray(self._frames[0]), rounds=_WARM_UPS)
        self._joules = _joules(self._setup, options.board)
        self._number = self._dropped = self._failed = 0

    def drive(self, frames: int, rate_hz: float) -> None:
        """Answer what the camera hands over, and tell of it."""
        self._dropped = self._failed = 0
        first, began_s = self._number, time.monotonic()
        worker = FrameWorker(self._answer, self._drop, self._fail)
        for index in range(frames):
            due_s = began_s + index / rate_hz
            time.sleep(max(due_s - time.monotonic(), 0.0))
            worker.submit(_Image(first + index, time.monotonic()))
        self._number += frames
        time.sleep(1 / rate_hz)
        worker.stop()
        _say(
            {
                'event': 'done',
                'received': frames,
                'dropped': self._dropped,
                'failed': self._failed,
                'first': first,
            }
        )

    def _answer(self, image: _Image) -> None:
        frame = self._frames[turn(image.number, len(self._frames))]
        stamp_s = image.number / self._options.stamp_rate
        began_s = time.monotonic()
        record = self._perceiver.process(frame, stamp_s, image.number)
        ended_s = time.monotonic()
        self._perceiver.audit(frame, record)
        result = record.result
        told = AnsweredFrame(
            number=image.number,
            arrived_s=image.arrived_s,
            waited_s=began_s - image.arrived_s,
            latency_s=ended_s - began_s,
            place='robot',
            exit=result.exit,
            answer=result.detections,
            energy_j=self._joules.get(result.exit, math.nan),
        )
        _say(told.to_json())

    def _drop(self, image: _Image) -> None:
        self._dropped += 1

    def _fail(self, error: Exception) -> None:
        self._failed += 1
        print(f'{type(error).__name__}: {error}', file=sys.stderr, flush=True)


def _joules(setup: Setup, board: str) -> dict[str, float]:
    """Exit → joules of a frame that it answers, at the clocks of the stock system."""
    model = BoardModel(load_board(board))
    return {
        name: default_cost(model, setup.works, path).energy_j for name, path in setup.paths.items()
    }


_speaking = threading.Lock()


def _say(words: dict[str, Any]) -> None:
    with _speaking:
        print(json.dumps(words), flush=True)


def main(words: str) -> None:
    """Drive as often as we are told to."""
    options = RobotOptions(**json.loads(words))
    robot = _Robot(options)
    _say({'event': 'ready'})
    for line in sys.stdin:
        order = json.loads(line)
        if 'go' in order:
            robot.drive(int(order['go']), float(order['rate']))


if __name__ == '__main__':
    main(sys.argv[1])
