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

"""What each exit costs and saves on this machine: a few runs, part by part, in turns."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

import numpy as np

from e4_ros.vision.inference.compiled_network import CompiledNetwork
from e4_ros.vision.inference.exit_economics import ExitCost
from e4_ros.vision.inference.exit_thresholds import TEMPORAL
from e4_ros.vision.inference.temporal_exit import TemporalExit
from e4_ros.vision.model import VisionModel

_ROUNDS = 7
_STEP_S = 0.04
_LONGEST_S = 1.0

TimeSource = Callable[[], float]


def measure_exits(
    model: VisionModel,
    chain: CompiledNetwork,
    temporal: TemporalExit | None,
    frame: np.ndarray,
    min_score: float,
    now: TimeSource = time.perf_counter,
) -> dict[str, ExitCost]:
    """Time every part of a frame's way through the network; the stream begins anew.

    Rounds go through all parts in order and the fastest of each is kept: what other load on the
    machine adds, most of all while everything starts, is no part of an exit's cost. It takes some
    ten frames' time, or a second at most.

    Args:
        model: prepares and decodes.
        chain: the stages with their exits.
        temporal: the temporal exit; None where there is none.
        frame: ``(H, W, 3)`` uint8 RGB, best one of the camera's.
        min_score: detections that score less are left out.
        now: time source in seconds.

    Returns:
        The cost of each exit, the temporal one first; the full network is none.
    """
    watch = _Stopwatch(now)
    if temporal is not None:
        temporal.reset()
    began = now()
    for index in range(_ROUNDS):
        watch.start()
        if temporal is not None:
            temporal.look(frame, index * _STEP_S)
            watch.lap('look')
            temporal.detections(min_score)
            watch.lap('answer')
        chain.input.write(model.preprocess(frame))
        watch.lap('prepare')
        for number, step in enumerate(chain.steps):
            step.stage.run()
            watch.lap(f'stage{number}')
            if step.exit is not None:
                step.exit.score(frame.shape, min_score)
                watch.lap(step.exit.name)
        stage = chain.steps[-1].stage
        outputs = {name: buffer.read() for name, buffer in stage.outputs.items()}
        detections = model.decode(outputs, frame.shape, min_score)
        watch.lap('decode')
        if temporal is not None:
            temporal.remember(detections, computed=True)
            watch.lap('remember')
        if index and now() - began > _LONGEST_S:
            break
    if temporal is not None:
        temporal.reset()
    return _costs(chain, {part: min(seconds) for part, seconds in watch.laps.items()})


class _Stopwatch:
    def __init__(self, now: TimeSource):
        self._now = now
        self.laps: defaultdict[str, list[float]] = defaultdict(list)

    def start(self) -> None:
        self._last_s = self._now()

    def lap(self, part: str) -> None:
        now_s = self._now()
        self.laps[part].append(now_s - self._last_s)
        self._last_s = now_s


def _costs(chain: CompiledNetwork, took: dict[str, float]) -> dict[str, ExitCost]:
    """From the seconds of the parts."""
    after = took['decode']
    costs: dict[str, ExitCost] = {}
    for number in reversed(range(len(chain.steps))):
        step = chain.steps[number]
        if step.exit is not None:
            costs[step.exit.name] = ExitCost(took[step.exit.name], after)
        after += took[f'stage{number}']
    if 'look' in took:
        saved = took['prepare'] + after - took['answer']
        costs[TEMPORAL] = ExitCost(took['look'] + took['remember'], saved)
    return dict(reversed(costs.items()))
