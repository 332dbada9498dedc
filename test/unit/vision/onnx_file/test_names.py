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

import json

import pytest

from e4_ros.vision.onnx_file.names import narrow, read_names
from e4_ros.vision.onnx_file.read import OnnxFileError

COLOURS = ('red', 'green', 'blue', 'dark red')


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('classes.txt', 'red\ngreen\r\nblue\ndark red\n\n'),
        ('classes.names', '\ufeffred\ngreen\nblue\ndark red'),
        ('data.yaml', 'path: x\nnc: 4\nnames: [red, green, blue, dark red]\n'),
        ('data.yml', 'names:\n  0: red\n  1: green\n  2: blue\n  3: dark red\n'),
        ('list.json', json.dumps(list(COLOURS))),
        ('config.json', json.dumps({'id2label': {str(i): n for i, n in enumerate(COLOURS)}})),
        ('coco.json', json.dumps({'categories': [{'id': 9, 'name': n} for n in COLOURS]})),
    ],
)
def test_names_are_read_from_any_usual_file(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_names(tmp_path / name) == COLOURS


@pytest.mark.parametrize(
    ('name', 'content', 'why'),
    [
        ('a.txt', b'', 'empty'),
        ('a.txt', b'red\n\nblue\n', 'line 2 is empty'),
        ('a.txt', bytes(range(256)), 'no text'),
        ('a.txt', b'red\0green\n', 'no text'),
        ('a.yaml', b'nc: 3\n', 'no key "names"'),
        ('a.yaml', b'names: {0: a, 2: b}', '1 is missing'),
        ('a.yaml', b'names: [', 'no class names'),
        ('a.yaml', b'names: !!python/object/apply:os.system ["true"]', 'no class names'),
        ('a.json', b'{"names": ', 'no class names'),
        ('a.txt', b'a\n' * 60_000, 'more classes than any detector'),
        ('a.txt', b'a' * (5 << 20), 'no list of class names has'),
    ],
)
def test_a_file_without_names_is_refused(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OnnxFileError, match=why):
        read_names(tmp_path / name)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(OnnxFileError, match='cannot be read'):
        read_names(tmp_path / 'none.txt')


def test_wanted_classes_are_found_whatever_their_order_and_capitals():
    assert narrow(COLOURS, ['Blue', ' red ']) == (0, 2)


def test_a_name_that_two_classes_have_brings_both():
    assert narrow(['door', 'person', 'door'], ['door']) == (0, 2)


def test_an_unknown_class_is_refused_with_the_near_ones():
    with pytest.raises(OnnxFileError, match=r"no class 'gren' \(near: green\)"):
        narrow(COLOURS, ['gren'])
    with pytest.raises(OnnxFileError, match='its 4 classes are red, green, blue'):
        narrow(COLOURS, ['zzz'])


@pytest.mark.parametrize('classes', [[], [' '], ['', '']])
def test_no_class_left_is_refused(classes):
    with pytest.raises(OnnxFileError, match='no class is left'):
        narrow(COLOURS, classes)
