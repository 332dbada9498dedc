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

"""The network of a perception node, loaded as its parameters say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node

from e4_ros.nodes.diagnostics import status
from e4_ros.nodes.exit_watch import ExitWatch
from e4_ros.nodes.parameters import log_of, value
from e4_ros.perception.bundle_cache import open_bundle
from e4_ros.perception.controllers import live_spec
from e4_ros.perception.edge_link import EdgeCuts, EdgeOptions, cuts_for
from e4_ros.perception.perceiver import Perceiver
from e4_ros.perception.setup import EngineOptions, Setup, set_up
from e4_ros.vision.bundle import Manifest
from e4_ros.vision.inference.exit_thresholds import TEMPORAL
from e4_ros.vision.runtime.precision import FP32

if TYPE_CHECKING:
    from e4_ros.nodes.baseline import Baseline

# A session's first run is slow; it is not to be a camera's first image.
_ANY_FRAME = np.zeros((480, 640, 3), np.uint8)


@dataclass(frozen=True)
class CameraStream:
    """What answers one camera's images.

    Attributes:
        perceiver: With early exits.
        baseline: Without; None where nothing is compared.
        exits: Audits the early answers.
    """

    perceiver: Perceiver
    baseline: Baseline | None
    exits: ExitWatch


@dataclass(frozen=True)
class Network:
    """A network that is loaded once, and the streams of all cameras on it.

    Where cameras have models of their own, each of these is loaded once, and path, name, exits and
    fingerprint are those of the first camera's.

    Attributes:
        streams: One for each camera.
        statuses: For the diagnostics: what was loaded, one for each model.
        path: Folder of the bundle.
        fit_as: What `e4 fit --model` calls the network.
        learnt: Names of the exits that came with it.
        fingerprint: Changes with what its segments compute; measured costs are of one.
        manifest: What the bundle says of itself.
        setup: What was loaded.
        features: Cuts at which features may be sent to an edge server.
    """

    streams: Sequence[CameraStream]
    statuses: Sequence[DiagnosticStatus]
    path: Path
    fit_as: str
    learnt: tuple[str, ...]
    fingerprint: str
    manifest: Manifest
    setup: Setup
    features: tuple[str, ...] = ()

    @property
    def perceivers(self) -> list[Perceiver]:
        """What answers the images of each camera."""
        return [stream.perceiver for stream in self.streams]


def load(
    node: Node,
    model: str = '',
    baseline: Baseline | None = None,
    cameras: Sequence[str] = ('',),
    models: Sequence[str] = (),
    precision: str = '',
) -> Network:
    """Load what the parameters of ``node`` name.

    Args:
        node: has the parameters.
        model: another bundle than its parameter's.
        baseline: one camera's that is loaded already; the bundle must be of the same network then.
        cameras: names of the cameras; an empty one for the only one.
        models: the model of each camera; none: ``model`` for all.
        precision: another precision than its parameter's.

    Raises:
        ValueError: a name is unknown, a file does not fit, or the controller sets clocks for one
            model where there are several.
        OSError: a file cannot be read.
    """
    controller, every = value(node, 'controller'), value(node, 'baseline_every')
    model = model or value(node, 'model')
    users: dict[str, list[int]] = {}
    for place, name in enumerate(models or [model] * len(cameras)):
        users.setdefault(name, []).append(place)
    if len(users) > 1 and live_spec(controller).clocks:
        raise ValueError(
            f'camera_models names {len(users)} models, and controller {controller} sets clocks for '
            'the segments of one: take a controller that leaves the clocks alone (exits, full, '
            'bcedge), or a node of its own for each model'
        )
    edge = edge_options(node)
    if len(users) > 1 and edge.server:
        raise ValueError(
            f'camera_models names {len(users)} models, and an edge server is asked for one: set '
            'edge_server empty, or start a node of its own for each model'
        )
    cuts = EdgeCuts()
    found: dict[int, CameraStream] = {}
    setups = []
    for name, places in users.items():
        shown = [cameras[place] for place in places]
        try:
            cuts = cuts_for(edge, open_bundle(name), controller) if edge.server else cuts
            setup, streams = _load_one(node, name, baseline, shown, every, precision, cuts)
        except (ValueError, OSError) as error:
            if len(users) == 1:
                raise
            raise ValueError(f'the model of camera {", ".join(shown)}: {error}') from error
        found |= dict(zip(places, streams, strict=True))
        setups.append((setup, shown))
    first = setups[0][0]
    manifest = first.manifest
    learnt = [*([TEMPORAL] if manifest.temporal else []), *(e.name for e in manifest.exits)]
    statuses = [_describe(node, setup, controller) for setup, _ in setups]
    if len(setups) > 1:
        for each, (_, shown) in zip(statuses, setups, strict=True):
            each.name = f'{each.name} {" ".join(shown)}'
    return Network(
        [found[place] for place in range(len(cameras))],
        statuses,
        first.path,
        first.fit_as,
        tuple(learnt),
        first.fingerprint,
        manifest,
        first,
        cuts.features,
    )


def _load_one(
    node: Node,
    model: str,
    baseline: Baseline | None,
    cameras: Sequence[str],
    every: int,
    precision: str,
    cuts: EdgeCuts,
) -> tuple[Setup, list[CameraStream]]:
    """Load one model, and make the streams of the cameras that it is for."""
    exits = live_spec(value(node, 'controller')).exits
    setup = _set_up(
        node,
        model,
        exits,
        precision or value(node, 'precision'),
        streams=len(cameras),
        edge=bool(value(node, 'edge_server')),
        cuts=cuts.every,
    )
    if told := setup.manifest.origin.recognised:
        node.get_logger().info(f'{model} is taken for {"; ".join(told)}')
    perceivers = [Perceiver(engine) for engine in setup.engines]
    for perceiver in perceivers:
        perceiver.warm_up(_ANY_FRAME, rounds=1)
    if every and setup.manifest.clip is not None:
        raise ValueError(
            'baseline_every compares single images, and a clip model answers windows of many: set '
            'it to 0, and compare on footage (`e4 run`)'
        )
    baselines: Sequence[Baseline | None] = [baseline] * len(cameras)
    if every and baseline is None:
        baselines = _baselines(node, model, every, setup.engine.device, len(cameras))
    bundle, check_pay = str(setup.path), value(node, 'check_pay')
    return setup, [
        CameraStream(own, full, ExitWatch(log_of(node, camera), own, bundle, check_pay))
        for camera, own, full in zip(cameras, perceivers, baselines, strict=True)
    ]


def edge_options(node: Node) -> EdgeOptions:
    """What the parameters say of an edge server.

    Raises:
        ValueError: a value is none, or does not go with another.
    """
    return EdgeOptions(
        value(node, 'edge_server'),
        value(node, 'edge_name'),
        value(node, 'edge_ca'),
        value(node, 'edge_certificate'),
        value(node, 'edge_key'),
        value(node, 'edge_offload'),
        value(node, 'edge_cuts'),
        value(node, 'edge_bits'),
        value(node, 'edge_quality'),
        value(node, 'edge_deadline_s'),
        value(node, 'edge_meanwhile'),
        value(node, 'radio_w'),
    )


def _baselines(node: Node, model: str, every: int, device: str, streams: int) -> list[Baseline]:
    """What perception is compared with, where perception runs."""
    from e4_ros.nodes.baseline import Baseline

    full = _set_up(node, model, exits=False, device=device, streams=streams)
    found = [Baseline(engine, every) for engine in full.engines]
    for baseline in found:
        baseline.process(_ANY_FRAME, 0.0, board='')
    return found


def _set_up(
    node: Node,
    model: str,
    exits: bool,
    precision: str = FP32,
    device: str = '',
    streams: int = 1,
    edge: bool = False,
    cuts: Sequence[str] = (),
) -> Setup:
    return set_up(
        EngineOptions(
            model,
            exits,
            value(node, 'runtime'),
            value(node, 'threads') or None,
            precision,
            value(node, 'min_score'),
            value(node, 'tracks'),
            value(node, 'risk'),
            value(node, 'quality'),
            window_s=value(node, 'window_s'),
            window_stride_s=value(node, 'window_stride_s'),
            audit_share=value(node, 'audit_share'),
            keep_audits=True,
            device=device or value(node, 'device'),
            allow_spinning=value(node, 'allow_spinning'),
            spin_us=value(node, 'spin_us'),
            streams=streams,
            edge=edge,
            cuts=cuts,
        )
    )


def _describe(node: Node, setup: Setup, controller: str) -> DiagnosticStatus:
    engine = setup.engine
    name, threads = value(node, 'runtime'), value(node, 'threads') or _cores()
    # The packages onnxruntime-gpu and onnxruntime-openvino bring the same module.
    version = import_module(name).__version__
    values = {
        'model': engine.model.name,
        'bundle': str(setup.path),
        **({'recognised': '; '.join(told)} if (told := setup.manifest.origin.recognised) else {}),
        'task': engine.model.task,
        'controller': controller,
        'exits': ', '.join(engine.paths),
        'segments': ', '.join(segment.name for segment in engine.segments),
        'runtime': f'{name} {version}, {threads} thread{"s" if threads > 1 else ""}',
        'precision': setup.precision,
        'device': engine.device,
        'segment devices': ', '.join(f'{s.name} {s.device}' for s in engine.segments),
    }
    return status('network', '', f'{engine.model.name}, controller {controller}', values)


def _cores() -> int:
    return len(os.sched_getaffinity(0))
