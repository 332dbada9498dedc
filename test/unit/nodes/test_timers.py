"""No node makes a timer that waits for /clock."""

from __future__ import annotations

from pathlib import Path

import e4_ros

NODES = Path(e4_ros.__file__).resolve().parent / 'nodes'


def test_nodes_make_their_timers_in_one_place():
    making = [path.name for path in NODES.glob('*.py') if 'create_timer(' in path.read_text()]
    assert making == ['timers.py']
