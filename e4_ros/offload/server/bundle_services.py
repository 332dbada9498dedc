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

"""The services `tail` and `network` of a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from e4_ros.offload.cuts import OffloadCut, best_cuts, named_cuts, offload_cuts
from e4_ros.offload.request import NETWORK, TAIL
from e4_ros.offload.server.own_network import NetworkService, TailService
from e4_ros.offload.server.service import Service
from e4_ros.vision.bundle import load_bundle
from e4_ros.vision.networks.from_bundle import reopened
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.runtime.interfaces import Runtime

BEST, ALL = 'best', 'all'


def cuts_of_bundle(folder: Path, model: TrainableModel, names: Sequence[str]) -> list[OffloadCut]:
    """Cuts to offer the tails of, in order of execution.

    Args:
        folder: the bundle.
        model: its network, as `reopened` gives it.
        names: names of cuts; ``best`` stands for those of `best_cuts` and those where the bundle
            is cut already (a robot has features there at no cost), ``all`` for every one.

    Raises:
        ValueError: there is no such cut.
    """
    cuts = offload_cuts(model.network)
    if ALL in names:
        return cuts
    wanted = {name for name in names if name != BEST}
    named_cuts(cuts, sorted(wanted))
    if BEST in names:
        wanted |= {cut.cut for cut in best_cuts(cuts)} | set(own_cuts(folder))
    return [cut for cut in cuts if cut.cut in wanted]


def own_cuts(folder: Path) -> list[str]:
    """Names of the tensors behind which a bundle is cut, for its exits."""
    stages = load_bundle(folder).network.stages
    return [stage.program.outputs[0] for stage in stages[:-1]]


def own_services(
    folder: Path,
    runtime: Runtime,
    wanted: Sequence[str] = (TAIL, NETWORK),
    cuts: Sequence[str] = (BEST,),
) -> dict[str, Service]:
    """Services that compute what a robot with the same bundle would; loaded, and run once.

    Args:
        folder: the bundle.
        runtime: runtime of the network.
        wanted: `tail`, `network` or both.
        cuts: as for `cuts_of_bundle`.

    Raises:
        BundleError: the folder is no bundle, or that of a clip model.
        ValueError: there is no such cut, or a service that this is not for.
    """
    if unknown := [name for name in wanted if name not in (TAIL, NETWORK)]:
        raise ValueError(f'a bundle alone gives tail and network, not {unknown[0]!r}')
    model = reopened(folder)
    services: dict[str, Service] = {}
    if TAIL in wanted:
        tail = TailService(model, cuts_of_bundle(folder, model, cuts), runtime)
        tail.load()
        services[TAIL] = tail
    if NETWORK in wanted:
        network = NetworkService(model, runtime)
        network.load()
        services[NETWORK] = network
    return services
