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

"""What the documentation names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_tests_that_the_documentation_names_are_there():
    there = set()
    for file in (ROOT / 'test').rglob('test_*.py'):
        there |= {file.stem, *re.findall(r'def (test_\w+)', file.read_text())}
    for page in (ROOT / 'README.md', *(ROOT / 'docs').glob('*.md')):
        for name in re.findall(r'`(test_\w+)(?:\.py)?`', page.read_text()):
            assert name in there, f'{page.name} names {name}'


def test_every_family_of_detectors_is_described():
    from e4_ros.vision.onnx_file.families import FAMILIES

    page = (ROOT / 'docs' / 'models.md').read_text()
    assert [name for name in FAMILIES if f'`{name}`' not in page] == []


def test_the_sidecar_of_the_documentation_is_one(tmp_path):
    from e4_ros.vision.onnx_file.sidecar import InputSettings, Sidecar, read_sidecar

    (text,) = re.findall(
        r'```yaml\n(family:.*?)```', (ROOT / 'docs' / 'models.md').read_text(), re.S
    )
    (tmp_path / 'best.yaml').write_text(text)
    (tmp_path / 'coco.txt').write_text('person\ncar\ndog\n')
    found = read_sidecar(tmp_path / 'best.yaml')
    assert found.names == ('person', 'car', 'dog')
    assert found.input.size == (480, 640)
    for settings in (Sidecar, InputSettings):
        assert [key for key in settings.model_fields if f'{key}:' not in text] == []
