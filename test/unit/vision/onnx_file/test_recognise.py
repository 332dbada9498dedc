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

from pathlib import Path

import onnx
import pytest
import torch
from onnx_exports import NanoDet, Yolov8, Yolox, export, recognised, ultralytics
from torch import nn

from e4_ros.vision.onnx_file.coco import COCO
from e4_ros.vision.onnx_file.facts import Wishes, gather
from e4_ros.vision.onnx_file.families import FAMILIES, family_of
from e4_ros.vision.onnx_file.prepare import prepare
from e4_ros.vision.onnx_file.read import OnnxFileError, read_onnx
from e4_ros.vision.onnx_file.recognise import recognise

MODELS = Path(__file__).resolve().parents[5] / 'shared' / 'models'
real = pytest.mark.skipif(not MODELS.is_dir(), reason='the two real detectors are not here')
GIVEN = {'names': ('person', 'car', 'dog'), 'names_from': 'names.txt'}


def taken(path, **wishes):
    model = read_onnx(path)
    return recognise(prepare(model), gather(model, path, Wishes(**wishes)))


@real
def test_the_official_yolox_needs_nothing_but_its_file():
    found = taken(MODELS / 'yolox_nano_416.onnx')
    assert (found.family, found.decoder.decoded) == ('yolox', False)
    assert found.preprocessing.rounding == 'down', 'as its authors resize frames'
    assert found.class_names == COCO
    assert found.preprocessing.size == (416, 416)


@real
def test_the_official_deimv2_is_cut_before_its_postprocessor():
    found = taken(MODELS / 'deimv2_atto.onnx', names=MODELS / 'coco80.txt', input_size=(320, 320))
    assert found.decoder.kind == 'detr'
    assert found.class_names[0] == 'person'
    assert not any('postprocessor' in name for name in found.outputs.values())


def test_wishes_come_before_the_sidecar_and_the_sidecar_before_metadata(tmp_path):
    model = export(Yolov8(3), metadata=ultralytics(3))
    path = tmp_path / 'best.onnx'
    assert gather(model, path).names == ('thing0', 'thing1', 'thing2')
    (tmp_path / 'best.yaml').write_text('names: [a, b, c]\nclasses: [b]\ninput: {size: 320}\n')
    beside = gather(model, path)
    assert (beside.names, beside.classes, beside.size_if_open) == (
        ('a', 'b', 'c'),
        ('b',),
        (320, 320),
    )
    (tmp_path / 'own.txt').write_text('x\ny\nz\n')
    wishes = Wishes('yolov5', tmp_path / 'own.txt', ('z',), (96, 96))
    asked = gather(model, path, wishes)
    assert (asked.names, asked.classes, asked.input_size) == (('x', 'y', 'z'), ('z',), (96, 96))
    assert asked.family.name == 'yolov5'


def test_classes_that_are_wanted_keep_the_networks_labels():
    found = recognised(export(Yolov8(3)), classes=('dog', 'person'), **GIVEN)
    assert (found.class_names, found.labels) == (('person', 'dog'), (0, 2))


def test_all_classes_wanted_are_as_none_asked_for():
    found = recognised(export(Yolov8(3)), classes=('dog', 'car', 'person'), **GIVEN)
    assert (found.class_names, found.labels) == (('person', 'car', 'dog'), ())


def test_no_class_left_and_unknown_ones_are_refused():
    with pytest.raises(OnnxFileError, match='no class is left'):
        recognised(export(Yolov8(3)), classes=(' ',), **GIVEN)
    with pytest.raises(OnnxFileError, match=r"no class 'cat' \(near: car\)"):
        recognised(export(Yolov8(3)), classes=('cat',), **GIVEN)


@pytest.mark.parametrize(('names', 'many'), [('ab', 'few'), ('abcd', 'many')])
def test_names_that_do_not_fit_are_refused_with_both_numbers(names, many):
    facts = {'names': tuple(names), 'names_from': 'names.txt'}
    with pytest.raises(OnnxFileError, match=f'too {many} class names: names.txt has .* 3 classes'):
        recognised(export(Yolov8(3)), **facts)


def test_names_are_asked_for_and_damage_is_said():
    model = export(Yolov8(3), metadata={'names': 'rubbish ['})
    with pytest.raises(
        OnnxFileError, match=r'names of its 3 classes.*cannot be read.*--names FILE'
    ):
        recognised(model)


def test_eighty_classes_without_names_are_cocos_and_that_is_said():
    found = recognised(export(Yolox(80), ['output']))
    assert found.class_names == COCO
    assert any("COCO's are taken" in note for note in found.notes)


def test_notes_say_family_input_and_names():
    notes = recognised(export(NanoDet(3), ['output']), **GIVEN).notes
    assert notes[0].startswith('NanoDet: output is 1×534×35')
    assert notes[1].startswith('input 160×160 (H×W), stretched, BGR, mean')
    assert notes[2] == '3 class names from names.txt'


@pytest.mark.parametrize(
    ('task', 'what'),
    [('segment', 'segmentation'), ('pose', 'pose'), ('obb', 'oriented'), ('depth', "'depth'")],
)
def test_other_tasks_are_refused_by_their_metadata(task, what):
    with pytest.raises(OnnxFileError, match=what):
        recognised(export(Yolov8(3), metadata=ultralytics(3, task)))


class Classifier(nn.Module):
    def __init__(self, classes, softmax=False):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)
        )
        self.softmax = softmax

    def forward(self, x):
        found = self.layers(x)
        return found.softmax(1) if self.softmax else found


def test_a_classifier_without_names_is_called_one():
    with pytest.raises(OnnxFileError, match=r'it is a classifier.*no boxes.*--names'):
        recognised(export(Classifier(7)))


def test_a_classifier_with_names_is_taken_before_its_softmax():
    found = recognised(export(Classifier(3, softmax=True)), **GIVEN)
    assert (found.task, found.decoder.kind) == ('classify', 'softmax')
    assert found.preprocessing.kind == 'centre_crop'
    assert found.outputs['logits'] != 'output0'


def test_a_thousand_classes_are_imagenets():
    found = recognised(export(Classifier(1000)))
    assert found.class_names[0] == 'tench'
    assert len(found.class_names) == 1000


def test_ultralytics_classifiers_are_not_normalised():
    found = recognised(export(Classifier(3), metadata=ultralytics(3, 'classify')))
    assert (found.preprocessing.mean, found.preprocessing.std[0]) == ((0, 0, 0), 255)


def test_a_batch_of_four_is_refused():
    with pytest.raises(OnnxFileError, match='4 images at once'):
        recognised(export(Yolox(3), ['output'], (4, 3, 160, 160)), **GIVEN)


def test_half_precision_is_read_and_answered_in_single():
    model = export(Yolox(3).half(), ['output'], kind=torch.float16)
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    found = recognised(model, **GIVEN)
    assert found.family == 'yolox'
    kinds = {each.data_type for each in found.model.graph.initializer}
    assert onnx.TensorProto.FLOAT16 not in kinds
    assert onnx.TensorProto.FLOAT in kinds


def test_an_answer_that_makes_no_sense_is_refused():
    class Broken(Yolox):
        def forward(self, x):
            return super().forward(x) / 0.0

    with pytest.raises(OnnxFileError, match='not between 0 and 1'):
        recognised(export(Broken(3), ['output']), **GIVEN)


def test_an_unknown_family_is_refused_with_the_near_ones():
    with pytest.raises(OnnxFileError, match=r"called 'yolo_x2' here \(near: .*yolox"):
        family_of('yolo_x2')
    with pytest.raises(OnnxFileError, match='there are yolox, yolov5'):
        family_of('zzz')


@pytest.mark.parametrize('name', ['YOLO11', 'yolov9', 'RT-DETR', 'rt_detr', 'DETR', 'yolo26'])
def test_families_have_their_usual_names(name):
    assert family_of(name) in FAMILIES.values()


def test_a_family_of_an_exporter_that_nobody_knows_is_asked_for(tmp_path):
    model = export(Yolov8(3), metadata={'model_family': 'centernet', 'names': "['a', 'b', 'c']"})
    with pytest.raises(
        OnnxFileError, match=r"family 'centernet', which nobody here knows.*--family"
    ):
        gather(model, tmp_path / 'a.onnx')
    assert gather(model, tmp_path / 'a.onnx', Wishes(family='yolov8')).family.name == 'yolov8'
