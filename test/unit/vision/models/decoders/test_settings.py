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

"""Decoders as fields of a file: each comes back as it was, and nothing else is taken."""

import pytest
from pydantic import TypeAdapter, ValidationError

from e4_ros.vision.models import decoders
from e4_ros.vision.models.decoders import Decoder, SsdSoftmaxDecoder, YoloxDecoder

ADAPTER = TypeAdapter(Decoder)
KINDS = [make for name in decoders.__all__ if isinstance(make := getattr(decoders, name), type)]
NEEDED = {
    SsdSoftmaxDecoder: {'maps': ((2, 3),), 'scales': (0.2, 0.5), 'aspect_ratios': ((2.0, 3.0),)}
}


def made(kind):
    classes = {'classes': 3} if 'classes' in kind.model_fields else {}
    return kind(**classes, **NEEDED.get(kind, {}))


@pytest.mark.parametrize('kind', KINDS)
def test_each_comes_back_from_a_file(kind):
    decoder = made(kind)
    assert ADAPTER.validate_json(ADAPTER.dump_json(decoder)) == decoder
    assert decoder.output_names
    assert callable(decoder.for_input((64, 96)))


def test_each_kind_is_one_of_its_own():
    assert len({made(kind).kind for kind in KINDS}) == len(KINDS) >= 14


@pytest.mark.parametrize(
    ('fields', 'words'),
    [
        ({'kind': 'yolo99'}, 'yolo99'),
        ({'kind': 'yolox'}, 'classes'),
        ({'kind': 'yolox', 'classes': 0}, 'greater than 0'),
        ({'kind': 'yolox', 'classes': 3, 'stride': 8}, 'stride'),
        ({'kind': 'yolo', 'classes': 3, 'boxes': 'xywh'}, 'cxcywh'),
    ],
)
def test_other_settings_are_refused(fields, words):
    with pytest.raises(ValidationError, match=words):
        ADAPTER.validate_python(fields)


def test_settings_are_compared_by_value():
    assert YoloxDecoder(classes=3) == YoloxDecoder(classes=3) != YoloxDecoder(classes=4)
