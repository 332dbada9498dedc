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

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from e4_ros.perception.records import FrameRecord, RunInfo
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.frame_result import FrameResult

EXITS = ['temporal', 'exit1', 'full']
SEGMENTS = ['prepare', 'stage0', 'stage1']
LATENCY_S = {'temporal': 0.001, 'exit1': 0.004, 'full': 0.010}
ENERGY_J = {'temporal': 0.002, 'exit1': 0.010, 'full': 0.030}


def make_result(
    exit_name: str, detections: Detections | None = None, slower: float = 1.0
) -> FrameResult:
    depth = EXITS.index(exit_name) + 1
    latency_s = LATENCY_S[exit_name] * slower
    if detections is None:
        detections = Detections.of(np.array([[4, 4, 20, 40]]), np.array([0.9]))
    return FrameResult(detections, exit_name, 0.25, {}, [latency_s / depth] * depth, latency_s)


def make_record(
    frame: int, exit_name: str, detections: Detections | None = None, compared: bool = True
) -> FrameRecord:
    result = make_result(exit_name, detections)
    depth = len(result.segment_s)
    return FrameRecord(
        frame=frame,
        stamp_s=frame / 10,
        result=result,
        segments=SEGMENTS[:depth],
        points=[{'cpu': 10**9 * (i + 1), 'gpu': 500_000_000} for i in range(depth)],
        energy_j=ENERGY_J[exit_name],
        energy_source='modelled',
        full=make_result('full', detections) if compared else None,
    )


@pytest.fixture
def record() -> Callable[..., FrameRecord]:
    """Makes a record: frame index, exit, and if wanted an answer; the full network agrees."""
    return make_record


@pytest.fixture
def records() -> list[FrameRecord]:
    """Twelve frames: one in four at full depth, one in four at exit1, the rest temporal."""
    taken = ['full', 'temporal', 'exit1', 'temporal'] * 3
    return [make_record(frame, name) for frame, name in enumerate(taken)]


@pytest.fixture
def info() -> Callable[..., RunInfo]:
    """Makes a run's description; keyword arguments replace fields."""

    def make(records: list[FrameRecord], **changes: object) -> RunInfo:
        fields: dict = {
            'source': 'a street',
            'model': 'walkers',
            'task': 'detect',
            'class_names': ['person'],
            'exits': EXITS,
            'controller': 'e4',
            'runtime': 'onnxruntime, 2 threads',
            'board': 'jetson_orin_nano',
            'domain_limits_hz': {'cpu': (10**8, 2 * 10**9), 'gpu': (10**8, 10**9)},
            'frames_received': len(records),
            'frames_dropped': 0,
            'baseline_energy_j': 0.040,
        }
        return RunInfo(**(fields | changes))

    return make


@pytest.fixture
def frames() -> Callable[[int], list[tuple[float, np.ndarray]]]:
    """Makes stamped frames of 48 × 64 pixels, each of its own brightness."""
    return lambda count: [
        (index / 10, np.full((48, 64, 3), index * 10, np.uint8)) for index in range(count)
    ]
