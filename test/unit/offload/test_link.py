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

from e4_ros.offload.link import Exchange, LinkEstimator


def exchange(at_s, there_s, back_s, work_s=0.02, size=0, offset_s=0.0) -> Exchange:
    came_s = at_s + there_s
    left_s = came_s + work_s
    return Exchange(at_s, came_s + offset_s, left_s + offset_s, left_s + back_s, size)


@pytest.mark.parametrize('offset_s', [0.0, 3600.0, -3600.0])
def test_legs_are_told_apart_however_the_clocks_stand(offset_s):
    link = LinkEstimator()
    for index in range(5):
        there_s = 0.005 + 0.002 * index
        link.came_back(exchange(index, there_s, 0.005, offset_s=offset_s), request=False)
    big = exchange(6.0, 0.045, 0.005, size=20_000, offset_s=offset_s)
    link.came_back(big, request=True)
    legs = link.legs(big, 0.003, 0.004, 0.016)
    assert legs['send'] == pytest.approx(0.045, abs=1e-6)
    assert legs['return'] == pytest.approx(0.005, abs=1e-6)
    assert (legs['encode'], legs['queue'], legs['run']) == (0.003, 0.004, 0.016)
    state = link.state(6.1)
    assert state.round_trip_s == pytest.approx(0.01)
    assert state.rate_bps[1] == pytest.approx(160_000 / 0.04, rel=1e-3)


def test_nothing_is_known_at_first_and_old_rates_are_forgotten():
    link = LinkEstimator()
    assert math.isnan(link.state(0.0).rate_bps[0])
    assert not link.state(0.0).up
    link.came_back(exchange(0.0, 0.1, 0.001, size=20_000), request=True)
    assert link.state(5.0).rate_bps[1] > 0
    assert math.isnan(link.state(100.0).rate_bps[1])


def test_lost_requests_are_counted_and_bound_the_rate():
    link = LinkEstimator()
    link.came_back(exchange(0.0, 0.01, 0.01, size=20_000), request=True)
    before = link.state(0.1)
    for index in range(3):
        link.lost(20_000, 0.6, 1.0 + index)
    after = link.state(4.0)
    assert after.loss == 0.75
    assert after.rate_bps[0] < before.rate_bps[0]
    assert after.rate_bps[0] >= 160_000 / 0.6


def test_up_and_since():
    link = LinkEstimator()
    link.set_up(True, 10.0)
    link.set_up(True, 12.0)
    assert (link.state(13.0).up, link.state(13.0).since_s) == (True, 3.0)
    link.set_up(False, 14.0)
    assert link.state(14.5).since_s == 0.5


def test_a_new_server_has_another_clock():
    link = LinkEstimator()
    link.came_back(exchange(0.0, 0.001, 0.001, offset_s=500.0), request=False)
    link.new_server()
    later = exchange(1.0, 0.02, 0.02, offset_s=0.0)
    link.came_back(later, request=False)
    assert link.send_s(later) == pytest.approx(0.02)


@pytest.mark.parametrize('work_s', [-1.0, 5.0, 1e300])
def test_times_that_cannot_be_are_seen(work_s):
    assert not Exchange(0.0, 0.0, work_s, 0.1, 0).plausible
    assert exchange(0.0, 0.01, 0.01).plausible
