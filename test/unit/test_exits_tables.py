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

"""scripts/exits_tables.py on figures of the benchmark's shape."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip('matplotlib')

ROOT = Path(__file__).resolve().parents[2]
WAY = {
    'setting': 0.0, 'mean_ms': 10.0, 'speedup': 1.0, 'key_frames': 1.0, 'f1_people': None,
    'f1_full_tracked': 1.0, 'delay_frames': None, 'id_switches': None,
}  # fmt: skip
RESULT = {
    'risk_online': [
        {'stream': 'yard', 'asked': asked, 'seen': asked / 2, 'key_frames': 0.25}
        for asked in (0.05, 0.1)
    ],
    'track_ms': {'5': 1.0}, 'track_share': {'5': 0.1}, 'full_ms': 10.0,
    'streams': [
        {
            'stream': 'yard', 'moving': True, 'perturbed': False,
            'ways': [WAY | {'way': 'full_tracked'}, WAY | {'way': 'ladder', 'speedup': 3.0}],
        }
    ],
}  # fmt: skip


@pytest.fixture(scope='module')
def script():
    spec = importlib.util.spec_from_file_location('exits_tables', ROOT / 'scripts/exits_tables.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_was_measured_replaces_what_stood_there_and_the_rest_stays(script):
    text = 'before\n<!-- exits: risk online -->\nold\n<!-- end -->\nbetween\n'
    kept = '<!-- exits: fitted -->\nnot measured this time\n<!-- end -->\n'
    filled = script.filled(text + kept, RESULT)
    assert 'old' not in filled
    assert '| yard | 0.025 (25%) | 0.050 (25%) |' in filled
    assert filled.endswith('between\n' + kept)
    assert script.filled(filled, RESULT) == filled


def test_figures_of_brought_detectors_have_tables_of_their_own(script):
    stream = {
        'stream': 'yard', 'moving': True, 'speedup': 2.5, 'f1_full_tracked': 0.93, 'boxes': 120,
        'key_frames': 0.3, 'full_ms': 20.0, 'key_ms': 21.0, 'track_ms': None,
    }  # fmt: skip
    model = {
        'file': 'best.onnx', 'family': 'yolox', 'classes': 2, 'input': [416, 416],
        'chain_max_diff': 0.0, 'original_max_diff': None, 'full_ms': 19.5,
        'reference': {'why': 'no plain reading'}, 'streams': [stream],
    }  # fmt: skip
    text = '<!-- exits: detectors -->\n<!-- end -->\n<!-- exits: detector streams -->\n<!-- end -->'
    filled = script.filled(text, {'models': [model]})
    assert '| best.onnx | yolox | 2 | 416×416 | 0 | n/a | 19.5 | n/a |' in filled
    assert (
        '| yard | best.onnx | moving | 2.50× | 0.930 | 120 | 30% | 20.00 | 21.00 | n/a |' in filled
    )


def test_every_table_of_the_docs_is_known(script):
    import re

    marks = {
        mark
        for path in (ROOT / 'README.md', *(ROOT / 'docs').glob('*.md'))
        for mark in re.findall(r'<!-- exits: ([a-z ]+) -->\n', path.read_text())
    }
    assert marks
    assert marks <= set(script.TABLES)


def test_the_picture_is_drawn(script, tmp_path):
    script.draw(RESULT, tmp_path / 'curves.png')
    assert (tmp_path / 'curves.png').stat().st_size > 10_000
