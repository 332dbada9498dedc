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

"""`e4 bench start`, `frame` and `ros`: real processes, short runs, the promised JSON."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip('rclpy')

from e4_ros.benchmarks.ros import arrival, soak


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


def test_every_image_that_is_sent_reliably_comes():
    stay = arrival.send(1.0, (640, 480), 15.0)
    assert 0 <= stay.sent - stay.received <= 2  # as many as the discovery of both sides takes
    assert stay.processed > 0
    assert not stay.warned
    assert len(stay.end_to_end_ms) == stay.processed
    assert all(
        whole > engine > 0 for whole, engine in zip(stay.end_to_end_ms, stay.engine_ms, strict=True)
    )


def test_every_image_is_counted_whatever_is_killed_or_switched_off():
    found = soak.measure(0.2, kill_s=4.0, cycle_s=5.0)
    assert found['received'] == found['processed'] + found['dropped'] > 0
    assert found['received'] + found['lost_counted'] <= found['sent']
    assert found['kills'] == 3
    assert found['cycles'] >= 1
