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

"""From the names a user knows to an engine and what plans must know of it.

The node, `e4 run`, the profiler and the benchmarks all begin here, so that each of them runs what
the robot runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e4_ros import extras
from e4_ros.energy.board_model import SegmentWork, works_of
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.bundle_cache import open_bundle
from e4_ros.vision.bundle import (
    Bundle,
    Manifest,
    load_bundle,
)
from e4_ros.vision.bundle.join import joined
from e4_ros.vision.clip_network import ClipNetwork
from e4_ros.vision.inference.audit_budget import DEFAULT_SHARE
from e4_ros.vision.inference.audit_record import AuditRecord
from e4_ros.vision.inference.closer import DEFAULT_QUALITY, passes_of
from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.inference.exit_thresholds import DEFAULT_RISK
from e4_ros.vision.inference.factory import make_clip_engine, make_engine, make_ladder
from e4_ros.vision.inference.ladder import Ladder
from e4_ros.vision.inference.stream_engine import StreamEngine
from e4_ros.vision.runtime.devices import ALLOW_SPINNING, AUTO, SPIN_US, on_device
from e4_ros.vision.runtime.factory import candidates, make_runtime
from e4_ros.vision.runtime.interfaces import Runtime, RuntimeUnavailableError
from e4_ros.vision.runtime.load_once import LoadOnce
from e4_ros.vision.runtime.precision import FP32, check_precision
from e4_ros.vision.staged_network import StagedNetwork


@dataclass(frozen=True)
class EngineOptions:
    """What to run, and how.

    Attributes:
        model: name of a bundle that ships, path of a bundle, or a name of the zoo.
        exits: whether frames may be answered early; if not, the network is not even cut.
        runtime: ``onnxruntime``, or ``torch`` for reference.
        threads: threads within one operation; None for one per core.
        precision: precision of the network's stages, one that the bundle has.
        min_score: score from which an object is reported.
        tracks: whether a detector's objects are tracked, and tracks answer frames.
        risk: mean loss that tracks may cost against the network on every frame, above 0, up to 1.
        quality: how much of the network's time goes to closer looks, one of `closer.QUALITIES`.
        passes: passes of the network a frame, on average, that closer looks fill up to, 0 to 1;
            None for what the quality says.
        unsure_classes: whether a classifier names the likeliest class however unsure it is.
        window_s: length of a clip model's windows in seconds; 0 for that of the clips that it
            learned from.
        window_stride_s: seconds between the beginnings of two windows; 0 for ``window_s``.
        audit_share: seconds that audits may compute for each second that answers do, 0 to 1.
        keep_audits: an exit that an audit switched off stays off in later processes, too, until
            its thresholds are others; for a robot, not for footage that is run again and again.
        device: device that runs the network, one of `devices.NAMES`; ``auto`` takes the best that
            is here and computes what the CPU computes.
        allow_spinning: whether threads wait for each other within a run by spinning.
        spin_us: for at most so many microseconds; 0 for no bound.
        streams: how many streams there are, each with an engine that remembers it alone; the
            network is loaded once for all of them.
        edge: whether an edge server may answer; see `StreamEngine.port`.
        cuts: names of the tensors behind which features may be sent to it; the network is cut there
            as well.
    """

    model: str = 'pedestrian_ssdlite'
    exits: bool = True
    runtime: str = 'onnxruntime'
    threads: int | None = None
    precision: str = FP32
    min_score: float = 0.3
    tracks: bool = True
    risk: float = DEFAULT_RISK
    quality: str = DEFAULT_QUALITY
    passes: float | None = None
    unsure_classes: bool = False
    window_s: float = 0.0
    window_stride_s: float = 0.0
    audit_share: float = DEFAULT_SHARE
    keep_audits: bool = False
    device: str = AUTO
    allow_spinning: bool = ALLOW_SPINNING
    spin_us: int = SPIN_US
    streams: int = 1
    edge: bool = False
    cuts: Sequence[str] = ()


@dataclass(frozen=True)
class Setup:
    """An engine that is ready to run, and the bundle that it came from.

    Attributes:
        path: the bundle's folder.
        manifest: what the bundle says of itself.
        engines: what answers frames, one for each stream; they run in turns.
        precision: precision of the network's stages.
        cuts: where it is cut for an edge server, too.
    """

    path: Path
    manifest: Manifest
    engines: Sequence[StreamEngine]
    precision: str = FP32
    cuts: Sequence[str] = ()

    @property
    def engine(self) -> StreamEngine:
        """What answers frames, where there is one stream; else the first stream's."""
        return self.engines[0]

    @property
    def early_exits(self) -> EarlyExitEngine:
        """The engine of a network on single frames, without tracks.

        Raises:
            BundleError: it is a clip model's.
        """
        self.manifest.check_single_frames()
        engine = self.engine.engine if isinstance(self.engine, Ladder) else self.engine
        assert isinstance(engine, EarlyExitEngine), 'the task says which it is'
        return engine

    @property
    def model(self) -> str:
        """Name of the network."""
        return self.manifest.model

    @property
    def fit_as(self) -> str:
        """What `e4 fit --model` calls the network: its name, or the bundle that carries it."""
        return str(self.path) if self.manifest.origin.file else self.model

    @property
    def fingerprint(self) -> str:
        """Changes with what a segment computes: the bundle's files and the precision."""
        files = sorted(file.sha256 for file in self.manifest.files)
        about = ' '.join([*files, self.precision, *self.cuts])
        return hashlib.sha256(about.encode()).hexdigest()[:12]

    @property
    def works(self) -> Sequence[SegmentWork]:
        """What each segment asks of a board."""
        return works_of(self.engine.segments)

    @property
    def segments(self) -> list[str]:
        """Names of the segments, in order."""
        return [segment.name for segment in self.engine.segments]

    @property
    def paths(self) -> Mapping[str, Sequence[int]]:
        """Exit → indices of the segments on the way to it."""
        return self.engine.paths

    @property
    def stream(self) -> Stream:
        """What a frequency plan is made for."""
        return Stream(self.model, self.works, self.paths)


def set_up(options: EngineOptions) -> Setup:
    """Load a bundle and make the engines that the options ask for.

    Raises:
        BundleError: there is no such bundle, it is damaged, or its promise was made in another
            precision.
        DeviceError: the device is not here, fails, or computes something else than the CPU.
        ValueError: a name is unknown, or the bundle does not have the precision.
        OSError: a file cannot be read.
    """
    check_precision(options.precision)
    if options.runtime == 'torch' and options.precision != FP32:
        raise RuntimeUnavailableError(f'the runtime torch has no {options.precision}, only {FP32}')
    bundle = load_bundle(open_bundle(options.model), options.precision)
    manifest = bundle.manifest
    if options.exits:
        manifest.check_promise(options.precision)
    min_score = options.min_score
    if options.unsure_classes and manifest.task != 'detect':
        min_score = 0.0
    passes = passes_of(options.quality) if options.passes is None else options.passes
    network = _network(bundle, options)

    def on(device: str) -> Sequence[StreamEngine]:
        runtime: Runtime = make_runtime(
            options.runtime,
            options.threads,
            device,
            options.precision == 'fp16',
            options.allow_spinning,
            options.spin_us,
        )
        if options.streams > 1:
            runtime = LoadOnce(runtime)
        return [engine_on(runtime) for _ in range(options.streams)]

    def engine_on(runtime: Runtime) -> StreamEngine:
        if isinstance(network, ClipNetwork):
            window = options.window_s, options.window_stride_s
            return make_clip_engine(network, runtime, options.exits, min_score, *window)
        record = AuditRecord(manifest.exits_key) if options.keep_audits else None
        audits = options.audit_share, record
        if options.tracks and manifest.task == 'detect':
            settings = options.risk, *audits, passes, options.edge
            return make_ladder(network, runtime, options.exits, min_score, *settings)
        return make_engine(network, runtime, options.exits, min_score, *audits, options.edge)

    engines = on_device(options.device, on, candidates(options.runtime))
    return Setup(bundle.path, manifest, engines, options.precision, tuple(options.cuts))


def _network(bundle: Bundle, options: EngineOptions) -> StagedNetwork | ClipNetwork:
    if isinstance(bundle.parts, ClipNetwork) and options.runtime != 'torch':
        return bundle.parts
    if options.window_s or options.window_stride_s:
        raise ValueError(
            f'{bundle.manifest.model} answers single frames, and has no windows: leave window_s '
            'and window_stride_s at 0, or give the bundle of a clip model (`e4 train`)'
        )
    if options.runtime == 'torch':
        extras.require('train', 'the runtime torch')
        from e4_ros.vision.export.build import reference_network

        return reference_network(bundle.path, bundle.manifest, exits=options.exits)
    network = bundle.network if options.exits else joined(bundle.network)
    return _cut(network, options) if options.cuts else network


def _cut(network: StagedNetwork, options: EngineOptions) -> StagedNetwork:
    """The network with the cuts behind which features may be sent."""
    if options.precision != FP32:
        raise ValueError(
            f'features are sent in {FP32}, and this network runs in {options.precision}: send '
            'pictures, or run the network in fp32'
        )
    from e4_ros.vision.networks.recut import recut

    return recut(network, options.cuts)
