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
