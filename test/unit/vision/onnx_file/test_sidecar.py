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

import pytest

from e4_ros.vision.onnx_file.read import OnnxFileError
from e4_ros.vision.onnx_file.sidecar import read_sidecar, sidecar_path


def read(tmp_path, text):
    path = tmp_path / 'best.yaml'
    path.write_text(text)
    return read_sidecar(path)


def test_a_sidecar_says_all_that_a_file_does_not(tmp_path):
    found = read(
        tmp_path,
        'family: yolox\nnames: [person, car]\nclasses: [car]\n'
        'input: {size: 416, layout: letterbox, pad: 0, centred: true, colour: BGR, mean: 0, '
        'std: [1, 2, 3]}\n',
    )
    assert (found.family, found.names, found.classes) == ('yolox', ('person', 'car'), ('car',))
    assert found.input.size == (416, 416)
    assert (found.input.layout, found.input.pad, found.input.centred) == ('letterbox', 0, True)
    assert found.input.colour == 'bgr'
    assert found.input.mean == (0, 0, 0)
    assert found.input.std == (1, 2, 3)


def test_names_may_lie_in_a_file_beside_it(tmp_path):
    (tmp_path / 'labels.txt').write_text('a\nb\n')
    assert read(tmp_path, 'names_file: labels.txt\n').names == ('a', 'b')


@pytest.mark.parametrize('suffix', ['.yaml', '.yml'])
def test_it_lies_beside_the_file_under_the_same_name(tmp_path, suffix):
    assert sidecar_path(tmp_path / 'best.onnx') is None
    (tmp_path / 'best').with_suffix(suffix).write_text('family: yolox')
    assert sidecar_path(tmp_path / 'best.onnx') == tmp_path / f'best{suffix}'


@pytest.mark.parametrize(
    ('text', 'why'),
    [
        ('famly: yolox', r'nobody here knows famly \(near: family\)'),
        ('input: {colur: bgr}', r'nobody here knows input.colur \(near: colour\)'),
        ('colour: bgr', 'colour belongs below input'),
        ('zzz: 1', 'there are family, names, names_file, input, classes'),
        ('input: {layout: crop}', "input.layout: Input should be 'letterbox' or 'stretch'"),
        ('input: {size: [640, 0]}', 'input.size'),
        ('input: {size: large}', 'input.size'),
        ('input: {std: 0}', 'input.std'),
        ('input: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}', 'pixel values'),
        ('input: {pad: 300}', 'input.pad'),
        ('names: {0: a, 2: b}', '1 is missing'),
        ('names: []', 'names'),
        ('{names: [a], names_file: b.txt}', 'keep one of them'),
        ('names_file: none.txt', 'cannot be read'),
        ('- a', 'holds no keys'),
        ('', 'holds no keys'),
        ('family: [', 'is no YAML'),
        ('a: !!python/object/apply:os.system ["true"]', 'is no YAML'),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_was_meant(tmp_path, text, why):
    with pytest.raises(OnnxFileError, match=why):
        read(tmp_path, text)


def test_binary_rubbish_is_no_sidecar(tmp_path):
    (tmp_path / 'best.yaml').write_bytes(bytes(range(256)))
    with pytest.raises(OnnxFileError, match='is no YAML'):
        read_sidecar(tmp_path / 'best.yaml')
