from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from e4_ros.energy.board_model import SegmentWork
from e4_ros.energy.boards import load_board
from e4_ros.evaluation.simulation.governors import Governors, Planned
from e4_ros.evaluation.simulation.machine import Frame, Machine
from e4_ros.evaluation.simulation.playback import play
from e4_ros.profiling.planning.delays import play_frame, slowest_path_s
from e4_ros.profiling.planning.objective import SwitchCost, make_problem
from e4_ros.profiling.planning.planner import search
from e4_ros.profiling.planning.search import best_fixed

WORKS = [
    SegmentWork('prepare', 0, 1.35e6, 8, 'cpu'),
    SegmentWork('stage0', 300e6, 70e6, 30),
    SegmentWork('stage1', 300e6, 70e6, 30),
]
PATHS = {'temporal': [0], 'exit1': [0, 1], 'full': [0, 1, 2]}


def machine(board: str = 'jetson_nano', switch: SwitchCost | None = None) -> Machine:
    return Machine.of(load_board(board), WORKS, 'net', switch=switch)


def frames(count: int, period_s: float, depth: int = 3) -> list[Frame]:
    return [Frame(i * period_s, depth) for i in range(count)]


def test_a_fixed_point_costs_what_the_table_says():
    m = machine()
    p = 37
    period_s = 2 * m.table.latency_s[:, p].sum()
    played = play(
        m, frames(10, period_s), Planned([tuple(m.table.coordinates[p])] * 3), 1.0, 10 * period_s
    )
    latency_s = m.table.latency_s[:, p].sum()
    assert played.latency_s == pytest.approx([latency_s] * 10)
    joules = m.table.energy_j[:, p].sum() + m.idle_w[p] * (period_s - latency_s)
    assert played.energy_j_per_frame == pytest.approx(joules)
    assert played.switches == 0


def test_a_switch_takes_effect_late_and_costs_its_stall():
    m = machine(switch=SwitchCost((1e-3, 2e-3), (5e-3, 8e-3)))
    slow, fast = (3, 2), (14, 11)
    numbers = [int(np.dot(c, m.table.strides)) for c in (slow, fast, fast)]
    row = np.array(numbers)
    mixed_cpu = int(np.dot((14, 2), m.table.strides))
    seconds, _ = play_frame(m.table, m.switch, [0, 1], row)
    t = m.table.latency_s
    first = t[0, numbers[0]]
    # 3 ms of stall run as pauses, then the old point, then the CPU's, then the GPU's new clock.
    # The GPU is asked after the CPU's stall of 1 ms.
    done = (5e-3 - 3e-3) / t[1, numbers[0]] + 4e-3 / t[1, mixed_cpu]
    expected = first + 9e-3 + (1 - done) * t[1, numbers[1]]
    assert seconds == pytest.approx(expected, rel=1e-9)


def test_one_frame_and_the_timeline_agree_without_stalls():
    m = machine('jetson_tx2', SwitchCost((0.0, 0.0), (1e-3, 5e-3)))
    clocks = [(2, 3), (11, 12), (5, 6)]
    points = np.array([int(np.dot(c, m.table.strides)) for c in clocks])
    seconds, joules = play_frame(m.table, m.switch, [0, 1, 2], points)
    played = play(m, [Frame(0.0, 3)], Planned(clocks), 1.0, 0.0)
    assert played.latency_s[0] == pytest.approx(seconds, rel=1e-9)
    assert played.energy_j_per_frame == pytest.approx(joules, rel=1e-9)


@pytest.mark.parametrize('board', ['jetson_nano', 'jetson_xavier_nx', 'jetson_agx_orin'])
@pytest.mark.parametrize('slack', [1.2, 2.0, 3.0])
def test_what_the_planner_promises_holds_when_played(board, slack):
    m = machine(board)
    shares = {'temporal': 0.6, 'exit1': 0.1, 'full': 0.3}
    problem = make_problem(m.table, PATHS, shares, 0, m.switch, float(m.idle_w.min()))
    problem = replace(problem, deadline_s=slack * problem.fastest_s)
    found = search(problem)
    assert slowest_path_s(problem, found.points) <= problem.deadline_s * (1 + 1e-9)
    assert found.energy_j <= best_fixed(problem).energy_j * (1 + 1e-9)


def test_governors_follow_the_load():
    m = machine('jetson_nano')
    fastest_s = float(m.table.latency_s.sum(axis=0).min())

    def joules(cpu: str, gpu: str, period_s: float) -> tuple[float, float]:
        played = play(m, frames(150, period_s), Governors(cpu, gpu), 1.0, 150 * period_s)
        return played.energy_j_per_frame, float(np.median(played.latency_s))

    quiet = 4 * fastest_s
    top_j, top_s = joules('performance', 'performance', quiet)
    governed_j, governed_s = joules('schedutil', 'nvhost_podgov', quiet)
    assert governed_j < top_j
    assert governed_s > top_s == pytest.approx(fastest_s)
    _, low_s = joules('powersave', 'powersave', 60 * fastest_s)
    assert low_s > 2 * governed_s


def test_a_busy_board_heats_and_a_waiting_one_cools():
    m = machine('jetson_xavier_nx')
    policy = Planned([m.top()] * 3)
    fastest_s = float(m.table.latency_s.sum(axis=0).min())
    busy = play(m, frames(3000, fastest_s), policy, 1.0, 0.0)
    quiet = play(m, frames(300, 10 * fastest_s), policy, 1.0, 0.0)
    assert busy.peak_c > quiet.peak_c > 25


def test_frames_queue_when_the_board_is_too_slow():
    m = machine()
    lowest = Planned([(0, 0)] * 3)
    period_s = 0.5 * float(m.table.latency_s[:, 0].sum())
    played = play(m, frames(10, period_s), lowest, period_s, 0.0)
    assert (np.diff(played.latency_s) > 0).all()
    assert played.miss_percent(period_s) == 100


@pytest.mark.parametrize('board', ['jetson_nano', 'jetson_orin_nano', 'jetson_agx_orin'])
def test_a_verified_plan_is_never_late_on_the_timeline(board):
    """Frames of any exit in any order, back to back: one a deadline."""
    m = machine(board)
    shares = {'temporal': 0.5, 'exit1': 0.2, 'full': 0.3}
    problem = make_problem(m.table, PATHS, shares, 0, m.switch, float(m.idle_w.min()))
    problem = replace(problem, deadline_s=1.5 * problem.fastest_s)
    found = search(problem)
    depths = np.random.default_rng(5).choice([1, 2, 3], 300, p=[0.5, 0.2, 0.3])
    stream = [Frame(i * problem.deadline_s, int(d)) for i, d in enumerate(depths)]
    clocks = [tuple(c) for c in m.table.coordinates[found.points]]
    played = play(m, stream, Planned(clocks), problem.deadline_s, 0.0)
    assert played.miss_percent(problem.deadline_s * (1 + 1e-9)) == 0
