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

"""Where a network may be cut between a robot and a server, and what goes over the link there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from e4_ros.offload.exchange import TensorShapes
from e4_ros.vision.networks import Network

MOST_VALUES = 250_000
"""Of all tensors at a cut that is proposed: a JPEG of the whole frame has fewer bytes than more."""


@dataclass(frozen=True)
class OffloadCut:
    """A place where features can be sent from.

    Attributes:
        cut: name of the operation behind which they are taken.
        share: share of the network's cost, 0 to 1, that lies before it.
        tensors: shape by name of what is sent, the cut's own first.
    """

    cut: str
    share: float
    tensors: TensorShapes

    @property
    def values(self) -> int:
        """Values in all tensors: bytes at 8 bits, before they are packed."""
        return sum(math.prod(shape) for shape in self.tensors.values())


def offload_cuts(network: Network) -> list[OffloadCut]:
    """Every cut of a network, in order of execution.

    Raises:
        StageError: the network cannot be read.
    """
    cuts = list(network.cuts())
    pieces = [part.program for part in network.stages([cut.node for cut in cuts])]
    made: dict[str, int] = {}
    alive: list[dict[str, tuple[int, ...]]] = [{} for _ in cuts]
    for index, piece in enumerate(pieces):
        for name, shape in piece.inputs.items():
            for cut in range(made.get(name, index), index):
                alive[cut][name] = tuple(map(int, shape))
        made |= dict.fromkeys(piece.outputs, index)
    return [
        OffloadCut(cut.node, cut.cost_share, _own_first(cut.node, tensors))
        for cut, tensors in zip(cuts, alive, strict=True)
    ]


def best_cuts(cuts: Sequence[OffloadCut], most: int = 8) -> list[OffloadCut]:
    """Cuts worth to choose from: whoever sends later than one of them sends fewer bytes.

    Args:
        cuts: all cuts, in order of execution.
        most: how many are wanted; of more, those whose sizes differ most are kept.
    """
    front: list[OffloadCut] = []
    for cut in cuts:
        if cut.values <= MOST_VALUES and all(cut.values < other.values for other in front):
            front.append(cut)
    while len(front) > most:
        ratios = [math.log(before.values / after.values) for before, after in pairwise(front)]
        # Of the two that are most alike the later one goes: the earlier saves the robot more.
        del front[ratios.index(min(ratios)) + 1]
    return front


def named_cuts(cuts: Sequence[OffloadCut], names: Sequence[str]) -> list[OffloadCut]:
    """Cuts by their names.

    Raises:
        ValueError: there is no such cut.
    """
    by_name = {cut.cut: cut for cut in cuts}
    if unknown := [name for name in names if name not in by_name]:
        raise ValueError(f'the network cannot be cut after {unknown[0]!r}: see `--list-cuts`')
    return [by_name[name] for name in names]


def _own_first(own: str, tensors: TensorShapes) -> TensorShapes:
    return dict(sorted(tensors.items(), key=lambda item: (item[0] != own, item[0])))
