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

"""Worlds in which versions take turns: nobody is better than the clairvoyant; who comes near."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from e4_ros.energy.board_model import SegmentWork
from e4_ros.evaluation.simulation.version_world import Setting, World, hypervolume
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.controllers import make_controller
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.versions import Version
from e4_ros.perception.weights import Weights

TRACK = SegmentWork('track', 0, 0, 0, 'cpu', 2_500_000)
NETWORK = SegmentWork('network', 900e6, 20e6, 100)
PATHS = {'track': [0], 'full': [0, 1]}
SHARES = {'track': 0.7, 'full': 0.3}
F1 = {'large': 0.85, 'middle': 0.8, 'small': 0.6}
SIZES = {'large': 1.0, 'middle': 0.7, 'small': 0.4}


def setting() -> Setting:
    versions = []
    for name, part in SIZES.items():
        work = replace(NETWORK, macs=part * NETWORK.macs, bytes_moved=part * NETWORK.bytes_moved)
        stream = Stream('net', [TRACK, work], PATHS)
        versions.append(Version(name, stream, F1[name], shares=SHARES, switch_s=0.004))
    exits = ['full', *['track'] * 2, 'full', *['track'] * 4] * 5
    return Setting(versions, np.array(list(F1.values())), 'jetson_orin_nano', exits)


def controller(name: str, of: Setting):
    return make_controller(name, Context(of.versions[0].stream, versions=of.versions))


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('name', ['infer_edge', 'infer_edge:greedy'])
def test_nobody_costs_less_than_the_clairvoyant(name, seed):
    world = World(setting(), 200, seed)
    least, path = world.least()
    taken = world.cost[np.arange(200), path].sum()
    changes = np.flatnonzero(np.diff(world.table.version[path])) + 1
    assert least == pytest.approx((taken + world.change[changes].sum()) / 200)
    assert world.play(controller(name, setting())).cost.mean() >= least - 1e-9
    for version in range(len(SIZES)):
        assert world.cost[:, world.table.version == version].mean(0).min() >= least - 1e-9


def test_the_cheapest_path_is_the_cheapest_of_all_paths():
    world = World(setting(), 4, 0)
    world.change[:] = 0.05
    keep = [int(np.flatnonzero(world.table.version == v)[0]) for v in range(3)]
    world.cost = world.cost[:, keep] + np.random.default_rng(0).uniform(0, 0.2, (4, 3))
    world.table.version = np.arange(3)
    every = np.stack(np.meshgrid(*[range(3)] * 4, indexing='ij'), -1).reshape(-1, 4)
    costs = [
        sum(world.cost[t, v] for t, v in enumerate(path)) + 0.05 * np.count_nonzero(np.diff(path))
        for path in every
    ]
    assert world.least()[0] == pytest.approx(min(costs) / 4)


def test_where_all_is_known_the_exact_look_up_is_right():
    for weights in (Weights(1, 0, 0), Weights(0, 1, 0), Weights(1, 1, 1)):
        world = World(setting(), 60, 0, calm=True, weights=weights)
        found = world.play(controller('infer_edge', setting()))
        assert found.cost[-20:].mean() <= world.cost[-20:].min(1).mean() + 0.03


def test_the_same_seed_is_the_same_world():
    one, two = World(setting(), 80, 5), World(setting(), 80, 5)
    assert one.least()[0] == two.least()[0]
    played = [w.play(controller('infer_edge', setting())) for w in (one, two)]
    assert (played[0].version == played[1].version).all()
    assert World(setting(), 80, 6).least()[0] != one.least()[0]


def test_a_battery_that_empties_changes_what_counts():
    world = next(w for w in (World(setting(), 100, s) for s in range(20)) if w.battery[-1] < 0.1)
    assert world.weighed(99).energy > 0.9
    assert world.weighed(0) == world.weights[0]


def test_volumes_of_boxes():
    worst = np.ones(3)
    assert hypervolume(np.array([[0.0, 0.0, 0.0]]), worst) == pytest.approx(1)
    assert hypervolume(np.array([[0.5, 0.5, 0.5]]), worst) == pytest.approx(0.125)
    two = np.array([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]])
    assert hypervolume(two, worst) == pytest.approx(0.75)
    beaten = np.vstack([two, [0.6, 0.6, 0.6], [2.0, 2.0, 2.0]])
    assert hypervolume(beaten, worst) == pytest.approx(0.75)


def test_a_policy_learns_and_says_as_numbers_what_it_says_as_a_network():
    pytest.importorskip('stable_baselines3')
    from e4_ros.evaluation.simulation import version_learning
    from e4_ros.perception.controllers.infer_edge import LEVELS, state_of

    told = []
    net = version_learning.train_policy(
        setting().versions, 'jetson_orin_nano', 200, told.append, seed=1, worlds=2
    )
    assert net.branches == (3, LEVELS)
    assert net.frames >= 200
    assert told[-1] == net.frames
    again = version_learning.train_policy(
        setting().versions, 'jetson_orin_nano', 200, seed=1, worlds=2
    )
    state = state_of(Weights(1, 1, 1), np.ones(3), 0)
    for one, two in zip(net.values(state), again.values(state), strict=True):
        assert one == pytest.approx(two, abs=1e-5)
    context = Context(
        setting().versions[0].stream,
        versions=setting().versions,
        policies={'infer_edge:learned': net},
    )
    world = World(setting(), 60, 0)
    assert world.play(make_controller('infer_edge:learned', context)).cost.mean() > 0
