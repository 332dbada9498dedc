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

"""The limit that follows what key frames show, on streams whose loss is known."""

from __future__ import annotations

import numpy as np
import pytest

from e4_ros.vision.inference.exit_thresholds import TAKEN
from e4_ros.vision.inference.online_risk import OnlineRisk
from e4_ros.vision.inference.track_exit import Doubt


def play(risk, slope, frames=2000, noise=0.0, seed=0, online=None):
    """A stream whose loss grows with the drift; mean loss over its second half, and key frames."""
    rng = np.random.default_rng(seed)
    online = online or OnlineRisk(risk)
    losses, keys, drift = [], [], 0.0
    for _ in range(frames):
        drift += 0.03
        loss = float(np.clip(slope * drift + noise * rng.standard_normal(), 0, 1))
        doubt = Doubt(drift, 0.0)
        if online.trust(doubt) >= TAKEN:
            online.skipped(doubt)
            losses.append(loss)
            keys.append(0)
        else:
            online.key(doubt, loss)
            losses.append(0.0)
            keys.append(1)
            drift = 0.0
    return np.mean(losses[frames // 2 :]), np.mean(keys[frames // 2 :]), online


@pytest.mark.parametrize('risk', [0.05, 0.1, 0.2])
@pytest.mark.parametrize('slope', [0.5, 1.5])
def test_the_mean_loss_comes_to_the_risk_that_was_asked(risk, slope):
    loss, _, online = play(risk, slope, noise=0.05)
    assert loss <= 1.2 * risk
    assert loss >= 0.5 * risk, 'more key frames than the risk needs'
    assert online.seen == pytest.approx(loss, abs=0.5 * risk)


def test_a_stream_that_loses_more_gets_more_key_frames():
    shares = [play(0.1, slope)[1] for slope in (0.3, 1.0, 3.0)]
    assert shares == sorted(shares)
    assert shares[2] > 2 * shares[0]


def test_a_stream_that_always_loses_runs_the_network_nearly_always():
    _, share, online = play(0.05, slope=100.0)
    assert share > 0.8
    assert online.key_share > 0.8


def test_a_stream_that_turns_bad_is_noticed():
    _, before, online = play(0.1, slope=0.2)
    _, after, _ = play(0.1, slope=3.0, online=online)
    assert after > 3 * before


def test_a_scene_that_broke_is_never_trusted():
    assert OnlineRisk(1.0).trust(Doubt(np.inf, 0.0)) < TAKEN


@pytest.mark.parametrize('risk', [0, -0.1, 1.01, float('nan')])
def test_a_risk_that_is_none_is_refused(risk):
    with pytest.raises(ValueError, match='the risk is above 0'):
        OnlineRisk(risk)


def test_the_share_of_key_frames_is_of_frames_and_not_of_cycles():
    online = OnlineRisk(0.1)
    for _ in range(30):  # cycles of one frame and of nine, in turns: every fifth is a key frame
        online.key(Doubt(0.0, 0.0), 0.0)
        for _ in range(8):
            online.skipped(Doubt(0.0, 0.0))
        online.key(Doubt(0.0, 0.0), 0.0)
    assert online.key_share == pytest.approx(0.2, abs=0.02)


def test_a_key_frame_that_shows_nothing_of_the_tracks_counts_as_one_and_begins_a_cycle():
    online = OnlineRisk(0.1)
    online.unaudited()
    assert online.key_share == 1.0
    assert np.isnan(online.seen)
    for _ in range(3):
        online.skipped(Doubt(0.5, 1.0))
    online.unaudited()  # another stream: what the old one left unsaid is not the new one's
    online.key(Doubt(0.1, 0.0), 0.0)
    assert online.seen == 0.0
    assert online.key_share == pytest.approx(3 / 6)
