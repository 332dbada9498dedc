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

import numpy as np
import pytest
from scipy.stats import binom

from e4_ros.vision.calibration.learn_then_test import (
    RiskError,
    blocks_needed,
    certify,
    p_value,
    spaced_blocks,
)


@pytest.mark.parametrize(('risk', 'needed'), [(0.01, 299), (0.02, 149), (0.05, 59)])
def test_blocks_needed_without_any_loss(risk, needed):
    assert blocks_needed(risk, 0.95) == needed
    assert certify([np.zeros(needed)], risk, 0.95).chosen == 0
    with pytest.raises(RiskError, match=f'at least {needed} independent'):
        certify([np.zeros(needed - 1)], risk, 0.95)


def test_yes_or_no_losses_get_the_exact_binomial():
    losses = np.array([1.0] * 3 + [0.0] * 97)
    assert p_value(losses, 0.1) == pytest.approx(binom.cdf(3, 100, 0.1))


def test_graded_losses_get_a_bound_that_is_valid():
    # Uniform losses on [0, 2 risk] have exactly the mean that must not be certified.
    rng = np.random.default_rng(0)
    passed = [p_value(rng.uniform(0, 0.2, 100), 0.1) <= 0.05 for _ in range(2000)]
    assert np.mean(passed) <= 0.05


def test_last_passing_setting_is_chosen_not_the_first_failing():
    good, bad = np.zeros(100), np.ones(100)
    assert certify([good, good, bad], 0.1, 0.95).chosen == 1


def test_nothing_behind_a_failure_is_looked_at():
    good, bad = np.zeros(100), np.ones(100)
    certificate = certify([good, bad, good], 0.1, 0.95)
    assert certificate.chosen == 0
    assert len(certificate.p_values) == 2


def test_no_certificate_is_a_normal_outcome():
    assert certify([np.ones(100)], 0.1, 0.95).chosen is None


def test_promise_is_kept_in_nineteen_of_twenty_worlds():
    # Settings whose true risk rises through the limit; chosen ones above it must be rare.
    rng = np.random.default_rng(1)
    true_risk = np.array([0.02, 0.06, 0.1, 0.14, 0.2])
    broken = 0
    for _ in range(1000):
        losses = [(rng.random(150) < r).astype(float) for r in true_risk]
        chosen = certify(losses, 0.1, 0.95).chosen
        broken += chosen is not None and true_risk[chosen] > 0.1
    assert broken / 1000 <= 0.05


@pytest.mark.parametrize(('risk', 'confidence'), [(0, 0.95), (1, 0.95), (0.05, 1.0), (0.05, -1)])
def test_senseless_promises_are_refused(risk, confidence):
    with pytest.raises(RiskError, match='between 0 and 1'):
        blocks_needed(risk, confidence)


def test_blocks_are_spaced_in_time_order():
    losses = np.arange(20.0)
    np.testing.assert_array_equal(spaced_blocks(losses, block=4, gap=2), [1.5, 7.5, 13.5])
    assert len(spaced_blocks(losses[:3], block=4, gap=2)) == 0
