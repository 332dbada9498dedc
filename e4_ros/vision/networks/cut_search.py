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

"""Where to cut a network by what its parts take in the deployment runtime on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from e4_ros.vision.inference.stage_chain import Boundaries
from e4_ros.vision.networks.network import Cut, Network, nearest_cuts
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime

_CANDIDATES = 24
_ROUNDS = 9


def measured_cuts(
    network: Network,
    shares: Sequence[float],
    threads: int | None = None,
    now: Callable[[], float] = time.perf_counter,
) -> list[str]:
    """Names of the cuts before which the wanted shares of the network's time have passed.

    Up to 24 places that the estimate spreads over the network are measured; the nearest are taken.
    Two measurements may choose neighbours: keep what was chosen where it must not change.

    Args:
        network: the network.
        shares: rising, in (0, 1); none: nothing is measured.
        threads: threads within one operation; None for one per core.
        now: time source in seconds.

    Raises:
        StageError: the network cannot be read, or has fewer places to cut than shares.
    """
    return nearest_cuts(measure_cuts(network, threads, now), shares) if shares else []


def measure_cuts(
    network: Network,
    threads: int | None = None,
    now: Callable[[], float] = time.perf_counter,
) -> list[Cut]:
    """Places where a map of features is alive, with the measured share of time before each.

    The network is run in as many stages at once; the fastest of a few rounds counts.
    """
    places = _places(network.cuts())
    runtime = OnnxRuntime(threads)
    stages = network.stages([place.node for place in places])
    boundaries = Boundaries(runtime.buffer(stages[0].program.inputs['x']))
    pieces = [boundaries.compile(stage.program, runtime) for stage in stages]
    rounds = []
    for _ in range(_ROUNDS):
        marks = [now()]
        for piece in pieces:
            piece.run()
            marks.append(now())
        rounds.append(np.diff(marks))
    passed = np.min(rounds, 0).cumsum()
    return [
        replace(place, cost_share=float(seconds / passed[-1]))
        for place, seconds in zip(places, passed[:-1], strict=True)
    ]


def _places(cuts: Sequence[Cut]) -> list[Cut]:
    """Cuts where the map is no larger than around it: an exit there has little to read.

    An exit reads one tensor, so none lies inside a block of branches. Of cuts between which nothing
    costs time the last counts: the runtime fuses them.
    """
    whole = [cut for cut in cuts if len(cut.shape) == 4 and not cut.branch]
    maps = list({round(cut.cost_share, 3): cut for cut in whole}.values())
    sizes = [np.inf, *(float(np.prod(cut.shape)) for cut in maps), np.inf]
    narrow = [
        cut
        for cut, before, size, after in zip(maps, sizes, sizes[1:], sizes[2:], strict=False)
        if size <= min(before, after)
    ]
    count = min(_CANDIDATES, len(narrow))
    names = nearest_cuts(narrow, [float(s) for s in np.linspace(0, 1, count + 2)[1:-1]])
    return [cut for cut in narrow if cut.node in names]
