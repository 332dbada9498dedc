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

"""Services on pictures, and the engines that their networks run in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from e4_ros.offload.engines import Engine, FallbackEngine, LocalEngine
from e4_ros.offload.request import MODEL, NETWORK, TEACHER
from e4_ros.offload.server.picture_service import PictureService
from e4_ros.offload.server.service import Service
from e4_ros.offload.server.teacher_service import TeacherService
from e4_ros.vision.staged_network import StagedNetwork

HERE, RAY, TRITON = 'here', 'ray', 'triton'
PLACES = (HERE, RAY, TRITON)
"""In this process, in replicas of a Ray cluster, or in a Triton server."""


@dataclass(frozen=True)
class EngineOptions:
    """Where and how networks on pictures run.

    Attributes:
        on: one of `PLACES`. Elsewhere than here, they run here while that cannot be had.
        address: address of the Ray cluster (empty starts one here), or ``host:port`` of Triton.
        replicas: replicas on Ray.
        cpus: cores of a Ray cluster that is started here; None for all.
        sessions: sessions side by side here.
        threads: threads within one run here; None for one per core.
        device: device here.
        batch: frames that a session, or a replica, takes at once.
    """

    on: str = HERE
    address: str = ''
    replicas: int = 2
    cpus: int | None = None
    sessions: int = 1
    threads: int | None = 1
    device: str = 'cpu'
    batch: int = 1

    def __post_init__(self) -> None:
        if self.on not in PLACES:
            raise ValueError(f'networks run {", ".join(PLACES)}, not on {self.on!r}')
        if self.on == TRITON and not self.address:
            raise ValueError('a Triton server needs an address, host:port')


def engine_for(network: StagedNetwork, options: EngineOptions) -> Engine:
    """An engine for a network.

    Raises:
        EngineError: what was asked for cannot be had.
        MissingExtraError: its package is not installed.
        BatchError: the network cannot take so many frames at once.
    """
    local = LocalEngine(network, options.sessions, options.threads, options.device, options.batch)
    if options.on == HERE:
        return local
    if options.on == RAY:
        from e4_ros.offload.engines.ray_serve import RayEngine

        ray = RayEngine(network, options.address, options.replicas, options.batch, options.cpus)
        return FallbackEngine(ray, local)
    from e4_ros.offload.engines.triton import TritonEngine

    return FallbackEngine(TritonEngine(network, options.address), local)


def picture_services(
    own: StagedNetwork,
    options: EngineOptions,
    network: bool = False,
    bigger: StagedNetwork | None = None,
    teacher: bool = False,
) -> tuple[dict[str, Service], Callable[[], None]]:
    """Services that take pictures.

    Args:
        own: the robots' network.
        options: where the networks run.
        network: whether the robots' own network is offered.
        bigger: another network that is offered; None for none.
        teacher: whether the live teacher, made of the robots' network, is offered.

    Returns:
        Services by name, and what lets go of their engines.

    Raises:
        ValueError: one of the networks finds no boxes.
        EngineError, MissingExtraError, BatchError: see `engine_for`.
    """
    services: dict[str, Service] = {}
    with ExitStack() as engines:
        if network or teacher:
            engine = engine_for(own, options)
            engines.callback(engine.close)
            if network:
                services[NETWORK] = PictureService(own, engine, NETWORK)
            if teacher:
                services[TEACHER] = TeacherService(own, engine)
        if bigger is not None:
            engine = engine_for(bigger, options)
            engines.callback(engine.close)
            services[MODEL] = PictureService(bigger, engine)
        return services, engines.pop_all().close
    raise AssertionError('the block above returns or raises')
