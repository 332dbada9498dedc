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

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from e4_ros.evaluation.datasets.labelled import DatasetError, LabelledClip
from e4_ros.evaluation.datasets.readers import open_dataset
from e4_ros.evaluation.datasets.synth.motions import MOTIONS, trajectory
from e4_ros.evaluation.datasets.synth.scene import Difficulty, render
from e4_ros.evaluation.datasets.synth.writer import SynthSettings, write_synth

_TINY = SynthSettings(clips=1, val_clips=1, frames=4, size=64)


def _path(motion: str, seed: int = 0) -> np.ndarray:
    return trajectory(motion, 60, np.random.default_rng(seed))


@pytest.mark.parametrize('seed', range(5))
def test_straight_motions_go_where_they_say(seed):
    for motion, axis, sign in (('left', 0, -1), ('right', 0, 1), ('up', 1, -1), ('down', 1, 1)):
        way = _path(motion, seed)[-1] - _path(motion, seed)[0]
        assert sign * way[axis] > 0.25
        assert abs(way[1 - axis]) < 0.1


@pytest.mark.parametrize('seed', range(5))
def test_circles_turn_as_they_say(seed):
    """Seen with y downwards, a clockwise turn has a positive cross product of its steps."""
    for motion, sign in (('clockwise', 1), ('anticlockwise', -1)):
        steps = np.diff(_path(motion, seed)[20:, :2], axis=0)
        cross = steps[:-1, 0] * steps[1:, 1] - steps[:-1, 1] * steps[1:, 0]
        assert (sign * cross > 0).all()


def test_sizes_change_only_where_they_should():
    for motion in MOTIONS:
        scale = _path(motion)[:, 2]
        growth = {'approach': 1, 'recede': -1}.get(motion, 0)
        assert np.sign(round(scale[-1] - scale[0], 9)) == growth


def test_a_shake_ends_near_where_it_began_and_stillness_stays():
    assert np.ptp(_path('still')[:, :2], axis=0).max() == 0
    shaken = _path('shake')[:, :2]
    assert np.abs(shaken[-1] - shaken[0]).max() < 0.11
    assert np.linalg.norm(np.diff(shaken, axis=0), axis=1).sum() > 0.4


def test_the_first_frame_tells_nothing_of_the_class():
    """Every class begins at the same kind of place: the mean over many is the middle."""
    for motion in ('shake', 'still', 'approach'):
        starts = np.array([_path(motion, seed)[0, :2] for seed in range(200)])
        assert starts.mean(0) == pytest.approx([0.5, 0.5], abs=0.03)


def test_difficulty_has_an_effect():
    texture = [np.random.default_rng(0).integers(0, 255, (160, 160, 3), np.uint8)]
    calm = Difficulty(clutter=0, blur=0, occlusion=0, noise=0, drift=0)
    frames = render('still', texture, np.random.default_rng(1), 3, 64, calm)
    assert (frames[0] == frames[2]).all(), 'nothing moves'
    hard = Difficulty(clutter=0, blur=0, occlusion=0, noise=8, drift=12)
    frames = render('still', texture, np.random.default_rng(1), 3, 64, hard)
    assert (frames[0] != frames[2]).mean() > 0.5


@pytest.fixture(scope='module')
def written(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp('set') / 'actions'
    write_synth(out, _TINY)
    return out


def _frames(folder: Path) -> dict[str, np.ndarray]:
    return {
        str(path.relative_to(folder)): LabelledClip(path, 0).frames(4).astype(int)
        for path in sorted(folder.rglob('*.mp4'))
    }


def test_the_same_seed_draws_the_same_frames():
    texture = [np.random.default_rng(0).integers(0, 255, (160, 160, 3), np.uint8)]
    a, b = (render('up', texture, np.random.default_rng(7), 4, 64, Difficulty()) for _ in range(2))
    assert np.array_equal(a, b)


def test_the_same_seed_writes_the_same_clips(written, tmp_path):
    """As far as the encoder goes, which is lossy and not the same to the bit in each run."""
    write_synth(tmp_path / 'again', _TINY)
    again, first = _frames(tmp_path / 'again'), _frames(written)
    assert again.keys() == first.keys()
    assert max(np.abs(again[name] - first[name]).mean() for name in first) < 4


def test_another_seed_writes_other_clips(written, tmp_path):
    write_synth(tmp_path / 'other', replace(_TINY, seed=1))
    other, first = _frames(tmp_path / 'other'), _frames(written)
    assert min(np.abs(other[name] - first[name]).mean() for name in first) > 12


def test_an_interrupted_set_is_completed(tmp_path):
    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_synth(tmp_path / 'set', _TINY, interrupt)
    seen: list[int] = []
    write_synth(tmp_path / 'set', _TINY, lambda done, total: seen.append(done))
    assert 3 <= seen[0] < 20, 'what was there is not made again'
    assert len(list((tmp_path / 'set').rglob('*.mp4'))) == 20


def test_another_set_is_not_written_over(written):
    with pytest.raises(DatasetError, match='other settings'):
        write_synth(written, SynthSettings(clips=2))


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / 'thesis.txt').write_text('…')
    with pytest.raises(DatasetError, match='something else'):
        write_synth(tmp_path, _TINY)


def test_it_is_read_as_a_folder_for_each_class(written):
    data = open_dataset(written)
    assert data.class_names == sorted(MOTIONS)
    assert (len(data.train), len(data.val), data.missing) == (10, 10, [])
    assert data.train[0].frames(2).shape == (2, 64, 64, 3)
