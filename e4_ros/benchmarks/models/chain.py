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

"""Whether a network in stages gives what it gives whole, and what its file gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from e4_ros.vision.inference.stage_chain import StageChain
from e4_ros.vision.networks import Cut, Network, nearest_cuts
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.runtime.interfaces import Runtime

_SHARES = (0.25, 0.5, 0.75)  # of the cost, where the network is cut at once
_DEEPEST = 0.95  # of the cost: what lies behind is no stage


def chains(network: Network) -> list[list[Cut]]:
    """Cuts to try: the deepest place for each number of tensors alive, and several cuts at once."""
    cuts = {cut.node: cut for cut in network.cuts()}
    deepest = {cut.tensors: cut for cut in cuts.values() if cut.cost_share <= _DEEPEST}
    found = [[deepest[count]] for count in sorted(deepest)]
    if len(cuts) >= len(_SHARES):
        found.append([cuts[name] for name in nearest_cuts(list(cuts.values()), _SHARES)])
    return found


def chain_differences(
    model: TrainableModel,
    frames: Sequence[np.ndarray],
    whole: Sequence[Mapping[str, np.ndarray]],
    runtime: Runtime,
) -> list[dict[str, Any]]:
    """For each of `chains`, ``cuts``, ``tensors`` alive there, ``cost_shares`` and ``max_diff``.

    Args:
        model: the detector.
        frames: ``(H, W, 3)`` uint8 RGB, on which the outputs are compared.
        whole: the whole network's outputs for each of them.
        runtime: runtime of the stages.
    """
    found = []
    for cuts in chains(model.network):
        parts = outputs_of(model, [cut.node for cut in cuts], frames, runtime)
        found.append(
            {
                'cuts': [cut.node for cut in cuts],
                'tensors': [cut.tensors for cut in cuts],
                'cost_shares': [round(cut.cost_share, 3) for cut in cuts],
                'max_diff': max(
                    difference(ours, theirs) for ours, theirs in zip(parts, whole, strict=True)
                ),
            }
        )
    return found


def difference(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> float:
    """Largest difference of any number of any output of the same name."""
    return max(float(np.abs(ours[name] - theirs[name]).max(initial=0.0)) for name in theirs)


def outputs_of(
    model: TrainableModel, cuts: Sequence[str], frames: Sequence[np.ndarray], runtime: Runtime
) -> list[dict[str, np.ndarray]]:
    """The outputs for each frame of a network that is cut somewhere, or nowhere."""
    chain = StageChain(model, model.network.stages(cuts), runtime)
    found = []
    for frame in frames:
        chain.see(frame)
        found.append({name: values.copy() for name, values in chain.outputs().items()})
    return found
