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
