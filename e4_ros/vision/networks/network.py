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

"""What a network is to everybody who cuts it: torch module or ONNX graph alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from e4_ros.vision.staged_network import Part

MACS_PER_BYTE = 10.0
"""A multiply-accumulate and a byte weigh the same at this many multiply-accumulates a byte: the
balance of a wide CPU (about 100 GMAC/s against 10 GB/s). It only steers where cuts are proposed."""


class StageError(ValueError):
    """The network cannot be read, or cannot be cut as asked."""


@dataclass(frozen=True)
class Cut:
    """A place where a network may be cut.

    Attributes:
        node: name of the operation behind which the cut lies.
        shape: shape of its tensor, which an exit here reads.
        cost_share: share of the network's cost, 0 to 1, that lies before the cut.
        tensors: number of tensors that the stages behind still read.
        branch: whether its own tensor is one branch of several: another is as high and wide, or
            what it was made from is still read. An exit here would see a part of what is known.
    """

    node: str
    shape: tuple[int, ...]
    cost_share: float
    tensors: int = 1
    branch: bool = False


class Network(Protocol):
    """A network of one image that can be run whole or in stages."""

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the network's outputs, in order."""
        ...

    @property
    def fingerprint(self) -> str:
        """Short hash of the network's weights, however it is cut."""
        ...

    def cuts(self) -> Sequence[Cut]:
        """Every place where the network may be cut, in order of execution.

        Raises:
            StageError: the network cannot be read.
        """
        ...

    def stages(self, cuts: Sequence[str] = ()) -> list[Part]:
        """The stages between cuts; one after the other they give what the whole network gives.

        The first stage reads the image as ``x``. Every other input is an output of an earlier
        stage, of the same name; the first output of a stage is what an exit behind it reads.

        Args:
            cuts: names as in `Cut`, distinct and in order of execution.

        Raises:
            StageError: the network cannot be read, or not be cut there.
        """
        ...


def nearest_cuts(cuts: Sequence[Cut], shares: Sequence[float]) -> list[str]:
    """Names of distinct cuts that lie nearest to the wanted (rising) shares of the cost.

    Raises:
        StageError: there are fewer cuts than shares.
    """
    if len(cuts) < len(shares):
        raise StageError(
            f'{len(shares)} cuts were asked for, but this network can be cut in only '
            f'{len(cuts)} places'
        )
    chosen: list[str] = []
    start = 0
    for index, share in enumerate(shares):
        stop = len(cuts) - (len(shares) - index - 1)
        best = min(range(start, stop), key=lambda i: abs(cuts[i].cost_share - share))
        chosen.append(cuts[best].node)
        start = best + 1
    return chosen


def check_order(cuts: Sequence[str], possible: Sequence[Cut]) -> None:
    """Refuse cuts that a network does not have, or that are out of order.

    Raises:
        StageError: says which.
    """
    order = [cut.node for cut in possible]
    for name in cuts:
        if name not in order:
            raise StageError(f'the network cannot be cut after {name!r}: see `Network.cuts`')
    if sorted(set(cuts), key=order.index) != list(cuts):
        raise StageError(f'cuts must be distinct and in order of execution, got {list(cuts)}')
