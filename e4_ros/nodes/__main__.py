"""Starts a node: `python -m e4_ros.nodes perception --ros-args …`, or `ros2 run e4_ros perception`.

Signals are listened to before the node's module, and all that it needs, is imported.
"""

from __future__ import annotations

import importlib
import sys

from e4_ros.nodes import signals


def main(name: str) -> None:
    """Run the node whose module is called ``name``; the process's arguments are the node's."""
    signals.install()
    importlib.import_module(f'e4_ros.nodes.{name}').main()


if __name__ == '__main__':
    main(sys.argv.pop(1))
