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

"""No node makes a timer that waits for /clock."""

from __future__ import annotations

from pathlib import Path

import e4_ros

NODES = Path(e4_ros.__file__).resolve().parent / 'nodes'


def test_nodes_make_their_timers_in_one_place():
    making = [path.name for path in NODES.glob('*.py') if 'create_timer(' in path.read_text()]
    assert making == ['timers.py']
