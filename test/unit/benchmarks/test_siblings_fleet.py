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

"""A fleet's queues against theory, robots that share a site, and exits that grow stale."""

from __future__ import annotations

import numpy as np
import pytest

from e4_ros.benchmarks.siblings.fleet import AsIfAlone, _fleet
from e4_ros.benchmarks.siblings.fleet_picture import picture
from e4_ros.evaluation.simulation.edge_world import Scenario
from e4_ros.evaluation.simulation.fleet import Played, Shared, Site, herding, play_site
from e4_ros.evaluation.simulation.fleet_learning import (
    Learning,
    staleness_s,
    staleness_together_s,
)
from e4_ros.evaluation.simulation.fleet_queues import (
    deterministic_wait_s,
    erlang_c,
    played_waits,
    poisson,
)
from e4_ros.perception.controllers import make_controller


def played(load: float, workers: int, random: bool) -> float:
    rng = np.random.default_rng(7)
    at_s = poisson(rng, load, 150_000)
    service = rng.exponential(1.0, len(at_s)) if random else np.ones(len(at_s))
    return float(played_waits(at_s, service, workers).mean())


@pytest.mark.parametrize(('rho', 'workers'), [(0.5, 1), (0.8, 1), (0.7, 3)])
def test_equal_requests_wait_as_theory_says(rho, workers):
    """M/D/1 exactly (Pollaczek and Khinchine), M/D/c as Cosmetatos has it."""
    wait = played(rho * workers, workers, random=False)
    assert wait == pytest.approx(deterministic_wait_s(rho * workers, workers, 1.0), rel=0.07)
    if workers == 1:
        assert wait == pytest.approx(rho / (2 * (1 - rho)), rel=0.07)


def test_random_requests_wait_as_erlang_says():
    load, workers = 2.4, 3
    assert erlang_c(0.5, 1) == pytest.approx(0.5)
    expected = erlang_c(load, workers) / (workers - load)
    assert played(load, workers, random=True) == pytest.approx(expected, rel=0.1)


def test_one_request_waits_for_the_air_then_for_a_worker():
    shared = Shared(Site(air_bps=1e6, workers=1, round_trip_s=0.0))
    assert shared.request(0.0, 1e5, 0.5) == pytest.approx((0.6, 0.1))
    assert shared.request(0.0, 1e5, 0.5) == pytest.approx((1.1, 0.2))
    assert shared.request(5.0, 1e5, 0.5) == pytest.approx((0.6, 0.1)), 'all is idle again'
    assert (shared.bits, shared.busy_s) == (3e5, 1.5)


def site(make, robots: int, air_bps: float, frames: int = 64) -> Played:
    context = Scenario().context()
    return play_site(
        Scenario(), Site(air_bps=air_bps, workers=1), robots, frames, lambda robot: make(context)
    )


def exact(context):
    return make_controller('dvfo:exact', context)


@pytest.fixture(scope='module')
def crowded():
    """Eight robots on an access point that carries the requests of two or so."""
    return {make.__name__: site(make, 8, 1.5e6) for make in (exact, AsIfAlone)}


def test_every_frame_is_answered_and_loads_are_what_was_sent(crowded):
    for found in crowded.values():
        assert len(found.answers) == 8 * 64
        assert found.air_load == pytest.approx(found.shared.bits / 1.5e6 / found.seconds)
        assert len(found.shared.delays_s) == sum(answer.sent for answer in found.answers)
        assert min(found.shared.delays_s) > found.shared.site.round_trip_s


def test_robots_that_see_the_crowd_fare_better_and_do_not_herd(crowded):
    seeing, alone = crowded['exact'], crowded['AsIfAlone']
    costs = [np.mean([a.cost for a in found.answers]) for found in (seeing, alone)]
    assert costs[0] < 0.9 * costs[1]
    assert seeing.air_load < alone.air_load
    assert herding(seeing) < 2


def test_a_site_is_played_the_same_again():
    first, again = (site(exact, 2, 1e7, 16) for _ in range(2))
    assert [a.cost for a in first.answers] == [a.cost for a in again.answers]


def counted(sending) -> Played:
    return Played([], Shared(Site()), len(sending), np.array(sending, float))


def test_herding_is_seen_where_all_change_their_minds_together():
    rng = np.random.default_rng(0)
    assert herding(counted(rng.poisson(50, 400))) == pytest.approx(1.0, abs=0.3)
    assert herding(counted([0, 100] * 200)) > 40
    assert herding(counted([0] * 20)) == 0


def test_exits_are_stale_for_as_long_as_their_fit_waits():
    learning = Learning()
    assert staleness_s(1, 1, learning).min() == pytest.approx(learning.least_s)
    busy = staleness_s(80, 1, learning)
    load = learning.trainers(80)
    wait = deterministic_wait_s(load, 1, learning.fit_s)
    assert busy.mean() == pytest.approx(learning.least_s + wait, rel=0.25)
    rain = staleness_together_s(10, 2, 1.0, learning)
    waits = [learning.fit_s * i for i in range(5) for _ in (1, 2)]
    assert sorted(rain - learning.least_s) == pytest.approx(waits)


def test_a_fleet_has_a_site_for_every_hundred_and_the_picture_its_lines():
    row = {
        'policy': 'dvfo:exact', 'robots': 100, 'cost_j': 0.2, 'joules': 0.1, 'air_load': 0.5,
        'server_load': 0.6, 'mbit_s': 50.0, 'p50_ms': 20.0, 'p95_ms': 60.0, 'in_time_percent': 99.0,
    }  # fmt: skip
    fleet = _fleet(250, row, Learning())
    assert fleet['sites'] == 3
    assert fleet['trainer_load'] == pytest.approx(Learning().trainers(250) / 6)
    assert fleet['gbit_s'] == pytest.approx((0.5 * 250 + 250 * 8 * 23 / 86400) / 1e3, rel=1e-3)
    found = {
        'sites': [row, {**row, 'robots': 200}],
        'own_cost_j': 0.3,
        'requests_per_second': {'dvfo:exact': [1.0, 2.0]},
    }
    assert picture(found).count('<polyline') == 6
