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

"""DVFO's learner: its shipped policy, and policies that are not for here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from e4_ros.evaluation.simulation.edge_play import play
from e4_ros.evaluation.simulation.edge_world import Conditions, Scenario
from e4_ros.offload.request import LOCAL, LinkState, ServerState
from e4_ros.perception.controller import ControllerError, Observation
from e4_ros.perception.controllers import make_controller, spec_of
from e4_ros.perception.controllers.dvfo.learned import (
    FIGURES,
    WEIGHTS,
    Learned,
    Recent,
    branches_of,
    decode,
    shipped,
)
from e4_ros.perception.controllers.policy_net import PolicyNet

HERE = Scenario()


def a_net(branches: tuple[int, ...], figures: int = FIGURES, of: str = '') -> PolicyNet:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((sum(branches), figures)).astype(np.float32)
    zeros, ones = np.zeros(figures, np.float32), np.ones(figures, np.float32)
    return PolicyNet([weight], [np.zeros(len(weight), np.float32)], branches, zeros, ones, 1, of)


def seen(scenario: Scenario = HERE, **more) -> Observation:
    return Observation(board=scenario.board_state(), **more)


def test_the_shipped_policy_is_small_and_decides_here():
    file = WEIGHTS / f'dvfo_{HERE.board}.npz'
    assert file.stat().st_size < 100_000
    net = shipped(HERE.board)
    assert net.of == HERE.board
    controller = make_controller('dvfo:learned', HERE.context())
    decision = controller.decide(seen())
    assert not decision.problem
    assert decision.point
    assert decision.offload == LOCAL  # nobody answers
    assert len(play(Conditions.of(HERE, 1, 50), make_controller('dvfo:learned', HERE.context())))


def test_a_board_without_a_policy_is_told_how_to_get_one_and_served_by_the_search():
    other = Scenario('jetson_nano')
    decision = make_controller('dvfo:learned', other.context()).decide(seen(other))
    assert 'no policy was trained for jetson_nano' in decision.problem
    assert decision.point == make_controller('dvfo', other.context()).decide(seen(other)).point


@pytest.mark.parametrize(
    ('net', 'says'),
    [
        (a_net((10, 10, 7, 21), of='jetson_nano'), 'trained for jetson_nano, not for jetson_tx2'),
        (a_net((10, 10, 7, 21), figures=7), 'looks at 7 figures'),
        (a_net((10, 10, 7, 5)), 'decides'),
        (a_net((10, 21)), 'clocks of 3 domains'),
    ],
)
def test_a_policy_of_another_board_or_shape_is_refused(tmp_path: Path, net: PolicyNet, says: str):
    file = tmp_path / 'net.npz'
    net.save(file)
    controller = make_controller(f'dvfo:learned={file}', HERE.context())
    with pytest.raises(ControllerError, match=says):
        controller.decide(seen())


@pytest.mark.parametrize('content', [b'', b'garbage', b'PK\x03\x04' + bytes(100)])
def test_a_file_that_is_no_policy_is_refused(tmp_path: Path, content: bytes):
    file = tmp_path / 'net.npz'
    file.write_bytes(content)
    with pytest.raises(ControllerError, match='no policy'):
        make_controller(f'dvfo:learned={file}', HERE.context())
    with pytest.raises(ControllerError, match='absent'):
        make_controller('dvfo:learned=/absent.npz', HERE.context())
    assert spec_of('dvfo:learned=/absent.npz').live


def test_ones_own_policy_decides(tmp_path: Path):
    file, branches = tmp_path / 'net.npz', (10, 10, 7, 21)
    tables = HERE.board_state().tables
    sizes = {name: len(table) for name, table in tables.items()}
    assert branches_of(sizes, 21) == branches
    a_net(branches, of=HERE.board).save(file)
    controller = make_controller(f'dvfo:learned={file}', HERE.context())
    server = ServerState({'network': 'a'}, ())
    link = LinkState(True, 1.0, (1e7, 2e7), 0.004)
    for frame in range(20):
        decision = controller.decide(seen(time_s=frame / 10, link=link, server=server))
        assert all(hertz in tables[name] for name, hertz in decision.point.items())
        assert decision.offload == LOCAL or decision.offload.service == 'network'


def test_branches_name_clocks_as_shares_of_their_tables():
    context = HERE.context()
    found = Learned(context).costs(HERE.board_state())
    top, bottom = (
        decode((9, 9, 6, 0), (10, 10, 7, 21), found),
        decode((0, 0, 0, 3), (10, 10, 7, 21), found),
    )
    tables = HERE.board_state().tables
    assert found.point(top[1]) == {name: table[-1] for name, table in tables.items()}
    assert found.point(bottom[1]) == {name: table[0] for name, table in tables.items()}
    assert (top[0], bottom[0]) == (0, 3)


def test_a_state_is_finite_and_contains_what_is_pending_and_decided():
    recent = Recent()
    strange = LinkState(True, 0.0, (np.nan, np.inf), np.nan, 2.0)
    board = replace(HERE.board_state(), pending={'gpu': 1})
    recent.decided(0.0, (9, 0, 6, 20), (10, 10, 7, 21), 20)
    state = recent.state(Observation(board=board, link=strange), HERE.price, [])
    assert state.shape == (FIGURES,)
    assert np.isfinite(state).all()
    assert state[12:16].tolist() == [1, 0, 1, 1]  # what was decided
    assert state[16:19].tolist() == [0, 1, 0]  # what is not in effect yet
