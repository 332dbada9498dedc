from __future__ import annotations

import pytest

from e4_ros.benchmarks.exits.frontier import best, compare, front_of, no_loss, quality_at


def point(cost: float, quality: float, early: float = 0.5, setting: float = 0.5) -> dict:
    return {
        'setting': setting, 'speedup': 1 / cost, 'f1_reference': quality, 'early_share': early,
    }  # fmt: skip


def test_front_drops_what_another_setting_beats():
    points = [point(0.5, 0.8), point(0.25, 0.6), point(0.5, 0.7), point(0.8, 0.75)]
    assert front_of(points) == [(0.25, 0.6), (0.5, 0.8)]


def test_quality_between_settings_lies_on_the_line():
    front = [(0.25, 0.6), (0.5, 0.8)]
    assert quality_at(front, 0.375) == pytest.approx(0.7)
    assert quality_at(front, 0.25) == 0.6
    assert quality_at(front, 0.5) == 0.8


def test_quality_beyond_the_ends():
    front = [(0.25, 0.6), (0.5, 0.8)]
    assert quality_at(front, 0.9) == 0.8
    assert quality_at(front, 0.2) is None
    assert quality_at([], 0.5) is None


def test_compare_at_equal_cost():
    curves = {
        'cascade': [point(0.25, 0.6), point(0.5, 0.8)],
        'hold': [point(0.375, 0.69), point(0.375, 0.71), point(0.1, 0.3)],
    }
    found = compare(curves)
    assert list(found) == ['hold']
    assert [p['beaten'] for p in found['hold']] == [True, False, False]
    assert found['hold'][0]['cascade'] == pytest.approx(0.7)
    assert found['hold'][2]['cascade'] is None


def test_a_tie_is_no_win():
    curves = {'cascade': [point(0.5, 0.8)], 'hold': [point(0.5, 0.8)]}
    assert not compare(curves)['hold'][0]['beaten']


def test_a_setting_that_is_the_full_network_is_not_compared():
    curves = {'cascade': [point(0.5, 0.8)], 'no_memory': [point(1.0, 0.75, early=0)]}
    assert compare(curves) == {'no_memory': []}


def test_no_loss_and_best():
    points = [point(0.2, 0.7), point(0.4, 0.75), point(0.5, 0.85), point(1.2, 0.9)]
    fastest, finest = no_loss(points, 0.75), best(points)
    assert fastest is points[1]
    assert finest is points[2]
    assert no_loss(points, 0.95) is None
    assert best(points[3:]) is None
