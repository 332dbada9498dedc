from __future__ import annotations

import math

import pytest

from e4_ros.vision.inference.policy import FullPolicy, ThresholdPolicy


def test_threshold_is_reached_or_not():
    policy = ThresholdPolicy({'temporal': 0.5})
    assert policy.takes('temporal', 0.5)
    assert not policy.takes('temporal', 0.49)


def test_exit_without_threshold_is_off():
    policy = ThresholdPolicy({'temporal': 0.5})
    assert not policy.asks('exit1')
    assert not policy.takes('exit1', 1.0)


def test_score_that_is_no_number_is_never_taken():
    assert not ThresholdPolicy({'temporal': 0.0}).takes('temporal', math.nan)


def test_full_policy_asks_nobody():
    assert not FullPolicy().asks('temporal')
    assert not FullPolicy().takes('temporal', 1.0)


@pytest.mark.parametrize('threshold', [-0.1, math.nan])
def test_senseless_threshold_is_refused(threshold):
    with pytest.raises(ValueError, match='exit1'):
        ThresholdPolicy({'exit1': threshold})
