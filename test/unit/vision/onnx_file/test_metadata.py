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

import os

import onnx
import pytest

from e4_ros.vision.onnx_file.metadata import as_names, read_metadata


def metadata(**entries):
    model = onnx.ModelProto()
    onnx.helper.set_model_props(model, entries)
    return read_metadata(model)


def test_a_file_without_metadata_says_nothing():
    found = metadata()
    assert (found.names, found.family, found.task, found.size) == ((), '', '', None)
    assert found.problems == ()


def test_ultralytics_names_are_read_as_a_literal():
    found = metadata(
        names="{0: 'person', 1: 'driver\\'s cab'}", imgsz='[480, 640]', task='detect', stride='32'
    )
    assert found.names == ('person', "driver's cab")
    assert found.size == (480, 640)
    assert (found.exporter, found.task) == ('ultralytics', 'detect')


def test_libreyolos_names_are_json():
    found = metadata(
        names='{"1": "b", "0": "a"}',
        model_family='YOLOX',
        nc='2',
        imgsz_h='320',
        imgsz_w='416',
        letterbox_pad='topleft',
    )
    assert found.names == ('a', 'b')
    assert found.size == (320, 416)
    assert (found.exporter, found.family) == ('libreyolo', 'yolox')
    assert found.centred is False


@pytest.mark.parametrize(
    'names',
    [
        '__import__("os").system("true")',
        '{0: open("x")}',
        '[' * 100_000,
        '{0: "a", 2: "c"}',
        '{"x": "a"}',
        '["a", ""]',
        '[]',
        '7',
        '\x00\x8f\x02',
        '[[1], [2]]',
        "['a\\x1b[2J']",
        "['" + 'a' * 300 + "']",
        "['a'] * 10000000",
    ],
)
def test_damaged_names_are_left_out_and_said(names):
    found = metadata(names=names)
    assert found.names == ()
    assert 'class names in its metadata cannot be read' in found.problems[0]


def test_what_stands_in_metadata_is_never_run(tmp_path):
    marker = tmp_path / 'ran'
    metadata(names=f'__import__("os").mkdir({os.fspath(marker)!r})')
    assert not marker.exists()


def test_ten_million_names_are_refused_before_they_are_read():
    assert 'more than any list of classes' in metadata(names="'a'," * 10_000_000).problems[0]
    with pytest.raises(ValueError, match='more than any detector has'):
        as_names(['a'] * 60_000)


def test_names_that_do_not_fit_their_number_are_left_out():
    found = metadata(names="['a', 'b']", nc='3')
    assert found.names == ()
    assert '2 names for 3 classes' in found.problems[0]


@pytest.mark.parametrize('size', ['[640]', 'large', '[-1, 640]', '[640, "x"]', '0'])
def test_a_size_that_is_none_is_left_out_and_said(size):
    found = metadata(imgsz=size)
    assert found.size is None
    assert 'size in its metadata cannot be read' in found.problems[0]
