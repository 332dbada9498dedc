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

"""Versions of a model: how they are named, what is refused, and the file of what was measured."""

from __future__ import annotations

import math

import pytest

from e4_ros.perception.version_file import Measured, VersionFile, VersionFileError
from e4_ros.perception.versions import VersionError, VersionSpec, check_like, parse_versions
from e4_ros.vision.bundle import load_bundle
from e4_ros.vision.bundle.bundle import shipped_bundle


def test_the_nodes_own_model_is_the_first_version():
    found = parse_versions(['int8', 'small=bundles/220', '/b/street@fp16'], 'ours')
    assert found == [
        VersionSpec('ours', 'ours', 'fp32'),
        VersionSpec('int8', 'ours', 'int8'),
        VersionSpec('small', 'bundles/220', 'fp32'),
        VersionSpec('street@fp16', '/b/street', 'fp16'),
    ]


@pytest.mark.parametrize(
    ('texts', 'says'),
    [
        (['small='], 'names no bundle'),
        (['=x'], 'is no name'),
        (['a b=x'], 'is no name'),
        (['x@int3'], "no precision 'int3'"),
        (['x', 'x'], 'two versions are called x'),
        (['ours'], 'two versions are called ours'),
    ],
)
def test_what_is_no_version_is_refused(texts, says):
    with pytest.raises(VersionError, match=says):
        parse_versions(texts, 'ours')


def test_other_classes_and_tasks_are_refused():
    manifest = load_bundle(shipped_bundle('pedestrian_ssdlite')).manifest
    check_like(manifest, manifest, 'same')
    cars = manifest.model_copy(update={'class_names': ('car',)})
    with pytest.raises(VersionError, match=r'version cars has other classes .* lacks person'):
        check_like(manifest, cars, 'cars')
    two = manifest.model_copy(update={'class_names': ('person', 'car')})
    turned = manifest.model_copy(update={'class_names': ('car', 'person')})
    with pytest.raises(VersionError, match='in another order'):
        check_like(two, turned, 'turned')
    with pytest.raises(VersionError, match='is for the task classify'):
        check_like(manifest, manifest.model_copy(update={'task': 'classify'}), 'other')
    with pytest.raises(VersionError, match='models of clips'):
        check_like(manifest, manifest.model_copy(update={'task': 'clips'}), 'other')


def measured(name='small', **changes) -> Measured:
    values = {
        'name': name,
        'fingerprint': '0123456789ab',
        'model': 'ours',
        'precision': 'fp32',
        'input': (220, 220),
        'f1': 0.8,
        'ms': {'track': 1.0, 'full': 9.0},
        'joules': {'track': 0.01, 'full': 0.1},
        'shares': {'track': 0.75, 'full': 0.25},
    }
    return Measured(**{**values, **changes})


def file(**changes) -> VersionFile:
    values = {
        'footage': ('street.mp4',),
        'frames': 300,
        'judged_by': 'teacher',
        'machine': 'somewhere',
        'versions': (measured(),),
    }
    return VersionFile(**{**values, **changes})


def test_a_file_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / 'versions.yaml'
    file().save(path)
    found = VersionFile.load(path)
    assert found == file()
    assert found.of('small', '0123456789ab').mean_ms == pytest.approx(3.0)
    assert found.of('small', '0123456789ab').mean_j == pytest.approx(0.0325)
    assert math.isnan(measured(joules={}).mean_j)


def test_a_version_that_was_not_measured_or_is_another_network_now_is_told():
    with pytest.raises(VersionFileError, match='nothing was measured of version large'):
        file().of('large', '0123456789ab')
    with pytest.raises(VersionFileError, match='another network than the one that was measured'):
        file().of('small', 'ffffffffffff')


@pytest.mark.parametrize(
    'text',
    [
        '',
        'no: [mapping',
        '[1, 2]',
        'format: e4_ros.versions/9\n',
        b'\xff\xfe\x00garbage',
        'format: e4_ros.versions/1\nversions: 3\n',
    ],
)
def test_garbage_is_refused_with_what_writes_such_files(tmp_path, text):
    path = tmp_path / 'versions.yaml'
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(VersionFileError, match='is not what `e4 versions FOOTAGE'):
        VersionFile.load(path)


@pytest.mark.parametrize(
    'changes',
    [
        {'f1': 1.2},
        {'f1': math.nan},
        {'ms': {}},
        {'ms': {'full': -1.0}},
        {'ms': {'full': math.inf}},
        {'shares': {'full': 0.0}},
    ],
)
def test_figures_that_cannot_be_are_refused(changes):
    with pytest.raises(ValueError, match=r'f1|times, joules|no exit'):
        measured(**changes)
