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

"""scripts/siblings_tables.py on figures of the command's shape."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from e4_ros.benchmarks.siblings.regret import Run, regret_rows

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def script():
    path = ROOT / 'scripts/siblings_tables.py'
    spec = importlib.util.spec_from_file_location('siblings_tables', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ROWS = regret_rows({'exact': [Run(1.0)], 'learnt': [Run(1.2, 30.0, 500)]}, 'exact')
RESULT = {
    'offload': {'policies': [{'world': 'wifi', **row} for row in ROWS]},
    'cluster': {'runs': [{'workers': 2, 'speedup': 1.8123, 'lost': None}]},
}


def test_tables_are_replaced_and_the_rest_stays(script):
    text = (
        'a\n<!-- siblings: offload.policies world=wifi -->\nold\n<!-- end -->\nb\n'
        '<!-- siblings: cluster.runs -->\n<!-- end -->\n'
        '<!-- siblings: versions.policies -->\nkept\n<!-- end -->\n'
    )
    filled = script.filled(text, RESULT)
    assert 'old' not in filled
    assert '| learnt | 1.2 | 20.0 | 30 | 500 frames |' in filled
    assert '| 2 | 1.81 |  |' in filled
    assert 'kept' in filled
    assert 'wifi |' not in filled
    assert script.filled(filled, RESULT) == filled


def test_a_filter_that_finds_nothing_is_an_error(script):
    with pytest.raises(SystemExit, match='no rows with world=sea'):
        script.filled('<!-- siblings: offload.policies world=sea --><!-- end -->', RESULT)
