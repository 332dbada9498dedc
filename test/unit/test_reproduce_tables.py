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

"""scripts/reproduce_tables.py on figures of the command's shape."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def script():
    path = ROOT / 'scripts/reproduce_tables.py'
    spec = importlib.util.spec_from_file_location('reproduce_tables', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RESULT = {
    'paces': [
        {
            'pace': 1.5,
            'summary': {
                'dropped': [
                    {'policy': 'schedutil@emc_top+exits', 'scenes': 3, 'of': 20,
                     'late_percent': 12.34, 'energy_percent_of_e4': 99.4},
                ],
            },
        }
    ],
    'settings': {
        'train_frames': 4000, 'modes': {'jetson_nano': 'MAXN'}, 'streams': 5, 'sweep_streams': 3,
        'frames': 200, 'seconds': 600.0,
    },
}  # fmt: skip


def test_tables_and_lines_are_replaced_and_the_rest_stays(script):
    text = (
        'a <!-- reproduce: how --> old <!-- end --> b\n<!-- reproduce: dropped -->\n<!-- end -->\n'
    )
    filled = script.filled(text, RESULT)
    assert 'old' not in filled
    assert 'jetson_nano MAXN' in filled
    assert '| schedutil; GPU at top; memory at top + exits | 3 of 20 | 12.3 % | 99 % |' in filled
    assert filled.endswith('<!-- end -->\n')
    assert script.filled(filled, RESULT) == filled
