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
"""`e4 demo-cameras` as a user runs it."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from e4_ros.commands.app import app


def test_it_writes_a_page_and_figures(tmp_path):
    arguments = ['demo-cameras', '--out', str(tmp_path), '--seconds', '1', '--load', '0.4']
    done = CliRunner().invoke(app, arguments, env={'E4_FOOTAGE': ''})
    assert done.exit_code == 0, done.output
    assert 'Load 0.4' in done.output
    figures = json.loads((tmp_path / 'cameras.json').read_text())
    assert [row['rule'] for row in figures] == ['service levels', 'fifo']
    assert all(row['images'] > 0 and len(row['missed']) == 4 for row in figures)
    assert 'Cameras under service levels' in (tmp_path / 'cameras.html').read_text()
