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

"""Answers as messages: with the ids and velocities of tracks, and without where nobody tracks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('e4_ros.msg', reason='the package is not built: make build')

from std_msgs.msg import Header

from e4_ros.nodes import conversions
from e4_ros.vision.detections import Detections

PLAIN = Detections.of(np.array([[1, 2, 31, 42], [5, 5, 9, 9]]), np.array([0.9, 0.4]))
TRACKED = replace(
    PLAIN, ids=np.array([7, 2**40]), velocities=np.array([[12.5, -3], [0, 0]], np.float32)
)


def messages(detections):
    header = Header(frame_id='front')
    return conversions.to_detections(detections, header, 'm', 'detect', ['person']).detections


def test_a_detection_has_the_id_and_the_velocity_of_its_track():
    first, second = messages(TRACKED)
    assert (first.track_id, second.track_id) == (7, 2**40)
    assert list(first.velocity) == [12.5, -3.0]
    assert list(second.velocity) == [0.0, 0.0]


def test_without_tracks_there_is_no_id_and_no_velocity_that_could_be_taken_for_one():
    for message in messages(PLAIN):
        assert message.track_id == 0
        assert np.isnan(message.velocity).all()


def test_the_size_of_the_image_is_said_where_it_is_known():
    header = Header()
    plain = conversions.to_detections(PLAIN, header, 'm', 'detect', ['person'])
    assert (plain.image_width, plain.image_height) == (0, 0)
    sized = conversions.to_detections(PLAIN, header, 'm', 'detect', ['person'], (640, 480))
    assert (sized.image_width, sized.image_height) == (640, 480)


def test_an_answer_without_objects_is_an_empty_message():
    assert messages(Detections.empty()) == []


@pytest.mark.skipif(
    conversions.Detection2DArray is None, reason='vision_msgs is not among the wheels'
)
def test_vision_msgs_carry_the_id_as_text():
    array = conversions.to_detection_2d_array(TRACKED, Header(frame_id='front'), ['person'])
    assert [found.id for found in array.detections] == ['7', str(2**40)]
    plain = conversions.to_detection_2d_array(PLAIN, Header(frame_id='front'), ['person'])
    assert [found.id for found in plain.detections] == ['', '']


@pytest.mark.skipif(
    conversions.Detection2DArray is None, reason='vision_msgs is not among the wheels'
)
def test_the_label_info_names_the_classes():
    info = conversions.to_label_info(Header(), ['person', 'dog'], 0.5)
    assert [(c.class_id, c.class_name) for c in info.class_map] == [(0, 'person'), (1, 'dog')]
    assert info.threshold == 0.5
