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

"""`e4 data synth` and `e4 train` as a user runs them, alone and under torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_OPTIONS = ['--clip-frames', '4', '--epochs', '2', '--model', 'efficientnet_lite0']


def _e4(*args: object, torchrun: int = 0, cache: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, 'E4_CACHE': str(cache), 'OMP_NUM_THREADS': '1'}
    launcher = [
        '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', str(torchrun),
    ]  # fmt: skip
    return subprocess.run(
        [sys.executable, *(launcher if torchrun else []), '-m', 'e4_ros.cli', *map(str, args)],
        env=env, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


@pytest.fixture(scope='module')
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp('cache')


@pytest.fixture(scope='module')
def actions(tmp_path_factory, cache) -> Path:
    out = tmp_path_factory.mktemp('data') / 'actions'
    done = _e4(
        'data', 'synth', '--out', out, '--clips', 2, '--val-clips', 1, '--size', 96, cache=cache
    )
    assert done.returncode == 0, done.stderr
    return out


def test_train_leaves_a_model_figures_and_a_page(actions, cache, tmp_path):
    (actions / 'val' / 'left' / 'broken.mp4').write_bytes(b'no video')
    done = _e4('train', actions, *_OPTIONS, '--out', tmp_path, cache=cache)
    (actions / 'val' / 'left' / 'broken.mp4').unlink()
    assert done.returncode == 0, done.stderr
    assert 'broken.mp4 cannot be read as a video' in ' '.join(done.stderr.split())
    figures = json.loads((tmp_path / 'train.json').read_text())
    assert (figures['train_clips'], figures['val_clips'], figures['unreadable']) == (20, 11, 1)
    policies = {p['policy'] for p in figures['policies']}
    assert policies >= {'cascade', 'frameexit', 'max_softmax', 'fixed', 'full'}
    full = next(p for p in figures['policies'] if p['policy'] == 'full')
    assert full['frames'] == 4
    assert 4 * 0.36 < full['gflops'] < 4 * 0.42, 'EfficientNet-lite0 has 0.385 without its head'
    assert 'Plotly.newPlot' in (tmp_path / 'train.html').read_text()
    assert f'next: e4 run FOOTAGE --model {tmp_path}/bundle' in done.stdout
    _runs(tmp_path / 'bundle', actions, cache, tmp_path)


def _runs(bundle: Path, actions: Path, cache: Path, out: Path) -> None:
    """The bundle names a clip from frames at the sample times of its window, and no others."""
    clip = next((actions / 'val' / 'left').glob('*.mp4'))
    options = '--model', bundle, '--controller', 'full', '--min-score', 0, '--out', out / 'run'
    run = _e4('run', clip, *options, cache=cache)
    assert run.returncode == 0, run.stderr
    assert 'windows of 2 s: 1 answered, after 4.0 of 4 frames' in ' '.join(run.stdout.split())
    lines = [json.loads(line) for line in (out / 'run' / 'detections.jsonl').open()]
    assert [line['frame'] for line in lines if line['exit'] != 'held'] == [4, 12, 19, 27]
    assert [line['exit'] for line in lines if line['exit'] != 'held'][-1] == 'full'
    assert [len(line['detections']) for line in lines] == [0] * 27 + [1] * 3
    found = lines[-1]['detections'][0]
    assert (actions / 'val' / found['class']).is_dir()
    assert found['box'] == [0, 0, 96, 96]
    summary = json.loads((out / 'run' / 'summary.json').read_text())
    assert summary['exits']['held'] == 26
    assert summary['f1_vs_full'] is None
    assert summary['baseline_energy_j_per_frame'] > 0
    for name in ('report.html', 'annotated.mp4'):
        assert (out / 'run' / name).stat().st_size > 1000

    short = _e4('run', clip, '--model', bundle, '--frames', 1, '--out', out / 'one', cache=cache)
    assert short.returncode == 0, short.stderr
    assert 'no window was answered' in short.stdout
    for command, reason in (
        (['run', clip, '--model', bundle, '--window-s', '-1'], 'window'),
        (['run', clip, '--model', 'pedestrian_ssdlite', '--window-s', '2'], 'has no windows'),
        (['calibrate', clip, '--model', bundle], 'is a clip model'),
    ):
        refused = _e4(*command, cache=cache)
        assert refused.returncode != 0
        assert reason in refused.stderr
        assert 'Traceback' not in refused.stderr


def test_two_processes_train_together(actions, cache, tmp_path):
    done = _e4('train', actions, *_OPTIONS, '--out', tmp_path, torchrun=2, cache=cache)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('wrote') == 1, 'only the first process reports'
    kept = list((tmp_path / 'work').glob('*.pt'))
    assert len(kept) == 2, 'one for each network, written by one process'
    assert json.loads((tmp_path / 'train.json').read_text())['train_clips'] == 20


def test_bad_input_is_an_error_in_words(tmp_path, cache):
    done = _e4('train', tmp_path, cache=cache)
    assert done.returncode == 2
    assert 'has no training clips' in done.stderr
    assert 'Traceback' not in done.stderr
