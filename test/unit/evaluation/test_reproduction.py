from __future__ import annotations

import numpy as np
import pytest

from e4_ros.energy.board_model import SegmentWork
from e4_ros.evaluation.simulation.reproduction import (
    GOVERNORS,
    LEARNED,
    TOP,
    Backbone,
    ExitTrace,
    Scene,
    rows,
)
from e4_ros.evaluation.simulation.reproduction_page import write_page
from e4_ros.evaluation.simulation.reproduction_summary import summarise
from e4_ros.perception.controllers import make_controller
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
    found = {row['policy']: row for row in rows(scene, None, lambda _: None)}
    assert set(found) >= {*GOVERNORS, 'fixed_pair', 'eenet_exits', 'e4_published', 'e4', 'e4_ideal'}
    e4, published, ideal = found['e4'], found['e4_published'], found['e4_ideal']
    assert e4['deadline_miss_percent'] == 0
    assert e4['energy_j_per_frame'] < found[TOP]['energy_j_per_frame']
    assert ideal['energy_j_per_frame'] <= e4['energy_j_per_frame'] * 1.001
    assert published['deadline_miss_percent'] > ideal['deadline_miss_percent'] == 0
    assert e4['agreement'] == 0.95
    assert found[TOP]['agreement'] == 1.0
    assert found['fixed_pair']['deadline_miss_percent'] == 0


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


def row(policy: str, energy_j: float, missed: float = 0.0) -> dict:
    return {
        'board': 'b',
        'backbone': 'n',
        'workload': 'steady',
        'policy': policy,
        'energy_j_per_frame': energy_j,
        'above_idle_j_per_frame': energy_j - 1.0,
        'deadline_miss_percent': missed,
    }


def table(**changed: dict) -> list[dict]:
    found = {name: row(name, 10.0) for name in GOVERNORS}
    found |= {f'{name}+exits': row(f'{name}+exits', 8.0) for name in GOVERNORS}
    found |= {
        'e4': row('e4', 5.0),
        'fixed_pair': row('fixed_pair', 7.0),
        'fixed_pair+exits': row('fixed_pair+exits', 6.0),
    }
    found |= changed
    return list(found.values())


def test_savings_are_split_between_exits_and_clocks():
    summary = summarise(table())
    assert summary['saving_vs_best_governor_percent'] == pytest.approx(50)
    assert summary['from_exits_percent'] == pytest.approx(20)
    assert summary['from_clocks_percent'] == pytest.approx(30)
    assert summary['best_fixed_pair_wins'] == []


def test_a_governor_that_is_late_more_often_is_no_rival():
    cheap_but_late = row('schedutil', 1.0, missed=50)
    assert summarise(table(schedutil=cheap_but_late)) == summarise(table())
    cheap_in_time = row('schedutil', 4.0)
    summary = summarise(table(schedutil=cheap_in_time))
    assert summary['saving_vs_best_governor_percent'] < 0


def test_a_fixed_pair_that_wins_is_named():
    fixed = row('fixed_pair+exits', 5.0)
    assert summarise(table(**{'fixed_pair+exits': fixed}))['best_fixed_pair_wins'] == [
        ['b', 'n', 'steady']
    ]


def test_the_page_needs_no_network(backbone, tmp_path):
    found = rows(Scene.of('jetson_tx2', backbone, 'steady'), None, lambda _: None)
    write_page(found, summarise(found), SETTINGS, tmp_path / 'page.html')
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


def test_the_environment_follows_gymnasiums_rules(backbone):
    pytest.importorskip('stable_baselines3', reason='the extra `reproduce` is not installed')
    from stable_baselines3.common.env_checker import check_env

    from e4_ros.evaluation.simulation.learned import ClockEnv

    scene = Scene.of('jetson_tx2', backbone, 'bursty')
    check_env(
        ClockEnv(scene.machine, lambda seed: scene.frames(full(50), seed), scene.period_s, 'ztt')
    )
