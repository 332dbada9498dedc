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

"""All versions of a perception node's network, loaded as its parameters say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rclpy.node import Node

from e4_ros.nodes.network import Network, load
from e4_ros.nodes.parameters import value
from e4_ros.perception.controllers.policy_net import PolicyNet
from e4_ros.perception.live_versions import measure_versions, stream_of
from e4_ros.perception.records import machine_name
from e4_ros.perception.version_file import Measured, VersionFile
from e4_ros.perception.versions import Version, VersionError, check_like, parse_versions

_ANY_FRAME = np.zeros((480, 640, 3), np.uint8)


@dataclass(frozen=True)
class LoadedVersions:
    """The versions of a node.

    Attributes:
        networks: version → its network; the node's own model is the first.
        versions: what is known of each, in the same order.
        policies: controller → trained policy network that came with the versions.
    """

    networks: Mapping[str, Network]
    versions: Sequence[Version]
    policies: Mapping[str, PolicyNet] = field(default_factory=dict)


def load_versions(node: Node, cameras: Sequence[str]) -> LoadedVersions | None:
    """Load what the parameter `versions` names; None where it names nothing.

    Args:
        node: has the parameters.
        cameras: names of the cameras; an empty one for the only one.

    Raises:
        ValueError: a version is none, is missing, or has other classes; the file does not fit.
        OSError: a file cannot be read.
    """
    texts = value(node, 'versions')
    if not texts:
        return None
    specs = parse_versions(texts, value(node, 'model'), value(node, 'precision'))
    path = value(node, 'versions_file')
    file = VersionFile.load(Path(path).expanduser()) if path else None
    networks: dict[str, Network] = {}
    for spec in specs:
        first = next(iter(networks.values()), None)
        baseline = None
        if first is not None and len(cameras) == 1:
            baseline = first.streams[0].baseline
        try:
            loaded = load(node, spec.model, baseline, cameras, precision=spec.precision)
        except (ValueError, OSError) as error:
            raise VersionError(f'version {spec.name} cannot be loaded: {error}') from error
        if first is not None:
            check_like(first.manifest, loaded.manifest, spec.name)
        networks[spec.name] = loaded
    measured = None if file is None else {n: file.of(n, networks[n].fingerprint) for n in networks}
    here = file is not None and file.machine == machine_name()
    policies: dict[str, PolicyNet] = {}
    if file is not None and file.policy:
        policy = Path(path).expanduser().with_name(file.policy)
        policies['infer_edge:learned'] = PolicyNet.load(policy)
    return LoadedVersions(networks, _facts(networks, measured, here), policies)


def _facts(
    networks: Mapping[str, Network], measured: Mapping[str, Measured] | None, here: bool
) -> list[Version]:
    """What is known of each version: as it was measured now, and as the file says it."""
    engines = {name: network.perceivers[0].engine for name, network in networks.items()}
    taken = measure_versions(engines, _ANY_FRAME)
    found = []
    for name, engine in engines.items():
        seconds, switch_s = taken[name]
        if measured is None:
            found.append(Version(name, stream_of(engine), latency_s=seconds, switch_s=switch_s))
            continue
        known = measured[name]
        if here:
            seconds = {**seconds, **{exit_: ms / 1e3 for exit_, ms in known.ms.items()}}
        found.append(
            Version(
                name, stream_of(engine), known.f1, seconds, known.joules, known.shares, switch_s
            )
        )
    return found
