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

"""Where frames lie in a network's input: what is drawn in one is found in the other."""

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from e4_ros.vision.detections import Detections
from e4_ros.vision.models.preprocessing import CentreCrop, Letterbox, Preprocessing, Stretch
from e4_ros.vision.training.augment import plain_view

AS_IT_IS = {'mean': (0, 0, 0), 'std': (1, 1, 1)}
FRAMES = [(479, 641), (640, 480), (97, 333), (720, 1280), (31, 29)]
KINDS = [
    Stretch(size=(300, 320), **AS_IT_IS),
    Letterbox(size=(416, 416), centred=False, **AS_IT_IS),
    Letterbox(size=(416, 416), centred=True, **AS_IT_IS),
    Letterbox(size=(320, 640), centred=True, pad=0, **AS_IT_IS),
    CentreCrop(size=(224, 224), shorter_side=256, **AS_IT_IS),
]


def drawn(frame_shape):
    """A white box on black, in the frame's middle, and the box."""
    height, width = frame_shape
    box = np.array([width * 3 // 8, height // 3, width * 5 // 8, height * 3 // 4])
    frame = np.zeros((height, width, 3), np.uint8)
    frame[box[1] : box[3], box[0] : box[2]] = 255
    return frame, box


def edges(profile):
    """Where a profile rises from black to white and falls again, to a fraction of a pixel."""
    inside = np.flatnonzero(profile > 127.5)
    first, last = inside[0], inside[-1]
    rise = (255 - profile[first]) / 255 + profile[first - 1] / -255
    fall = profile[last + 1] / 255 - (255 - profile[last]) / 255
    return first + rise, last + 1 + fall


@pytest.mark.parametrize('shape', FRAMES)
@pytest.mark.parametrize('prepare', KINDS, ids=repr)
def test_a_box_that_is_drawn_comes_back_within_a_pixel(prepare, shape):
    frame, box = drawn(shape)
    image = prepare(frame)[0, 0]
    placement = prepare.place(frame.shape)
    inner = ((box.reshape(2, 2)) * placement.scale + placement.offset).mean(0).astype(int)
    (x0, x1), (y0, y1) = edges(image[inner[1]]), edges(image[:, inner[0]])
    back = placement.to_frame(np.array([[x0, y0, x1, y1]], np.float32))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back[0], box, atol=0.99)


@pytest.mark.parametrize(('rounding', 'rows'), [('nearest', 177), ('down', 176)])
def test_a_side_of_a_letterbox_becomes_whole_as_the_networks_authors_do_it(rounding, rows):
    prepare = Letterbox(size=(416, 416), centred=False, rounding=rounding, **AS_IT_IS)
    frame = np.full((272, 640, 3), 250, np.uint8)  # 176.8 rows
    drawn = (prepare(frame)[0] == 250).all((0, 2))
    assert np.count_nonzero(drawn) == rows
    assert prepare.place(frame.shape).scale == (416 / 640, rows / 272)


@pytest.mark.parametrize('centred', [False, True])
def test_a_letterbox_keeps_ratios_and_fills_the_rest(centred):
    prepare = Letterbox(size=(416, 416), centred=centred, **AS_IT_IS)
    image = prepare(np.full((100, 201, 3), 250, np.uint8))[0]
    assert image.shape == (3, 416, 416)
    rows = np.flatnonzero((image == 250).all((0, 2)))
    assert len(rows) == 207  # 100 * 416 / 201
    assert rows[0] == (104 if centred else 0)
    assert (np.delete(image, rows, 1) == 114).all()


def test_channels_are_swapped_and_normalised_with_the_border():
    prepare = Letterbox(
        size=(8, 8), centred=False, mean=(10, 20, 30), std=(2, 4, 8), channels='bgr'
    )
    image = prepare(np.full((4, 8, 3), (70, 60, 50), np.uint8))[0]
    assert image[:, 0, 0].tolist() == [(50 - 10) / 2, (60 - 20) / 4, (70 - 30) / 8]
    assert image[:, 7, 0].tolist() == [(114 - 10) / 2, (114 - 20) / 4, (114 - 30) / 8]


def test_boxes_are_clipped_to_the_frame():
    placement = Letterbox(size=(64, 64), centred=True, **AS_IT_IS).place((20, 40, 3))
    everything = placement.to_frame(np.array([[-9.0, -9, 99, 99]]))
    assert everything.tolist() == [[0, 0, 40, 20]]


def test_what_is_found_beside_the_frame_is_left_out():
    placement = Letterbox(size=(64, 64), centred=True, **AS_IT_IS).place((20, 40, 3))
    boxes = np.array([[0, 0, 64, 10], [0, 0, 64, 24], [10, 20, 20, 30]], np.float32)
    found = placement.detections(boxes, np.array([0.9, 0.5, 0.7]), np.array([1, 2, 3]))
    assert found.labels.tolist() == [3, 2]
    np.testing.assert_allclose(found.boxes[1], [0, 0, 40, 5], atol=1e-4)


@pytest.mark.parametrize('prepare', KINDS, ids=repr)
def test_exits_learn_boxes_where_the_network_sees_them(prepare):
    frame, box = drawn((300, 500))
    (box_there,) = (
        plain_view(prepare.place(frame.shape))
        .detections(Detections.of(box[None], np.ones(1)), prepare.size)
        .boxes
    )
    image = prepare(frame)[0, 0]
    rows, columns = np.nonzero(image > 127.5)
    there = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(box_there, there, atol=1)


def test_a_file_may_hold_each_kind():
    adapter = TypeAdapter(Preprocessing)
    for prepare in KINDS:
        assert adapter.validate_json(prepare.model_dump_json()) == prepare
    with pytest.raises(ValidationError, match='less than or equal to 255'):
        Letterbox(size=(64, 64), centred=True, pad=256, **AS_IT_IS)
