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

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from e4_ros.vision.clips.distributed import Group
from e4_ros.vision.clips.features import Features, FeatureSet
from e4_ros.vision.clips.net import NetSettings
from e4_ros.vision.clips.training import TrainError, TrainSettings, look_at, traces, train

_SHAPE = NetSettings(deep_size=8, classes=2, frames=3, width=16)
_SETTINGS = TrainSettings(epochs=10, batch=8, beta=0.1)


@dataclass(frozen=True)
class _Clip:
    label: int
    seed: int

    @property
    def key(self) -> str:
        return str(self.seed)


class _Store:
    """Motion to the left or to the right, seen from the second frame on."""

    name = 'made up'

    def load(self, clip: _Clip) -> Features:
        rng = np.random.default_rng(clip.seed)
        deep = rng.normal(size=(3, 8)).astype(np.float16)
        motion = rng.normal(0, 0.3, (3, 4, 12, 12)).astype(np.float16)
        motion[1:, 0] += 2 * clip.label - 1
        return Features(deep, motion)


def _clips(count: int, first: int = 0) -> FeatureSet:
    return FeatureSet(_Store(), [_Clip(i % 2, first + i) for i in range(count)])  # type: ignore[arg-type,misc]


@pytest.fixture(autouse=True, scope='module')
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    work = tmp_path_factory.mktemp('work')
    return train(_SHAPE, _SETTINGS, _clips(60), work, Group())


def _weights(net: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_it_learns_what_moves_where(trained):
    net, gate, _ = trained
    seen = traces(gate, *look_at(net, _clips(20, first=1000)))
    assert (seen.probabilities[:, 2].argmax(1) == seen.labels).mean() > 0.95
    assert seen.scores[:, 0].max() < 0.5 < np.median(seen.scores[:, 2])


def test_the_gate_learns_from_clips_that_the_network_did_not(trained):
    assert len(trained[2].labels) == 12


def test_the_same_seed_gives_the_same_model(trained, tmp_path):
    again = train(_SHAPE, _SETTINGS, _clips(60), tmp_path, Group())
    assert torch.equal(_weights(again[0]), _weights(trained[0]))
    assert torch.equal(_weights(again[1]), _weights(trained[1]))


def test_an_interrupted_training_goes_on_to_the_same_model(trained, tmp_path):
    class Stop(Exception):  # noqa: N818
        pass

    def interrupt(phase, done, total, loss):
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        train(_SHAPE, _SETTINGS, _clips(60), tmp_path, Group(), interrupt)
    epochs = []
    net, gate, _ = train(
        _SHAPE, _SETTINGS, _clips(60), tmp_path, Group(), lambda *told: epochs.append(told[1])
    )
    assert epochs == [4, 5, 6, 7, 8, 9, 10]
    assert torch.equal(_weights(net), _weights(trained[0]))
    assert torch.equal(_weights(gate), _weights(trained[1]))


def test_other_settings_begin_anew(tmp_path):
    epochs = []
    for seed in (0, 1):
        settings = TrainSettings(epochs=2, batch=8, seed=seed)
        train(_SHAPE, settings, _clips(10), tmp_path, Group(), lambda *t: epochs.append(t[1]))
    assert epochs == [1, 2, 1, 2]


def test_other_clips_begin_anew(tmp_path):
    epochs = []
    settings = TrainSettings(epochs=1, batch=8)
    for first in (0, 100):
        clips = _clips(10, first)
        train(_SHAPE, settings, clips, tmp_path, Group(), lambda *t: epochs.append(t[1]))
    assert epochs == [1, 1]


def test_too_few_clips_are_refused(tmp_path):
    with pytest.raises(TrainError, match='4 training clips are too few'):
        train(_SHAPE, _SETTINGS, _clips(4), tmp_path, Group())
