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

import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.perception import setup
from e4_ros.perception.bundle_cache import open_bundle
from e4_ros.perception.segment_costs import measure_costs
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.bundle import BundleError, shipped_bundle
from e4_ros.vision.zoo import load_model


def run_python(code, **environment):
    import os

    return subprocess.run(
        [sys.executable, '-c', textwrap.dedent(code)],
        capture_output=True, text=True, env={**os.environ, **environment},
    )  # fmt: skip


def test_a_frame_is_answered_without_torch():
    """Nor torchvision, PyAV or rosbags: the robot need not even have them."""
    result = run_python(
        """
        import sys
        import numpy as np
        from e4_ros.perception.perceiver import Perceiver
        from e4_ros.perception.setup import EngineOptions, set_up

        perceiver = Perceiver(set_up(EngineOptions(threads=1)).engine)
        frame = np.zeros((480, 640, 3), np.uint8)
        perceiver.warm_up(frame, check_pay=True)
        for index in range(3):
            record = perceiver.process(frame, index / 10, index)
        heavy = {'torch', 'torchvision', 'av', 'rosbags', 'safetensors'} & set(sys.modules)
        print(record.result.exit, sorted(heavy))
        """
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split(maxsplit=1)[1].strip() == '[]'


def test_thresholds_are_changed_without_torch(tmp_path, exits_bundle):
    result = run_python(
        f"""
        import sys
        from e4_ros.commands.app import app

        sys.modules['torch'] = sys.modules['torchvision'] = None  # as if they were not installed
        out = {str(tmp_path / 'own')!r}
        app(['bundle', 'set', {str(exits_bundle)!r}, '--threshold', 'exit1=off', '--out', out],
            standalone_mode=False)
        app(['bundle', 'set', out, '--threshold', 'temporal=0.9'], standalone_mode=False)
        app(['bundle', 'show', out], standalone_mode=False)
        """
    )
    assert result.returncode == 0, result.stderr
    own = set_up(EngineOptions(str(tmp_path / 'own'), threads=1))
    assert own.early_exits.thresholds.thresholds == {'temporal': 0.9}
    assert list(own.paths) == ['track', 'temporal', 'full']


def test_a_zoo_network_without_torch_says_how_to_build_it(tmp_path):
    result = run_python(
        """
        import sys
        sys.modules['torch'] = None
        from e4_ros.perception.bundle_cache import open_bundle
        try:
            open_bundle('efficientnet_lite0')
        except OSError as error:
            print(error)
        """,
        E4_CACHE=str(tmp_path),
    )
    assert 'with `e4 build efficientnet_lite0 --out DIR`' in result.stdout
    assert list(tmp_path.rglob('bundle.json')) == []


def test_a_zoo_network_is_built_once(tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))
    folder = open_bundle('efficientnet_lite0')
    assert folder.is_relative_to(tmp_path / 'bundles')
    monkeypatch.setattr('e4_ros.vision.export.build.build_bundle', pytest.fail)
    assert open_bundle('efficientnet_lite0') == folder
    assert set_up(EngineOptions('efficientnet_lite0', threads=1)).model == 'efficientnet_lite0'


def test_exits_are_fitted_to_the_network_that_runs(tmp_path, monkeypatch, lamp_detector):
    """By its name where the zoo has it, else from the bundle: the file may be gone by then."""
    monkeypatch.setenv('E4_CACHE', str(tmp_path / 'cache'))
    assert set_up(EngineOptions(threads=1)).fit_as == 'pedestrian_ssdlite'
    file = lamp_detector(tmp_path / 'lamps.onnx')
    running = set_up(EngineOptions(str(file), threads=1))
    file.unlink()
    network = load_model(running.fit_as).network
    assert network.fingerprint == running.manifest.origin.network


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match='no model is called'):
        open_bundle('resnet_of_dreams')


def test_learnt_exits_lie_between_the_tracks_and_the_whole_network(exits_bundle):
    paths = {'track': [0], 'temporal': [0, 1], 'exit1': [0, 1, 2], 'full': [0, 1, 2, 3]}
    assert set_up(EngineOptions(str(exits_bundle), threads=1)).paths == paths


def test_what_a_plan_is_made_for():
    found = set_up(EngineOptions(threads=1))
    assert found.path == shipped_bundle('pedestrian_ssdlite')
    names = ['track', 'prepare', 'stage0']
    assert found.segments == names == [w.name for w in found.works]
    assert found.stream.paths == {'track': [0], 'full': [0, 1, 2]}
    assert found.stream.model == 'pedestrian_ssdlite'


def test_the_reference_runtime_answers_alike(exits_bundle):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (480, 640, 3), dtype=np.uint8) for _ in range(2)]
    for exits in (True, False):
        engines = [
            set_up(
                EngineOptions(str(exits_bundle), exits=exits, runtime=runtime, device='cpu')
            ).early_exits
            for runtime in ('onnxruntime', 'torch')
        ]
        outputs = []
        for engine in engines:
            for index, frame in enumerate(frames):
                engine.process(frame, index / 10)
            engine.process_full(frames[0])
            last = engine._steps[-1].stage.outputs
            outputs.append({name: buffer.read() for name, buffer in last.items()})
        assert list(outputs[0]) == list(outputs[1])
        for name in outputs[0]:
            np.testing.assert_allclose(outputs[0][name], outputs[1][name], atol=1e-3)


def test_audits_are_kept_by_the_exits_that_they_are_about(tmp_path, monkeypatch, exits_bundle):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))
    kept = EngineOptions(str(exits_bundle), threads=1, keep_audits=True)
    set_up(kept).early_exits.auditor._record.write({'exit1': 'it was wrong'})
    assert set_up(kept).engine.off == {'exit1': 'it was wrong'}
    assert set_up(replace(kept, keep_audits=False)).engine.off == {}


def test_a_damaged_bundle_in_the_cache_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))
    folder = open_bundle('efficientnet_lite0')
    (folder / 'bundle.json').write_text('{')
    assert open_bundle('efficientnet_lite0') == folder
    with pytest.raises(BundleError):
        setup.load_bundle(tmp_path)


def test_costs_are_written_by_the_device_that_ran(tmp_path):
    shutil.copytree(shipped_bundle('pedestrian_ssdlite'), tmp_path / 'own')
    before = set_up(EngineOptions(str(tmp_path / 'own'))).manifest
    manifest = measure_costs(tmp_path / 'own', 'cpu')
    assert list(manifest.costs_s) == ['cpu']
    assert list(manifest.costs_s['cpu']) == ['track', 'prepare', 'stage0']
    assert all(seconds > 0 for seconds in manifest.costs_s['cpu'].values())
    after = set_up(EngineOptions(str(tmp_path / 'own'))).manifest
    assert after.costs_s == manifest.costs_s
    assert after.exits_key == before.exits_key  # what audits switched off stays off


def test_the_command_builds_what_runs(tmp_path):
    out = tmp_path / 'small'
    arguments = f'build pedestrian_ssdlite --input 156 --device cpu --out {out}'
    result = CliRunner().invoke(app, arguments.split())
    assert result.exit_code == 0, result.output
    assert 'pedestrian_ssdlite, detect, 156×156' in result.output
    found = set_up(EngineOptions(str(out), threads=1))
    assert found.engine.model.input_size == (156, 156)
    assert found.paths == {'track': [0], 'full': [0, 1, 2]}


@pytest.mark.parametrize('threshold', ['exit1', 'exit1=much', 'exit9=0.5'])
def test_a_threshold_that_is_none_is_refused(tmp_path, exits_bundle, threshold):
    arguments = ['bundle', 'set', str(exits_bundle), '--threshold', threshold]
    result = CliRunner().invoke(app, [*arguments, '--out', str(tmp_path / 'own')])
    assert result.exit_code == 2
    assert threshold.split('=')[0] in result.output
    assert not (tmp_path / 'own').exists()


def test_a_threshold_of_an_exit_that_nobody_taught_is_refused(tmp_path):
    arguments = ['bundle', 'set', 'pedestrian_ssdlite', '--threshold', 'temporal=0.5']
    result = CliRunner().invoke(app, [*arguments, '--out', str(tmp_path / 'own')])
    assert result.exit_code == 2
    assert 'no exit was learnt: see `e4 fit`' in ' '.join(result.output.split())
