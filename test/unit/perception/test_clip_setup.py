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

"""A clip model through the assembly that node, `e4 run` and profiler share, and without torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from e4_ros.perception.perceiver import Perceiver
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.profiling.planning import planner
from e4_ros.vision.bundle import BundleError
from e4_ros.vision.inference.segment_runner import SegmentRunner

_FRAME = np.full((120, 160, 3), 90, np.uint8)


@pytest.fixture
def setup(clip_bundle):
    return set_up(EngineOptions(str(clip_bundle), threads=1, unsure_classes=True))


def test_frames_become_records(setup):
    perceiver = Perceiver(setup.engine)
    perceiver.warm_up(_FRAME, check_pay=True)
    records = [perceiver.process(_FRAME, i / 8, i) for i in range(9)]
    exits = [record.result.exit for record in records]
    assert exits == [
        'held',
        'looking',
        'held',
        'looking',
        'held',
        'looking',
        'held',
        'full',
        'held',
    ]
    assert [list(record.segments) for record in records[:2]] == [
        ['window'],
        ['window', 'backbone', 'clip_step'],
    ]
    assert all(perceiver.audit(_FRAME, record) is None for record in records)
    assert [len(record.result.detections) for record in records] == [0] * 7 + [1, 1]
    assert (setup.manifest.task, setup.engine.model.task) == ('clips', 'clips')


def test_a_plan_is_made_for_it(setup):
    paths = setup.engine.paths
    plan = planner.plan(
        'jetson_orin_nano', setup.works, paths, dict.fromkeys(paths, 1.0), model=setup.model
    )
    assert list(plan.exits) == list(paths)
    held, full = plan.paths['held'], plan.paths['full']
    assert 0 < held.expected_energy_j < 0.05 * full.expected_energy_j


def test_its_segments_can_be_measured(setup):
    runner = SegmentRunner(setup.engine, [_FRAME] * 3)
    assert runner.segments == ('window', 'backbone', 'clip_step')
    assert all(min(runner.run(index, 0.0)) >= 0 for index in range(3))


@pytest.mark.parametrize(
    ('options', 'error', 'reason'),
    [
        ({'window_s': -1.0}, ValueError, 'window_s must be a positive number'),
        ({'runtime': 'torch'}, BundleError, 'is a clip model'),
        ({'model': 'pedestrian_ssdlite', 'window_s': 2.0}, ValueError, 'has no windows'),
    ],
)
def test_what_does_not_fit_is_refused(clip_bundle, options, error, reason):
    with pytest.raises(error, match=reason):
        set_up(EngineOptions(**{'model': str(clip_bundle), 'threads': 1, **options}))


def test_there_are_no_early_exits_on_single_frames(setup):
    with pytest.raises(BundleError, match='is a clip model'):
        _ = setup.early_exits


def test_torch_is_not_imported(clip_bundle):
    program = f"""
import sys
import numpy as np
from e4_ros.perception.setup import EngineOptions, set_up
engine = set_up(EngineOptions({str(clip_bundle)!r}, threads=1)).engine
for i in range(9):
    exit_name = engine.process(np.zeros((64, 64, 3), np.uint8), i / 8).exit
    print(exit_name)
print(sorted(set(sys.modules) & {{'torch', 'torchvision', 'av', 'rosbags'}}))
"""
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-3:] == ['full', 'held', '[]']


def test_the_bundle_is_shown_with_its_window(clip_bundle, capsys):
    from e4_ros.commands.app import app

    app(['bundle', 'show', str(clip_bundle)], standalone_mode=False)
    shown = capsys.readouterr().out
    assert '4 frames in 1 s' in shown
    assert 'frame3' in shown
    assert 'threshold 2' in shown
    assert 'temporal' not in shown
