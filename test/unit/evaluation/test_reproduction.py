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

from e4_ros.energy.board_model import SegmentWork
from e4_ros.energy.boards import BoardError
from e4_ros.evaluation.simulation.reproduction import (
    GOVERNORS,
    LEARNED,
    TOP,
    Backbone,
    ExitTrace,
    Scene,
    board_in,
)
from e4_ros.evaluation.simulation.reproduction_page import write_page
from e4_ros.evaluation.simulation.reproduction_rows import rows
from e4_ros.evaluation.simulation.reproduction_summary import summarise
from e4_ros.perception.controllers import make_controller
from e4_ros.perception.controllers.context import Learnt
from e4_ros.perception.controllers.fixed import Fixed
from e4_ros.perception.controllers.learned import Learned

WORKS = [
    SegmentWork('prepare', 0, 1.35e6, 8, 'cpu'),
    SegmentWork('stage0', 300e6, 70e6, 30),
    SegmentWork('stage1', 300e6, 70e6, 30),
]
SETTINGS = {
    'source': 'street <1>',
    'frames': 60,
    'train_frames': 0,
    'modes': {'jetson_tx2': 'MAXN'},
    'streams': 2,
    'sweep_streams': 1,
    'seconds': 3.0,
    'exits': [{'backbone': 'net', 'shares': {'temporal': 0.5, 'full': 0.5}, 'agreement': 0.95}],
}
PATHS = {'temporal': [0], 'exit1': [0, 1], 'full': [0, 1, 2]}


def full(frames: int) -> ExitTrace:
    """As many frames, all through the whole network."""
    return ExitTrace({'full': [0, 1, 2]}, ('full',) * frames, 1.0)


@pytest.fixture(scope='module')
def backbone() -> Backbone:
    rng = np.random.default_rng(3)
    e4 = tuple(rng.choice(['temporal', 'exit1', 'full'], 60, p=[0.5, 0.2, 0.3]).tolist())
    eenet = tuple(rng.choice(['exit1', 'full'], 60).tolist())
    return Backbone(
        'net',
        WORKS,
        ExitTrace(PATHS, e4, 0.95),
        ExitTrace({'full': [0, 1, 2], 'exit1': [0, 1]}, eenet, 0.9),
    )


def test_all_policies_of_a_scene_are_played(backbone):
    scene = Scene.of('jetson_nano', backbone, 'steady')
    found = {row['policy']: row for row in rows(scene)}
    assert set(found) >= {
        *GOVERNORS,
        'fixed_point',
        'eenet_exits',
        'e4_published',
        'e4',
        'e4_ideal',
    }
    e4, published, ideal = found['e4'], found['e4_published'], found['e4_ideal']
    assert e4['deadline_miss_percent'] == 0
    assert e4['energy_j_per_frame'] < found[TOP]['energy_j_per_frame']
    assert ideal['energy_j_per_frame'] <= e4['energy_j_per_frame'] * 1.001
    assert published['deadline_miss_percent'] > ideal['deadline_miss_percent'] == 0
    assert e4['agreement'] == 0.95
    assert found[TOP]['agreement'] == 1.0
    assert found['fixed_point']['deadline_miss_percent'] == 0
    for name in (*GOVERNORS, 'fixed_point'):
        assert found[f'{name}+exits']['agreement'] == 0.95, 'all have the same exits'


def test_learning_governors_are_played_on_the_whole_network_and_with_the_exits(backbone):
    scene = Scene.of('jetson_nano', backbone, 'steady')
    asked = []

    def train(where: Scene, reward: str, exits: bool) -> Learnt:
        asked.append((reward, exits))
        return Learnt(lambda _: 4, 10.0, 95.0, where.period_s)

    found = {row['policy']: row for row in rows(scene, train)}
    assert asked == [(reward, exits) for reward in LEARNED.values() for exits in (False, True)]
    for name in LEARNED:
        whole, early = found[name], found[f'{name}+exits']
        assert early['energy_j_per_frame'] < whole['energy_j_per_frame']
        assert (whole['agreement'], early['agreement']) == (1.0, 0.95)


def test_bursts_come_in_rows_with_rests_between(backbone):
    scene = Scene.of('jetson_nano', backbone, 'bursty')
    at = np.array([frame.arrival_s for frame in scene.frames(full(60))]) / scene.period_s
    gaps = np.diff(at)
    assert (gaps > 10).sum() == 2
    assert gaps.min() > 0.5


def test_memory_scales_by_itself_unless_somebody_has_its_clock(backbone):
    scene = Scene.of('jetson_orin_nano', backbone, 'bursty')
    low = {name: axis[0] for name, axis in _tables(scene).items()}
    slow = scene.play(Fixed(low, exits=False), full(60))
    low.pop('emc')
    scaled = scene.play(Fixed(low, exits=False), full(60))
    assert scaled.switches > slow.switches == 0
    assert scaled.latency_s.max() < slow.latency_s.max(), 'it goes up under load'


def test_memory_is_not_below_what_fast_clocks_ask_for(backbone):
    scene = Scene.of('jetson_orin_nano', backbone, 'bursty')
    context = scene.context(full(60))
    scaled = scene.play(make_controller('performance', context), full(60))
    pinned = scene.play(make_controller('performance@emc_top', context), full(60))
    assert scaled.latency_s == pytest.approx(pinned.latency_s)


def _tables(scene: Scene) -> dict[str, tuple[int, ...]]:
    table = scene.machine.table
    return dict(zip(table.domains, table.axes_hz, strict=True))


def test_a_board_is_in_the_mode_that_it_ships_in_unless_another_is_asked_for(backbone):
    shipped = Scene.of('jetson_agx_orin', backbone, 'steady').machine
    assert shipped.board.mode == 'MODE_30W'
    assert shipped.table.axes_hz[1][-1] <= 612e6
    assert board_in('jetson_agx_orin', 'top').mode == 'MAXN'
    with pytest.raises(BoardError, match='no power mode'):
        board_in('jetson_agx_orin', 'MAXX')


def test_streams_are_drawn_from_the_record_in_blocks(backbone):
    trace = backbone.e4
    assert trace.drawn(0) is trace
    assert trace.drawn(1) == trace.drawn(1) != trace.drawn(2)
    twice = ''.join(name[0] for name in trace.exits * 2)
    drawn = ''.join(name[0] for name in trace.drawn(1).exits)
    assert len(drawn) == 60
    assert drawn[:25] in twice
    assert drawn[25:50] in twice


def row(policy: str, energy_j: float, missed: float = 0.0) -> dict:
    return {
        'board': 'b',
        'power_mode': '',
        'backbone': 'n',
        'workload': 'steady',
        'policy': policy,
        'energy_j_per_frame': energy_j,
        'energy_j_of_streams': [energy_j - 0.1, energy_j + 0.1],
        'above_idle_j_per_frame': energy_j - 1.0,
        'deadline_miss_percent': missed,
        'clocks_per_segment': policy == 'e4',
    }


def table(**changed: dict) -> list[dict]:
    found = {name: row(name, 10.0) for name in GOVERNORS}
    found |= {f'{name}+exits': row(f'{name}+exits', 8.0) for name in GOVERNORS}
    found |= {
        'e4': row('e4', 5.0),
        'fixed_point': row('fixed_point', 7.0),
        'fixed_point+exits': row('fixed_point+exits', 6.0),
    }
    found |= changed
    return list(found.values())


def test_savings_are_split_between_clocks_exits_and_clocks_of_each_segment():
    summary = summarise(table())
    assert summary['saving_vs_best_governor_percent'] == pytest.approx(50, abs=0.1)
    assert summary['from_clocks_percent'] == pytest.approx(30, abs=0.1)
    assert summary['from_exits_percent'] == pytest.approx(10, abs=0.1)
    assert summary['from_segment_clocks_percent'] == pytest.approx(10, abs=0.1)
    own = summary['saving_vs_fixed_point_with_exits_percent']
    assert own == pytest.approx(100 / 6, abs=0.1)
    low, high = summary['intervals']['saving_vs_fixed_point_with_exits_percent']
    assert low < own < high
    assert summary['fixed_point_is_the_plan'] == []


def test_a_governor_that_is_late_is_no_rival_and_told_with_what_it_drew():
    summary = summarise(table(schedutil=row('schedutil', 1.0, missed=50)))
    assert summary['saving_vs_best_governor_percent'] == pytest.approx(50, abs=0.1)
    assert summary['saving_vs_any_lateness_percent'] < 0
    assert summary['dropped'] == [
        {
            'policy': 'schedutil',
            'scenes': 1,
            'of': 1,
            'late_percent': 50.0,
            'energy_percent_of_e4': 20.0,
        }
    ]
    in_time = summarise(table(schedutil=row('schedutil', 4.0, missed=0.9)))
    assert in_time['saving_vs_best_governor_percent'] < 0
    assert in_time['dropped'] == []


def test_rivals_with_the_same_exits_are_compared_apart():
    summary = summarise(table(**{'schedutil+exits': row('schedutil+exits', 5.5)}))
    assert summary['saving_vs_best_with_exits_percent'] == pytest.approx(100 / 11, abs=0.2)


def test_the_page_needs_no_network(backbone, tmp_path):
    found = rows(Scene.of('jetson_tx2', backbone, 'steady'), streams=2)
    paces = [{'pace': 1.5, 'summary': summarise(found)}]
    write_page(found, paces, SETTINGS, tmp_path / 'page.html')
    text = (tmp_path / 'page.html').read_text()
    assert '<script src=' not in text
    assert 'jetson_tx2' in text


def test_learning_governors_learn_to_be_in_time(backbone):
    pytest.importorskip('stable_baselines3', reason='the extra `reproduce` is not installed')
    from e4_ros.evaluation.simulation import learned

    scene = Scene.of('jetson_orin_nano', backbone, 'steady')
    stream = full(learned.EPISODE_FRAMES)
    top = scene.play(make_controller('performance@emc_top', scene.context(stream)), stream)
    for reward in LEARNED.values():
        learnt = learned.train(
            scene.machine, lambda seed: scene.frames(stream, seed), scene.period_s, reward, 1500
        )
        played = scene.play(Learned(learnt, exits=False), stream)
        assert played.miss_percent(scene.period_s * 1.001) <= 5
        assert played.energy_j_per_frame <= top.energy_j_per_frame * 1.001


def test_a_governor_with_the_memory_clock_moves_three(backbone):
    pytest.importorskip('stable_baselines3', reason='the extra `reproduce` is not installed')
    from e4_ros.evaluation.simulation import learned

    scene = Scene.of('jetson_orin_nano', backbone, 'steady')
    stream = full(20)
    learnt = learned.train(
        scene.machine, lambda seed: scene.frames(stream, seed), scene.period_s, 'ztt', 20,
        domains=('cpu', 'gpu', 'emc'),
    )  # fmt: skip
    assert learnt.domains == ('cpu', 'gpu', 'emc')
    assert scene.play(Learned(learnt, exits=False), stream).energy_j_per_frame > 0


def test_the_environment_follows_gymnasiums_rules(backbone):
    pytest.importorskip('stable_baselines3', reason='the extra `reproduce` is not installed')
    from stable_baselines3.common.env_checker import check_env

    from e4_ros.evaluation.simulation.learned import ClockEnv

    scene = Scene.of('jetson_tx2', backbone, 'bursty')
    check_env(
        ClockEnv(scene.machine, lambda seed: scene.frames(full(50), seed), scene.period_s, 'ztt')
    )
