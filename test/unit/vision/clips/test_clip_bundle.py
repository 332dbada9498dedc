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

"""A clip model's bundle: written, read, and refused where it does not belong."""

from __future__ import annotations

import numpy as np
import pytest

from e4_ros.vision.bundle import BundleError, Manifest, load_bundle, read_manifest
from e4_ros.vision.clip_network import ClipNetwork
from e4_ros.vision.clips.build import build_clip_bundle, clip_network
from e4_ros.vision.export.build import reference_network, trainable
from e4_ros.vision.inference.factory import make_clip_engine
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime
from e4_ros.vision.runtime.precision import PrecisionError


@pytest.fixture(scope='module')
def written(backbone, clip_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp('bundle') / 'clips'
    return folder, build_clip_bundle(backbone, clip_model, 1.5, folder, {'dataset': 'made up'})


def test_what_is_read_runs_as_what_was_written(written, backbone, clip_model, frames):
    folder, manifest = written
    read = load_bundle(folder)
    assert read.manifest == manifest
    assert isinstance(read.parts, ClipNetwork)
    assert (read.parts.frames, read.parts.window_s) == (4, 1.5)
    assert read.parts.thresholds == {'frame1': 0.5, 'frame2': 0.5, 'frame3': 0.5}
    assert manifest.origin.notes == {'dataset': 'made up'}
    engines = [
        make_clip_engine(network, OnnxRuntime(1), min_score=0.0)
        for network in (read.parts, clip_network(backbone, clip_model, 1.5))
    ]
    for index, frame in enumerate([frames[0], *frames]):
        a, b = (engine.process(frame, 1.5 * (max(index, 0.5) - 0.5) / 4) for engine in engines)
        assert (a.exit, a.gate_scores) == (b.exit, b.gate_scores)
        assert np.array_equal(a.detections.scores, b.detections.scores)
    assert engines[0].segments == engines[1].segments


def test_windows_are_as_long_as_the_clips_unless_told_otherwise(written, frames):
    network = load_bundle(written[0]).parts
    assert 'windows of' not in make_clip_engine(network, OnnxRuntime(1)).notes[0]
    for window_s, stride_s, stamps in ((0, 0, [1.5, 3.0]), (1, 0, [1, 2]), (1, 0.5, [1, 1.5])):
        engine = make_clip_engine(network, OnnxRuntime(1), 'full', 0.0, window_s, stride_s)
        told = [engine.process(frames[0], t / 20).exit for t in range(61)]
        first, second = [t / 20 for t, name in enumerate(told) if name == 'full'][:2]
        length, stride = window_s or 1.5, stride_s or window_s or 1.5
        assert first == pytest.approx(length * 7 / 8, abs=0.051), stamps
        assert second == pytest.approx(first + stride, abs=0.051)
        assert 'after 4.0 of 4 frames' in engine.notes[0]


@pytest.mark.parametrize(('window_s', 'stride_s'), [(-1.0, 0.0), (1.0, -2.0), (np.inf, 0.0)])
def test_lengths_that_are_none_are_refused(written, window_s, stride_s):
    network = load_bundle(written[0]).parts
    with pytest.raises(ValueError, match=r'window\w* must be a positive number of seconds'):
        make_clip_engine(network, OnnxRuntime(1), 'e4', 0.2, window_s, stride_s)


def test_it_is_no_network_on_single_frames(written):
    folder, manifest = written
    for use in (
        lambda: load_bundle(folder).network,
        lambda: trainable(folder, manifest),
        lambda: reference_network(folder, manifest),
    ):
        with pytest.raises(BundleError, match='is a clip model: `e4 run` and perception run it'):
            use()
    with pytest.raises(PrecisionError, match='does not have int8'):
        load_bundle(folder, 'int8')


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'clip': None}, 'clips'),
        ({'task': 'classify'}, 'classify'),
        ({'clip': {'frames': 4, 'window_s': 0.0}}, 'greater than 0'),
        ({'clip': {'frames': 0, 'window_s': 1.0}}, 'greater than or equal to 1'),
        ({'thresholds': {'frame4': 0.5}}, 'frame1, frame2, frame3'),
        ({'stages': []}, 'stages'),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(written, change, reason):
    about = written[1].model_dump() | change
    with pytest.raises(ValueError, match=reason):
        Manifest.model_validate(about)


def test_a_cut_or_edited_bundle_is_refused(written, tmp_path):
    import shutil

    folder = tmp_path / 'copy'
    shutil.copytree(written[0], folder)
    step = folder / written[1].stages[1].file.name
    step.write_bytes(step.read_bytes()[:-10])
    with pytest.raises(BundleError, match='was cut or replaced'):
        load_bundle(folder)
    (folder / 'bundle.json').write_text(
        (folder / 'bundle.json').read_text().replace('"window_s": 1.5', '"window_s": 9.5')
    )
    with pytest.raises(BundleError, match='was edited'):
        read_manifest(folder)


def test_a_threshold_is_changed_without_torch(written):
    assert written[1].with_thresholds({'frame2': 0.9}).thresholds['frame2'] == 0.9
    with pytest.raises(BundleError, match='frame9'):
        written[1].with_thresholds({'frame9': 0.9})
