"""What this machine has for the package, what it lacks, and what to do about that."""

from __future__ import annotations

import grp
import importlib
import importlib.util
import os
import platform
import re
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from e4_ros.evaluation.palette import hertz

State = Literal['ok', 'optional', 'missing']


@dataclass(frozen=True)
class Check:
    """One line of the checkup.

    Attributes:
        group: ``software``, ``clocks``, ``energy`` or ``access``.
        name: What was looked at.
        state: ``optional``: absent, and things work without it; ``missing``: something fails.
        found: What is there.
        advice: What to do, where something is absent.
    """

    group: str
    name: str
    state: State
    found: str
    advice: str = ''


def check_all(root: Path = Path('/')) -> list[Check]:
    """Look at everything.

    Args:
        root: Where ``sys`` and ``proc`` hang, so that a board served as a folder can be looked at.
    """
    parts: tuple[Callable[[], Iterator[Check]], ...] = (
        _software,
        lambda: _clocks(root),
        lambda: _energy(root),
        _access,
    )
    return [check for part in parts for check in part()]


def _software() -> Iterator[Check]:
    version = platform.python_version()
    old = sys.version_info < (3, 10)
    yield Check(
        'software', 'Python', 'missing' if old else 'ok', f'{version} ({sys.prefix})',
        'Python 3.10 or newer is needed' if old else '',
    )  # fmt: skip
    yield _ros()
    yield _interfaces()
    yield _library('torch', 'loads the networks: `pip install torch torchvision`', _torch_facts)
    yield _library('onnxruntime', 'runs them: `pip install onnxruntime`', _onnx_facts)
    yield _conversion()
    if _importable('vision_msgs'):
        yield Check('software', 'vision_msgs', 'ok', 'Detection2DArray is published, too')
    else:
        yield Check(
            'software', 'vision_msgs', 'optional', 'not here: no Detection2DArray',
            'for nodes that want it: `sudo apt install ros-$ROS_DISTRO-vision-msgs`',
        )  # fmt: skip


def _ros() -> Check:
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


def _library(name: str, advice: str, facts: Callable[[object], str]) -> Check:
    try:
        module = importlib.import_module(name)
        return Check('software', name, 'ok', facts(module))
    # A library built for another CPU, CUDA or numpy raises far more than ImportError.
    except Exception as error:
        found = 'not here' if isinstance(error, ModuleNotFoundError) else f'broken: {error}'
        return Check('software', name, 'missing', found, advice)


def _torch_facts(torch: object) -> str:
    cuda = torch.cuda.is_available()  # type: ignore[attr-defined]
    return f'{torch.__version__}, {"CUDA" if cuda else "CPU only"}'  # type: ignore[attr-defined]


def _onnx_facts(onnxruntime: object) -> str:
    providers = onnxruntime.get_available_providers()  # type: ignore[attr-defined]
    names = ', '.join(name.removesuffix('ExecutionProvider') for name in providers)
    return f'{onnxruntime.__version__}, providers: {names}'  # type: ignore[attr-defined]


def _conversion() -> Check:
    from e4_ros.evaluation.images import backend

    used = backend()
    if used == 'cv_bridge':
        return Check('software', 'image conversion', 'ok', 'cv_bridge')
    if not _importable('rosbags.image'):
        return Check(
            'software', 'image conversion', 'missing', 'neither cv_bridge nor rosbags-image',
            '`pip install rosbags-image`, or `sudo apt install ros-$ROS_DISTRO-cv-bridge`',
        )  # fmt: skip
    why = 'cv_bridge is here but does not work' if _importable('cv_bridge') else 'no cv_bridge'
    return Check('software', 'image conversion', 'ok', f'rosbags-image ({why})')


def _clocks(root: Path) -> Iterator[Check]:
    from e4_ros.energy.discovery import discover

    domains = discover(root)
    for domain in domains:
        low, high = domain.limits_hz
        found = f'{domain.kind}, {len(domain.allowed_hz)} points, {hertz(low)} to {hertz(high)}'
        closed = domain.unwritable()
        yield Check(
            'clocks', domain.name, 'optional' if closed else 'ok',
            f'{found}, {"not writable" if closed else "writable"}',
            _how_to_write(closed) if closed else '',
        )  # fmt: skip
    if not domains:
        yield Check(
            'clocks', 'domains', 'optional', 'none found: exits work, clocks stay as they are',
            'virtual machines and containers show none; on a robot, run this on the host',
        )  # fmt: skip


def _how_to_write(files: list[Path]) -> str:
    first = files[0]
    try:
        status = first.stat()
        group = grp.getgrgid(status.st_gid).gr_name
    except (OSError, KeyError):
        return f'{first} cannot be looked at by this user'
    if status.st_mode & stat.S_IWGRP and group != 'root':
        return f'join the group: `sudo usermod -aG {group} $USER`, then log in again ({first})'
    return f'only {group} may write {first}; the DVFS helper needs that right, perception does not'


def _energy(root: Path) -> Iterator[Check]:
    from e4_ros.energy import meters
    from e4_ros.energy.domains import DomainError
    from e4_ros.energy.rapl import find_zones

    meter = meters.open_meter(root)
    if meter is not None:
        with meter:
            reading = meter.read()
        rails = ', '.join(reading.rails_j)
        yield Check('energy', 'rails', 'ok', f'{reading.source} by {meter.name}: {rails}')
        return
    try:
        find_zones(root)
    except DomainError as error:
        yield Check(
            'energy', 'rails', 'optional', f'there are counters, but: {error}',
            'root may read them; the helper can run as root or get CAP_DAC_READ_SEARCH',
        )  # fmt: skip
        return
    yield Check(
        'energy', 'rails', 'optional', 'no sensor: joules are modelled, and say so',
        'INA3221 and INA238 (Jetson), RAPL (x86), NVML and jtop are understood',
    )  # fmt: skip


def _access() -> Iterator[Check]:
    yield _helper()
    groups = sorted(filter(None, map(_group_name, {os.getegid(), *os.getgroups()})))
    yield Check('access', 'groups', 'ok', ', '.join(groups) or 'none with a name')
    yield from _cameras()


def _helper() -> Check:
    from e4_ros.energy.client import DvfsClient, HelperError

    client = DvfsClient(timeout_s=1.0)
    try:
        status = client.status()
    except (HelperError, ValueError) as error:
        text = getattr(error, 'strerror', None) or str(error)
        found, _, advice = text.partition('; ')
        return Check('access', 'DVFS helper', 'optional', found, advice)
    board = status.get('board', 'unknown')
    return Check('access', 'DVFS helper', 'ok', f'answers on {client.socket_path}, board {board}')


def _cameras() -> Iterator[Check]:
    cameras = sorted(Path('/dev').glob('video*'))
    closed = [str(path) for path in cameras if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        yield Check(
            'access', 'cameras', 'optional', f'no permission for {", ".join(closed)}',
            '`sudo usermod -aG video $USER`, then log in again',
        )  # fmt: skip
    elif cameras:
        yield Check('access', 'cameras', 'ok', ', '.join(map(str, cameras)))
    else:
        yield Check('access', 'cameras', 'optional', 'no /dev/video*', 'a video or a bag will do')


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ''


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
