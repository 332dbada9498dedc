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

import subprocess
import sys

from e4_ros.benchmarks.node_processes import await_event

IN_PIECES = r"""
import os, time
for piece in (b'{"event": "earl', b'y", "at_s": 1.0}\n{"event": "re', b'ady", "at_s": 1.5}', b'\n'):
    os.write(1, piece)
    time.sleep(0.05)
"""


def test_an_event_that_arrives_in_pieces_is_read_whole():
    camera = subprocess.Popen([sys.executable, '-c', IN_PIECES], stdout=subprocess.PIPE)
    with camera:
        assert await_event(camera, 'ready') == 1.5
