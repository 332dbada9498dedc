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
import onnxruntime as ort
import pytest
import torch
from onnx_exports import (
    CELLS,
    EndToEnd,
    NanoDet,
    WithNms,
    Yolov5,
    Yolov6,
    Yolov8,
    Yolox,
    export,
    recognised,
    ultralytics,
)
from torch import nn
from torchvision.ops import nms

from e4_ros.vision.onnx_file.families import family_of
from e4_ros.vision.onnx_file.read import OnnxFileError

NAMES = ('person', 'car', 'dog')
GIVEN = {'names': NAMES, 'names_from': 'names.txt'}


@pytest.mark.parametrize('decoded', [False, True])
def test_yolox_is_known_without_metadata_and_whether_its_grid_is_decoded(decoded):
    found = recognised(export(Yolox(3, decoded), ['output']), **GIVEN)
    assert found.family == 'yolox'
    assert found.decoder.kind == 'yolox'
    assert found.decoder.decoded is decoded
    assert found.decoder.classes == 3
    assert (found.preprocessing.channels, found.preprocessing.std[0]) == ('bgr', 1)
    assert (found.preprocessing.kind, found.preprocessing.centred) == ('letterbox', False)


def test_yolov8_with_metadata_needs_nothing_else():
    found = recognised(export(Yolov8(5), metadata=ultralytics(5)))
    assert found.family == 'yolov8'
    assert (found.decoder.kind, found.decoder.boxes) == ('yolo', 'cxcywh')
    assert not found.decoder.transposed
    assert found.class_names == tuple(f'thing{label}' for label in range(5))
    assert found.labels == ()
    assert found.preprocessing.centred
    assert found.preprocessing.std == (255, 255, 255)


def test_a_file_that_leaves_all_its_lengths_open_takes_those_of_its_metadata():
    model = export(
        Yolov8(3),
        metadata=ultralytics(3),
        dynamic_axes={
            'images': {0: 'batch', 2: 'height', 3: 'width'},
            'output0': {0: 'batch', 2: 'anchors'},
        },
    )
    found = recognised(model)
    assert found.decoder.kind == 'yolo'
    image = torch.rand(1, 3, 160, 160)
    np.testing.assert_allclose(answer(found, image), Yolov8(3)(image).detach(), atol=1e-3)


def test_yolov8_without_metadata_is_known_by_its_columns():
    assert recognised(export(Yolov8(3)), **GIVEN).decoder.kind == 'yolo'


def test_boxes_as_two_corners_are_seen_by_their_numbers():
    model = export(Yolov8(3, corners=True))
    found = recognised(model, family=family_of('yolo9'), **GIVEN)
    assert found.decoder.boxes == 'xyxy'
    assert not found.preprocessing.centred


def test_boxes_as_two_corners_of_an_unknown_exporter_bring_a_question_about_the_input():
    with pytest.raises(OnnxFileError, match=r'--family .* sidecar'):
        recognised(export(Yolov8(3, corners=True)), **GIVEN)


def test_libreyolos_place_of_the_frame_is_read_from_its_metadata():
    model = export(
        Yolov8(3, corners=True),
        metadata={
            'model_family': 'yolo9',
            'names': '{"0": "a", "1": "b", "2": "c"}',
            'letterbox_pad': 'center',
        },
    )
    assert recognised(model).preprocessing.centred


@pytest.mark.parametrize(('network', 'family'), [(Yolov5, 'yolov5'), (Yolov6, 'yolov6')])
def test_rows_with_objectness_are_told_from_those_without(network, family):
    found = recognised(export(network(3)), **GIVEN)
    assert (found.family, found.decoder.kind) == (family, 'yolo_objectness')
    assert found.decoder.classes == 3


def test_boxes_in_shares_of_the_image_are_seen_by_their_numbers():
    class Shares(Yolov5):
        def forward(self, x):
            return super().forward(x) / torch.tensor([160.0] * 4 + [1] * 4)

    assert recognised(export(Shares(3)), **GIVEN).decoder.relative
    assert not recognised(export(Yolov5(3)), **GIVEN).decoder.relative


def test_the_family_that_somebody_says_overrules_the_graph():
    assert recognised(export(Yolov5(3)), family=family_of('yolov7'), **GIVEN).family == 'yolov7'


def test_raw_maps_around_anchors_are_refused_with_what_to_do():
    with pytest.raises(OnnxFileError, match=r'anchors are not in the file.*--grid'):
        recognised(export(Yolov5(3, raw=True), ['a', 'b', 'c']), **GIVEN)


@pytest.mark.parametrize(('levels', 'centre'), [(3, 0.5), (4, 0.0)])
def test_nanodet_is_known_by_its_distributions(levels, centre):
    found = recognised(export(NanoDet(3, levels), ['output']), **GIVEN)
    assert (found.family, found.decoder.kind) == ('nanodet', 'distribution')
    assert (found.decoder.bins, len(found.decoder.strides)) == (7, levels)
    assert found.decoder.centre == centre
    assert found.preprocessing.channels == 'bgr'
    assert found.preprocessing.kind == ('stretch' if levels == 4 else 'letterbox')


def test_the_outputs_of_each_map_are_paired_by_their_rows():
    model = export(NanoDet(3, 3, joint=False), list('abcdef'))
    found = recognised(model, **GIVEN)
    assert not found.decoder.joint
    assert found.outputs['scores_8'] == 'a'
    assert found.outputs['sides_32'] == 'f'


def test_where_suppression_is_inside_the_rows_before_it_are_taken():
    network = Yolov8(3)
    found = recognised(export(WithNms(network), metadata=ultralytics(3, nms='True')))
    assert (found.family, found.decoder.kind) == ('yolov8', 'yolo')
    image = torch.rand(1, 3, 160, 160)
    np.testing.assert_allclose(answer(found, image), network(image).detach(), atol=1e-4)


def test_boxes_before_suppression_may_be_corners_whoever_exported_them():
    class Corners(WithNms):
        def forward(self, x):
            found = self.network(x)[0].T
            scores, labels = found[:, 4:].max(1)
            kept = nms(found[:, :4] + labels[:, None] * 8192.0, scores, 0.7)
            rows = [found[:, :4], scores[:, None], labels[:, None].float()]
            return torch.cat([torch.cat(rows, 1)[kept], torch.zeros(20, 6)])[:20].reshape(1, 20, 6)

    found = recognised(export(Corners(Yolov8(3, corners=True)), metadata=ultralytics(3)))
    assert (found.decoder.kind, found.decoder.boxes) == ('yolo', 'xyxy')
    assert found.preprocessing.centred


def test_the_rows_before_an_end_to_end_head_are_taken():
    network = Yolov5(3)
    model = export(EndToEnd(network), ['output'], dynamic_axes={'output': {0: 'boxes'}})
    found = recognised(model, **GIVEN)
    assert (found.family, found.decoder.kind) == ('yolov5', 'yolo_objectness')
    image = torch.rand(1, 3, 160, 160)
    np.testing.assert_allclose(answer(found, image), network(image).detach(), atol=1e-4)


def answer(found, image):
    from e4_ros.vision.onnx_edit import keep_outputs

    keep_outputs(found.model, found.outputs.values())
    session = ort.InferenceSession(found.model.SerializeToString())
    return session.run(None, {session.get_inputs()[0].name: image.numpy()})[0]


class WithMasks(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = Yolov8(3, 32)
        self.masks = nn.Conv2d(3, 32, 2, 2)

    def forward(self, x):
        return self.network(x), self.masks(x)


@pytest.mark.parametrize(
    ('network', 'outputs', 'what'),
    [
        (WithMasks(), ['output0', 'output1'], 'segmentation model'),
        (Yolov8(1, 51), ['output0'], 'pose model'),
        (Yolov8(3, 1), ['output0'], 'oriented boxes'),
    ],
)
def test_other_tasks_are_named_without_metadata(network, outputs, what):
    with pytest.raises(OnnxFileError, match=what):
        recognised(export(network, outputs), **GIVEN)


class Plain(nn.Module):
    """Rows for each cell, of whose columns the graph shows nothing."""

    def __init__(self, width):
        super().__init__()
        self.network = Yolov8(width - 4)
        self.mix = nn.Linear(width, width)

    def forward(self, x):
        return self.mix(self.network(x).permute(0, 2, 1)).sigmoid()


class Inside(nn.Module):
    """A network that takes pixel values and normalises them itself."""

    def __init__(self, network, mean):
        super().__init__()
        self.network = network
        self.register_buffer('mean', torch.tensor(mean).view(-1, 1, 1))

    def forward(self, x):
        return self.network((x - self.mean) / 255)


@pytest.mark.parametrize(
    ('mean', 'colour'),
    [((0.0,), 'rgb'), ((103.53, 116.28, 123.675), 'bgr'), ((123.675, 116.28, 103.53), 'rgb')],
)
def test_what_a_network_normalises_itself_is_not_done_twice(mean, colour):
    model = export(Inside(Yolov8(3), mean), metadata=ultralytics(3))
    found = recognised(model).preprocessing
    assert (found.mean, found.std, found.channels) == ((0, 0, 0), (1, 1, 1), colour)
    assert (found.kind, found.centred) == ('letterbox', True)


def test_whole_numbers_as_input_are_pixel_values():
    class Whole(Yolov8):
        def forward(self, x):
            return super().forward(x.float().permute(0, 3, 1, 2) * 1.0)

    model = export(Whole(3), shape=(1, 160, 160, 3), kind=torch.uint8, metadata=ultralytics(3))
    assert recognised(model).preprocessing.std == (1, 1, 1)


def test_where_nothing_tells_what_the_columns_are_the_family_is_asked_for():
    with pytest.raises(OnnxFileError, match=r'12 classes without objectness.*11 with it.*--family'):
        recognised(export(Plain(16)))


def test_class_scores_that_are_no_scores_are_not_taken_for_some():
    class Logits(Yolov8):
        def forward(self, x):
            return super().forward(x) * 10

    with pytest.raises(OnnxFileError, match='not between 0 and 1'):
        recognised(export(Logits(3)), family=family_of('yolov8'), **GIVEN)


def test_the_size_of_metadata_is_taken_where_the_file_leaves_it_open():
    model = export(
        Yolox(3), ['output'], metadata=ultralytics(3), dynamic_axes={'images': {2: 'h', 3: 'w'}}
    )
    assert recognised(model).preprocessing.size == (160, 160)
    assert f'{CELLS} cells' in recognised(model).notes[0]
