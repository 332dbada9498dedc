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

"""Choosing a version by weights: the published table, corrections, deadlines, and no flapping."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from e4_ros.energy.board_model import SegmentWork
from e4_ros.energy.boards import load_board
from e4_ros.perception.active_plan import Stream
from e4_ros.perception.controller import (
    BoardState,
    ControllerError,
    Observation,
    Outcome,
    StreamState,
    Wishes,
)
from e4_ros.perception.controllers import make_controller
from e4_ros.perception.controllers.context import Context
from e4_ros.perception.controllers.infer_edge import DWELL, LEVELS, state_size
from e4_ros.perception.controllers.policy_net import PolicyNet
from e4_ros.perception.controllers.version_table import pareto
from e4_ros.perception.versions import Version
from e4_ros.perception.weights import Weights

FULL = {'full': [0]}
WORK = SegmentWork('net', 900e6, 5e6, 60)
BOARD = 'jetson_orin_nano'
TABLES = {n: tuple(load_board(BOARD).domains[n].allowed_hz) for n in ('cpu', 'gpu')}

# The benchmark data of the authors' repository, github.com/Motahareee/Infer-EDGE: a Jetson TX2,
# ImageNet's validation set. Accuracy in percent, milliseconds, joules.
PUBLISHED = {
    'VGG11': (69.04, 1044.48, 6.17),
    'VGG19': (72.40, 1862.89, 11.83),
    'ResNet18': (69.76, 627.59, 3.73),
    'ResNet50': (76.15, 984.62, 7.46),
    'DenseNet121': (74.43, 4292.17, 28.00),
    'DenseNet161': (77.11, 7845.49, 50.99),
}
NOT_DOMINATED = {'ResNet18', 'ResNet50', 'DenseNet161'}


def version(name: str, f1: float, seconds: float, joules: float, **more) -> Version:
    stream = Stream(name, [WORK], FULL)
    return Version(name, stream, f1, {'full': seconds}, {'full': joules}, {'full': 1.0}, **more)


def published() -> list[Version]:
    return [version(n, f1 / 100, ms / 1e3, j) for n, (f1, ms, j) in PUBLISHED.items()]


def context(versions, **more) -> Context:
    return Context(versions[0].stream, versions=versions, **more)


def seen(weights=None, answering='', **more) -> Observation:
    wishes = Wishes(weights=weights, deadline_s=more.pop('deadline_s', 0.0))
    return Observation(0.0, StreamState(version=answering), wishes=wishes, **more)


def simplex(steps: int = 12):
    return [Weights(a, b, steps - a - b) for a in range(steps + 1) for b in range(steps + 1 - a)]


def net_of(versions: int) -> PolicyNet:
    """A policy that always wants the last version at its fastest."""
    bias = np.zeros(versions + LEVELS, np.float32)
    bias[versions - 1] = bias[versions] = 1
    size = state_size(versions)
    return PolicyNet(
        [np.zeros((len(bias), size), np.float32)], [bias], (versions, LEVELS),
        np.zeros(size, np.float32), np.ones(size, np.float32), 100,
    )  # fmt: skip


@pytest.mark.parametrize('name', ['infer_edge', 'infer_edge:exact', 'infer_edge:greedy'])
def test_of_the_published_versions_those_that_are_not_dominated_are_chosen(name):
    versions = published()
    table = [[-v.f1, v.latency_s['full'], v.energy_j['full']] for v in versions]
    assert {versions[i].name for i in pareto(np.array(table))} == NOT_DOMINATED
    chosen = set()
    for weights in simplex():
        chosen.add(make_controller(name, context(versions)).decide(seen(weights)).version)
    assert chosen == NOT_DOMINATED


def test_each_corner_gets_what_it_asks_for():
    controller = make_controller('infer_edge', context(published()))
    wanted = {(1, 0, 0): 'DenseNet161', (0, 1, 0): 'ResNet18', (0, 0, 1): 'ResNet18'}
    for weights, name in wanted.items():
        assert controller.decide(seen(Weights(*weights))).version == name


def test_a_change_of_weights_is_followed_at_once_and_noise_is_not():
    controller = make_controller('infer_edge', context(published()))
    accurate, quick = Weights(1, 0, 0), Weights(0, 1, 0)
    assert controller.decide(seen(accurate)).version == 'DenseNet161'
    assert controller.decide(seen(quick)).version == 'ResNet18'
    assert controller.decide(seen(accurate)).version == 'DenseNet161'
    names = []
    for number in range(200):  # two versions that are as good as each other, and times that jump
        name = names[-1] if names else 'ResNet18'
        factor = 3.0 if number % 2 else 0.4
        seconds = factor * next(v for v in published() if v.name == name).latency_s['full']
        controller.observe(Outcome('full', seconds, version=name))
        names.append(controller.decide(seen(Weights(0.29, 0.5, 0.21), name)).version)
    changes = [i for i in range(1, 200) if names[i] != names[i - 1]]
    assert all(b - a >= DWELL for a, b in itertools.pairwise(changes))
    assert len(changes) <= 4


def test_what_frames_take_corrects_the_table():
    versions = [version('a', 0.8, 0.010, 0.1), version('b', 0.79, 0.011, 0.1)]
    controller = make_controller('infer_edge', context(versions))
    quick = Weights(0.2, 0.8, 0)
    assert controller.decide(seen(quick)).version == 'a'
    for _ in range(60):  # alone it is a that is slow
        decision = controller.decide(seen(quick))
        seconds = 0.030 if decision.version == 'a' else 0.011
        controller.observe(Outcome('full', seconds, version=decision.version))
    assert decision.version == 'b'


def test_a_deadline_comes_before_weights():
    controller = make_controller('infer_edge', context(published()))
    decision = controller.decide(seen(Weights(1, 0, 0), deadline_s=1.0))
    assert decision.version == 'ResNet50'
    nobody = controller.decide(seen(Weights(1, 0, 0), deadline_s=0.1))
    assert nobody.version == 'DenseNet161', 'where nobody is in time, weights say it'


def test_an_empty_battery_turns_to_the_frugal_one():
    controller = make_controller('infer_edge', context(published(), battery_reserve=0.3))
    accurate = Weights(1, 0, 0)
    for charge in (1.0, 0.4, math.nan):
        assert controller.decide(seen(accurate, battery=charge)).version == 'DenseNet161'
    assert controller.decide(seen(accurate, battery=0.02)).version == 'ResNet18'


def test_without_accuracies_the_first_version_answers_and_says_why():
    versions = [replace(v, f1=math.nan) for v in published()]
    controller = make_controller('infer_edge', context(versions))
    for weights in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        decision = controller.decide(seen(Weights(*weights)))
        assert decision.version == 'VGG11'
        assert 'e4 versions' in decision.problem


def test_on_a_board_clocks_are_chosen_with_the_version():
    small = Stream('net', [replace(WORK, macs=400e6, bytes_moved=3e6)], FULL)
    versions = [Version('big', Stream('net', [WORK], FULL), 0.9), Version('small', small, 0.7)]
    board = BoardState(BOARD, TABLES, {n: t[-1] for n, t in TABLES.items()})
    controller = make_controller('infer_edge', context(versions))
    accurate = controller.decide(seen(Weights(1, 0, 0), board=board))
    assert accurate.version == 'big'
    quick = controller.decide(seen(Weights(0, 1, 0), board=board))
    assert quick.version == 'small'
    assert quick.point['gpu'] == TABLES['gpu'][-1]
    frugal = controller.decide(seen(Weights(0, 0, 1), board=board))
    assert frugal.version == 'small'
    assert frugal.point['gpu'] < TABLES['gpu'][-1]


def test_above_a_virtual_board_times_say_nothing_of_it():
    versions = [Version(n, Stream('net', [WORK], FULL), f) for n, f in (('a', 0.9), ('b', 0.8))]
    board = BoardState(BOARD, TABLES, {n: t[-1] for n, t in TABLES.items()})
    controller = make_controller('infer_edge', context(versions))
    first = controller.decide(seen(Weights(1, 1, 1), board=board))
    for _ in range(50):
        controller.observe(Outcome('full', 5.0, version=first.version))
    assert controller.decide(seen(Weights(1, 1, 1), board=board)) == first


def test_the_learned_one_needs_its_network_and_the_same_number_of_versions():
    versions = published()
    with pytest.raises(ControllerError, match='has to learn first'):
        make_controller('infer_edge:learned', context(versions))
    with pytest.raises(ControllerError, match='among 2 versions, and there are 6'):
        make_controller(
            'infer_edge:learned', context(versions, policies={'infer_edge:learned': net_of(2)})
        )
    controller = make_controller(
        'infer_edge:learned', context(versions, policies={'infer_edge:learned': net_of(6)})
    )
    assert controller.decide(seen(Weights(0, 1, 0))).version == 'DenseNet161'
    late = controller.decide(seen(Weights(0, 1, 0), deadline_s=1.0))
    assert late.version != 'DenseNet161', 'a deadline comes before what was learnt'
