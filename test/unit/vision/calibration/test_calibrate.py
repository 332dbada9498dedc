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

import cv2
import numpy as np
import pytest

from e4_ros.perception.bundle_cache import open_bundle
from e4_ros.vision.bundle import load_bundle
from e4_ros.vision.calibration.calibrate import PATH, Promise, calibrate
from e4_ros.vision.calibration.learn_then_test import RiskError
from e4_ros.vision.calibration.threshold_replay import PlayedStream
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.frame_result import FrameResult

FIXTURE = Path(__file__).parents[3] / 'fixtures' / 'detector'
PROMISE = Promise(risk=0.2, confidence=0.95, against_full=True, block_s=0.1, gap_s=0.0)


@pytest.fixture(scope='module')
def network():
    """A classifier: its temporal exit holds the last answer, right for a still image."""
    return load_bundle(open_bundle('efficientnet_lite0')).network


@pytest.fixture(scope='module')
def blind(exits_bundle):
    """A detector whose temporal exit was never trained, and finds nothing."""
    return replace(load_bundle(exits_bundle).network, exits=())


@pytest.fixture(scope='module')
def jumps():
    """People seconds apart: the last answer is of no use."""
    paths = sorted(FIXTURE.glob('vtest_*.webp'))
    frames = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]
    return [(index / 10, frame) for index, frame in enumerate(frames)]


def hardly_moving(clip, count):
    frames = [clip[0][1].copy() for _ in range(count)]
    for index, frame in enumerate(frames):
        frame[0, 0] = index
    return [(index / 10, frame) for index, frame in enumerate(frames)]


def test_exit_that_loses_too_much_is_not_certified(blind, jumps):
    result = calibrate(blind, jumps, [], PROMISE, threads=1)
    assert result.certificate.blocks == len(jumps)
    assert result.certificate.chosen < len(PATH) - 1
    assert result.certificate.means[result.certificate.chosen] < 0.2
    assert result.certificate.p_values[-1] > 0.05


def test_exit_that_loses_nothing_is_certified_to_the_end(network, jumps):
    still = hardly_moving(jumps, 20)
    result = calibrate(network, still, [], PROMISE, threads=1)
    assert result.thresholds == {'temporal': PATH[-1]}
    assert result.calibration.mean_loss == 0
    assert result.early_share == pytest.approx(19 / 20)
    assert result.calibration.rates == {'temporal': pytest.approx(19 / 20)}
    # 19 blocks without disagreement rule out a mean of 1 - 0.05 ** (1 / 19).
    bound = result.calibration.audit_bounds['temporal']
    assert bound == pytest.approx(1 - 0.05 ** (1 / 19), abs=1e-6)


def test_bounds_are_on_the_loss_that_audits_measure(blind, jumps):
    """An exit that sees nothing loses what the full network is right about, by whoever judges."""
    clip = hardly_moving(jumps, 10)
    stream = PlayedStream(blind, [clip], threads=1)
    said = [FrameResult(Detections.empty(), 'temporal', 0.0, {}, [0.01], 0.01)] * len(clip)
    nothing = [Detections.empty()] * len(clip)
    assert stream.audit_bounds(said, None, 1, 0, 0.95) == {}
    assert stream.audit_bounds(said, stream.full, 1, 0, 0.95) == {'temporal': 1.0}
    least = 1 - 0.05 ** (1 / 10)  # what ten blocks without a loss rule out
    bounds = stream.audit_bounds(said, nothing, 1, 0, 0.95)
    assert bounds == {'temporal': pytest.approx(least, abs=1e-6)}


def test_a_network_without_exits_has_nothing_to_calibrate(blind, jumps):
    with pytest.raises(RiskError, match='`e4 fit` makes some'):
        calibrate(blind.without_exits(), jumps, [], PROMISE, threads=1)


def test_clips_are_streams_of_their_own(network, jumps):
    still = hardly_moving(jumps, 10)
    result = calibrate(network, [still, still], [], PROMISE, threads=1)
    assert result.certificate.blocks == 20
    assert result.early_share == pytest.approx(18 / 20)


def test_too_little_footage_says_how_much_is_needed(network, jumps):
    # 58 more blocks of a second, with half a second between them.
    with pytest.raises(RiskError, match=r'59 blocks of 1 s, 880 frames.* has 1 in .*1\.4 min'):
        calibrate(network, jumps, [], Promise(risk=0.05))


def test_still_image_and_empty_clip_are_refused(network, jumps):
    still = [(index / 10, jumps[0][1]) for index in range(20)]
    with pytest.raises(RiskError, match='source 2 is one still image'):
        calibrate(network, [jumps, still], [], PROMISE)
    with pytest.raises(RiskError, match='source 1 has no frames'):
        calibrate(network, [[], jumps], [], PROMISE)


def test_time_must_rise(network, jumps):
    frames = [(0.0, frame) for _, frame in jumps]
    with pytest.raises(RiskError, match='time rises'):
        calibrate(network, frames, [], PROMISE)


@pytest.mark.parametrize('risk', [0.0, 1.0, np.nan])
def test_senseless_risk_is_refused(network, jumps, risk):
    with pytest.raises(RiskError, match='between 0 and 1'):
        calibrate(network, jumps, [], Promise(risk=risk))
