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

"""The transform buffer: over chains and time, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from e4_ros.perception.obstacles import NotYet, Pose, TransformBuffer, TransformError

S = 10**9
NONE = (0.0, 0.0, 0.0, 1.0)


def about_z(degrees: float) -> tuple[float, float, float, float]:
    half = np.radians(degrees) / 2
    return 0.0, 0.0, float(np.sin(half)), float(np.cos(half))


@pytest.fixture
def robot() -> TransformBuffer:
    """A robot that drives ahead at 1 m/s and turns by 90 degrees a second, with a camera on it."""
    buffer = TransformBuffer()
    buffer.add('base', 'camera', 0, (0.5, 0, 1), NONE, is_static=True)
    for second in range(5):
        buffer.add('odom', 'base', second * S, (second, 0, 0), about_z(90 * second))
    return buffer


def test_a_chain_of_frames_is_followed_at_the_images_time(robot):
    assert np.allclose(robot.lookup('odom', 'camera', S).apply(np.zeros(3)), [1, 0.5, 1])
    assert np.allclose(robot.lookup('camera', 'odom', S).apply(np.array([1, 0.5, 1.0])), 0)
    assert np.allclose(robot.lookup('base', 'camera', 99 * S).translation, [0.5, 0, 1])


def test_between_two_transforms_it_goes_straight_and_turns_evenly(robot):
    pose = robot.lookup('odom', 'base', S + S // 3)
    assert np.allclose(pose.translation, [4 / 3, 0, 0])
    assert np.allclose(pose.apply(np.array([1.0, 0, 0])) - pose.translation,
                       [np.cos(np.radians(120)), np.sin(np.radians(120)), 0])  # fmt: skip


def test_it_turns_the_shorter_way_round():
    buffer = TransformBuffer()
    buffer.add('a', 'b', 0, (0, 0, 0), about_z(10))
    buffer.add('a', 'b', S, (0, 0, 0), tuple(-x for x in about_z(30)))  # the same rotation
    pose = buffer.lookup('a', 'b', S // 2)
    assert np.allclose(np.degrees(np.arctan2(*pose.rotation[1::-1, 0])), 20)


def test_two_branches_meet_in_their_common_parent():
    buffer = TransformBuffer()
    buffer.add('map', 'odom', 0, (10, 0, 0), NONE, is_static=True)
    buffer.add('map', 'dock', 0, (0, 5, 0), NONE, is_static=True)
    assert np.allclose(buffer.lookup('dock', 'odom', 0).translation, [10, -5, 0])
    assert np.allclose(buffer.lookup('/dock', '/dock', 0).translation, 0)


def test_a_time_that_is_not_there_yet_may_come(robot):
    with pytest.raises(NotYet, match=r'odom → base is 1.000 s older than the image'):
        robot.lookup('odom', 'camera', 5 * S)
    robot.add('odom', 'base', 5 * S, (7, 0, 0), NONE)
    assert np.allclose(robot.lookup('odom', 'base', 5 * S).translation, [7, 0, 0])


def test_a_late_transform_finds_its_place(robot):
    robot.add('odom', 'base', 3 * S + S // 2, (100, 0, 0), NONE)
    assert np.allclose(robot.lookup('odom', 'base', 3 * S + S // 2).translation, [100, 0, 0])
    assert np.allclose(robot.lookup('odom', 'base', 4 * S).translation, [4, 0, 0])


def test_what_is_older_than_the_cache_is_forgotten():
    buffer = TransformBuffer(cache_s=2)
    for second in range(10):
        buffer.add('a', 'b', second * S, (second, 0, 0), NONE)
    assert buffer.lookup('a', 'b', 7 * S).translation[0] == 7
    with pytest.raises(TransformError, match='newer than the image') as refusal:
        buffer.lookup('a', 'b', 6 * S)
    assert not isinstance(refusal.value, NotYet)


def test_a_clock_that_jumps_back_begins_anew(robot):
    robot.add('odom', 'base', 2 * S, (50, 0, 0), NONE)
    assert np.allclose(robot.lookup('odom', 'base', 2 * S).translation, [50, 0, 0])
    with pytest.raises(NotYet):
        robot.lookup('odom', 'base', 4 * S)
    robot.clear()
    with pytest.raises(TransformError, match='nobody sends a transform'):
        robot.lookup('odom', 'camera', 2 * S)
    assert robot.lookup('base', 'camera', 0).translation[2] == 1


def test_a_frame_that_gets_another_parent_begins_anew(robot):
    robot.add('lift', 'base', 4 * S, (0, 0, 3), NONE)
    with pytest.raises(TransformError, match="nobody sends a transform of the frame 'odom'"):
        robot.lookup('odom', 'camera', 4 * S)
    assert robot.lookup('lift', 'camera', 4 * S).translation[2] == 4


def test_frames_that_are_their_own_parents_are_named():
    buffer = TransformBuffer()
    for parent, child in (('a', 'b'), ('b', 'c'), ('c', 'a')):
        buffer.add(parent, child, 0, (0, 0, 0), NONE)
    with pytest.raises(TransformError, match='a → c → b → a are a loop'):
        buffer.lookup('odom', 'a', 0)


def test_frames_that_are_not_connected_are_named(robot):
    robot.add('map', 'dock', 0, (0, 0, 0), NONE)
    with pytest.raises(TransformError, match="no transforms connect the frames 'camera' and 'map'"):
        robot.lookup('map', 'camera', 0)
    with pytest.raises(TransformError, match="nobody sends a transform of the frame 'cam'"):
        robot.lookup('odom', 'cam', 0)


@pytest.mark.parametrize(
    ('parent', 'child', 'translation', 'quaternion', 'says'),
    [
        ('', 'b', (0, 0, 0), NONE, 'means nothing'),
        ('a', '/a', (0, 0, 0), NONE, 'means nothing'),
        ('a', 'b', (0, np.nan, 0), NONE, 'not finite'),
        ('a', 'b', (0, 0, 0), (0, 0, 0, 0), 'is no rotation'),
        ('a', 'b', (0, 0, 0), (0, 0, np.nan, 1), 'is no rotation'),
    ],
)
def test_what_is_no_transform_is_refused(parent, child, translation, quaternion, says):
    with pytest.raises(TransformError, match=says):
        TransformBuffer().add(parent, child, 0, translation, quaternion)


def test_a_camera_that_is_mounted_looking_down_sees_the_ground_ahead():
    pose = Pose.of_camera(1, 2, 0.5, 0, np.radians(45), np.radians(90))
    assert np.allclose(pose.apply(np.array([0, 0, 0.5 * np.sqrt(2)])), [1, 2.5, 0])
    right = pose.rotation @ np.array([1.0, 0, 0])
    assert np.allclose(right, [1, 0, 0])
    there = pose.after(pose.inverse())
    assert np.allclose(there.rotation, np.eye(3))
    assert np.allclose(there.translation, 0)
