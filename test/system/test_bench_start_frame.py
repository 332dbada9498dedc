"""`e4 bench start`, `frame` and `ros`: real processes, short runs, the promised JSON."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip('rclpy')


def bench(name, out, *words):
    command = [sys.executable, '-m', 'e4_ros.cli', 'bench', name, '--json', out, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text()), done.stdout


def test_perception_starts_without_what_a_robot_need_not_have(tmp_path):
    result, said = bench('start', tmp_path / 'start.json', '--rounds', '1', '--seconds', '2')
    assert result['modules'] == []
    assert 'torch, torchvision, av, rosbags: kept' in said
    assert 0 < result['visible_s'] < result['first_detection_s']
    assert result['ratio'] == pytest.approx(result['first_detection_s'] / result['bare_s'])
    assert 0 < result['rss_mb']['perception'] <= 250
    assert 0 < result['rss_mb']['daemon'] < 250
    assert str(tmp_path) not in json.dumps(result)


def test_every_exit_is_timed_with_every_number_of_objects(tmp_path):
    result, _ = bench('frame', tmp_path / 'frame.json', '--frames', '5', '--seconds', '1')
    rows = {(row['exit'], row['objects'], row['size']): row for row in result['frames']}
    assert set(rows) == {
        (name, objects, size)
        for name in ('track', 'full')
        for objects in (0, 5, 20, 100)
        for size in ('640x480', '1920x1080')
    }
    for (name, *_), row in rows.items():
        parts = row['parts_us']
        assert row['outside_us'] > 0
        assert {'convert', 'flow', 'joules', 'record', 'message', 'publish'} <= set(parts)
        assert ('stage0' in parts) == (name == 'full')
    assert result['nms_us']['100'] > 0
    assert result['around_engine_ms']['images'] > 5


def test_two_cameras_are_compared_with_one_and_with_each_other(tmp_path):
    result, said = bench('ros', tmp_path / 'ros.json', '--part', 'cameras', '--quick')
    assert 'obstacles' not in result
    cameras = result['cameras']
    memory = cameras['rss_mb']
    assert cameras['rss_ratio'] == pytest.approx(memory['two'] / memory['one'], rel=0.01)
    taken = cameras['overload']['answered_since_both_send']
    assert set(taken) == {'front', 'rear'}
    assert cameras['share_ratio'] == pytest.approx(max(taken.values()) / min(taken.values()), 0.01)
    assert cameras['share_ratio'] >= 1
    assert all(0 < share <= 1 for share in cameras['answered'].values())
    assert 'bar 1.15' in said
