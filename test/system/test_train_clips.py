"""`e4 data synth` and `e4 train` as a user runs them, alone and under torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_OPTIONS = ['--frames', '4', '--epochs', '2', '--model', 'efficientnet_lite0']


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
    assert (tmp_path / 'clips.safetensors').is_file()
    assert 'Plotly.newPlot' in (tmp_path / 'train.html').read_text()


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
