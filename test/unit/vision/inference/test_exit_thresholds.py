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

import math

import pytest

from e4_ros.vision.inference.exit_thresholds import ExitThresholds


def test_threshold_is_reached_or_not():
    thresholds = ExitThresholds({'temporal': 0.5})
    assert thresholds.takes('temporal', 0.5)
    assert not thresholds.takes('temporal', 0.49)


def test_exit_without_threshold_is_off():
    thresholds = ExitThresholds({'temporal': 0.5})
    assert not thresholds.asks('exit1')
    assert not thresholds.takes('exit1', 1.0)


def test_score_that_is_no_number_is_never_taken():
    assert not ExitThresholds({'temporal': 0.0}).takes('temporal', math.nan)


def test_without_thresholds_nobody_is_asked():
    assert not ExitThresholds().asks('temporal')
    assert not ExitThresholds().takes('temporal', 1.0)


@pytest.mark.parametrize('threshold', [-0.1, math.nan])
def test_senseless_threshold_is_refused(threshold):
    with pytest.raises(ValueError, match='exit1'):
        ExitThresholds({'exit1': threshold})
