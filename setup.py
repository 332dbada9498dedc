# Copyright 2026 e4_ros maintainers
#
# SPDX-License-Identifier: Apache-2.0

"""The library and the `e4` command without ROS: `pip install .`; on a robot, colcon builds."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def _requirements(name: str) -> list[str]:
    lines = (ROOT / 'requirements' / f'{name}.in').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def _version() -> str:
    text = (ROOT / 'e4_ros' / '__init__.py').read_text()
    return re.search("__version__ = '(.+)'", text)[1]


def _share(folder: str) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / folder).rglob('*')):
        if path.is_file():
            relative = path.relative_to(ROOT)
            found.setdefault(f'share/e4_ros/{relative.parent}', []).append(str(relative))
    return list(found.items())


setup(
    name='e4_ros',
    version=_version(),
    description='Early exits and per-segment clocks for camera perception in ROS 2',
    author='e4_ros maintainers',
    author_email='e4-ros@example.org',
    maintainer='e4_ros maintainers',
    maintainer_email='e4-ros@example.org',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['e4_ros', 'e4_ros.*']),
    package_data={
        'e4_ros': [
            'benchmarks/boards/listings/*',
            'evaluation/report/*.html',
            'offload/*.json',
            'weights/*',
            'weights/*/*',
        ]
    },
    data_files=_share('config'),
    install_requires=_requirements('robot'),
    extras_require={
        'jetson': ['jetson-stats'],
        'nvml': ['nvidia-ml-py'],
        'train': _requirements('train'),
        'learn': _requirements('learn'),
        'edge': _requirements('edge'),
        'cluster': _requirements('cluster'),
        'triton': _requirements('triton'),
    },
    entry_points={'console_scripts': ['e4 = e4_ros.cli:main']},
)
