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

"""Intervals over rounds hold as often as they say, and say where they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from e4_ros.evaluation.comparison.intervals import (
    meter_step,
    of_rounds,
    of_share,
    saved_amount,
    saved_share,
)


def test_five_noisy_rounds_hold_the_true_saving_in_nineteen_of_twenty_runs() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        drift = rng.normal(0, 0.05, 5)  # what both arms of a round have in common
        stock = 5.0 * np.exp(drift + rng.normal(0, 0.01, 5))
        both = 4.0 * np.exp(drift + rng.normal(0, 0.01, 5))
        found = saved_share(stock.tolist(), both.tolist())
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 0.2 <= found.high
    assert 0.92 <= inside / 200 <= 0.98


def test_pairing_by_round_takes_out_what_the_arms_of_a_round_share() -> None:
    drift = np.array([0.9, 1.0, 1.1, 1.2])
    found = saved_share((5 * drift).tolist(), (4 * drift).tolist())
    assert found.value == pytest.approx(0.2)
    assert found.high == pytest.approx(found.low)


def test_a_meter_that_rounds_every_block_alike_widens_the_interval() -> None:
    stock, both = [2.72, 2.72, 2.72], [2.28, 2.28, 2.28]  # steps of 40 mW, no spread
    found = saved_share(stock, both, resolution=0.04)
    true = 1 - 2.295 / 2.705
    assert found.low is not None
    assert found.high is not None
    assert found.low < true < found.high
    amount = saved_amount(stock, both, resolution=0.04)
    assert amount.low is not None
    assert amount.low < 2.705 - 2.295 < amount.value


def test_one_round_gives_a_figure_without_an_interval() -> None:
    found = saved_share([5.0], [4.0], resolution=0.04)
    assert found.value == pytest.approx(0.2)
    assert not found.known


def test_no_late_frame_among_a_hundred_may_hide_three() -> None:
    found = of_share([0.0, 0.0, 0.0], 100)
    assert (found.low, found.value) == (0.0, 0.0)
    assert found.high == pytest.approx(0.03, abs=0.001)


def test_a_share_stays_within_nought_and_one() -> None:
    found = of_share([0.01, 0.2, 0.0], 300)
    assert found.low == 0.0
    assert found.high is not None
    assert found.high <= 1.0


def test_the_other_unit_of_a_saving_swaps_the_ends_where_it_is_negative() -> None:
    found = of_rounds([1.0, 2.0, 3.0]).scaled(-10)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high


def test_rounds_of_different_number_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match='2 rounds cannot be paired with 1'):
        saved_share([1.0, 2.0], [1.0])


def test_the_step_of_a_meter_is_seen_in_what_it_shows() -> None:
    assert meter_step([3.92, 4.0, 3.92, 4.24]) == pytest.approx(0.08)
    assert meter_step([3.92, 3.92]) == 0.0
    assert meter_step([]) == 0.0
