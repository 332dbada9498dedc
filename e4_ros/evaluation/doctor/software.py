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

"""What software this machine has for the package, and what it lacks."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from e4_ros.evaluation.doctor.check import Check


def software() -> Iterator[Check]:
    """Python, ROS, messages, libraries."""
    version = platform.python_version()
    old = sys.version_info < (3, 10)
    yield Check(
        'software', 'Python', 'missing' if old else 'ok', f'{version} ({sys.prefix})',
        'Python 3.10 or newer is needed' if old else '',
    )  # fmt: skip
    yield ros()
    yield _interfaces()
    yield library('onnxruntime', 'runs the networks: `pip install onnxruntime`', _onnx_facts)
    yield library('cv2', 'converts images: `pip install opencv-python-headless`', _version)
    yield _conversion()
    yield _optional(
        'simplejpeg',
        'JPEGs damaged on their way are dropped',
        'not here: JPEGs damaged on their way pass',
        'to have them dropped and counted: `pip install simplejpeg`',
    )
    if _importable('torch'):
        advice = 'install it anew, or remove it: running needs none'
        yield library('torch', advice, _torch_facts)
    else:
        yield Check(
            'software', 'torch', 'optional', 'not here, and running needs none',
            'for `e4 build`, `fit` and `train`: `pip install torch torchvision safetensors`',
        )  # fmt: skip
    yield _optional(
        'vision_msgs',
        'Detection2DArray is published, too',
        'not here: no Detection2DArray',
        'for nodes that want it: `sudo apt install ros-$ROS_DISTRO-vision-msgs`',
    )


def _optional(module: str, here: str, missing: str, advice: str) -> Check:
    """What a module brings that nothing needs."""
    if _importable(module):
        return Check('software', module, 'ok', here)
    return Check('software', module, 'optional', missing, advice)


def ros() -> Check:
    """Whether rclpy imports, and from which distribution."""
    distribution = os.environ.get('ROS_DISTRO', '')
    if _importable('rclpy'):
        where = importlib.util.find_spec('rclpy')
        origin = Path(where.origin).parents[1] if where and where.origin else Path()
        named = distribution or _wheel_distribution() or 'distribution unknown'
        return Check('software', 'ROS 2', 'ok', f'{named} (rclpy in {origin})')
    if distribution:
        return Check(
            'software', 'ROS 2', 'missing', f'{distribution} is sourced, but rclpy does not import',
            'use the Python that ROS was built for, or a virtual environment made with '
            '`--system-site-packages`',
        )  # fmt: skip
    return Check(
        'software', 'ROS 2', 'optional', 'not here: `e4 run` works, the nodes do not',
        '`source /opt/ros/<distribution>/setup.bash`, or `make build`, which brings its own',
    )  # fmt: skip


def _wheel_distribution() -> str:
    """Distribution of the ROS wheels in this environment, by the names of their packages."""
    from importlib import metadata

    for distribution in metadata.distributions():
        if match := re.fullmatch(r'ros-(\w+)-rclpy', distribution.metadata['Name'] or ''):
            return match[1]
    return ''


def _interfaces() -> Check:
    if _importable('e4_ros.msg'):
        return Check('software', 'messages', 'ok', 'e4_ros/msg, srv and action are built')
    return Check(
        'software', 'messages', 'optional', 'not on the path',
        'the nodes need them: `make build` or `colcon build`, then `. install/setup.bash`',
    )  # fmt: skip


def library(name: str, advice: str, facts: Callable[[object], str]) -> Check:
    """Whether a library imports; ``facts`` tells of the module, ``advice`` how to get it."""
    try:
        module = importlib.import_module(name)
        return Check('software', name, 'ok', facts(module))
    # A library built for another CPU, CUDA or numpy raises far more than ImportError.
    except Exception as error:
        found = 'not here' if isinstance(error, ModuleNotFoundError) else f'broken: {error}'
        return Check('software', name, 'missing', found, advice)


def _version(module: object) -> str:
    return str(module.__version__)  # type: ignore[attr-defined]


def _torch_facts(torch: object) -> str:
    cuda = torch.cuda.is_available()  # type: ignore[attr-defined]
    return f'{torch.__version__}, {"CUDA" if cuda else "CPU only"}'  # type: ignore[attr-defined]


def _onnx_facts(onnxruntime: object) -> str:
    providers = onnxruntime.get_available_providers()  # type: ignore[attr-defined]
    names = ', '.join(name.removesuffix('ExecutionProvider') for name in providers)
    return f'{onnxruntime.__version__}, providers: {names}'  # type: ignore[attr-defined]


def _conversion() -> Check:
    from e4_ros.perception.cv_bridge_door import backend

    used = backend()
    if used == 'cv_bridge':
        return Check('software', 'image conversion', 'ok', 'cv_bridge')
    return Check(
        'software', 'image conversion', 'optional', f'{used} converts; no cv_bridge that works',
        'to have ROS\'s own: `sudo apt install ros-$ROS_DISTRO-cv-bridge`',
    )  # fmt: skip


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
