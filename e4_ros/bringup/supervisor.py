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

"""Starts the nodes of a bringup as processes, watches and stops them: where launch is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import yaml

from e4_ros.bringup.arguments import Values
from e4_ros.bringup.node_specs import NodeSpec

# How long a node may take after each signal, in seconds.
_PATIENCE = ((signal.SIGINT, 5.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0))
_RESPAWN_S = 1.0


class NodeDied(OSError):  # noqa: N818
    """A node ended that should not have; the text ends with its last words."""


class RosMissing(OSError):  # noqa: N818
    """The nodes cannot run here; the text says what to do."""


class Supervisor:
    """The processes of some nodes; use it as a context manager, which stops them.

    Args:
        specs: What to start, in this order; stopped in the other.
        values: The common arguments (see `arguments.common_arguments`).
        log_dir: Gets one ``NODE.log`` for each node.
        env: Environment of the nodes.
        tell: Told of a node that ended and that the others do without.
    """

    def __init__(
        self,
        specs: Sequence[NodeSpec],
        values: Values,
        log_dir: Path,
        env: Mapping[str, str],
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._specs = specs
        self._values = values
        self._log_dir = log_dir
        self._env = dict(env)
        self._tell = tell
        self._missed: set[str] = set()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._respawn = values['use_respawn'] == 'true'

    def __enter__(self) -> Supervisor:
        self._log_dir.mkdir(parents=True, exist_ok=True)
        try:
            for spec in self._specs:
                self._start(spec)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def done(self) -> bool:
        """Whether the node that is to end last has ended well.

        Raises:
            NodeDied: another that is required ended, or it ended badly.
        """
        for spec in self._specs:
            status = self._processes[spec.executable].poll()
            if status is None:
                continue
            if spec.last and status == 0:
                return True
            if spec.executable in self._missed:
                continue
            if not self._respawn and not spec.required:
                self._missed.add(spec.executable)
                self._tell(f'going on without a node: {self._last_words(spec, status)}')
                continue
            if not self._respawn or spec.last:
                raise NodeDied(self._last_words(spec, status))
            time.sleep(_RESPAWN_S)
            self._start(spec)
        return False

    def stop(self) -> None:
        """End all nodes, the last started first, asking before insisting."""
        for process in reversed(self._processes.values()):
            for number, patience_s in _PATIENCE:
                if process.poll() is not None:
                    break
                process.send_signal(number)
                try:
                    process.wait(patience_s)
                except subprocess.TimeoutExpired:
                    continue

    def _start(self, spec: NodeSpec) -> None:
        parameters = self._log_dir / f'{spec.executable}.yaml'
        contents = {'/**': {'ros__parameters': dict(spec.parameters)}}
        parameters.write_text(yaml.safe_dump(contents))
        with (self._log_dir / f'{spec.executable}.log').open('wb') as log:
            self._processes[spec.executable] = subprocess.Popen(
                [*_dies_with_us(), *node_command(spec, self._values, parameters)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,  # Ctrl-C is for us; we stop the nodes in order
            )

    def _last_words(self, spec: NodeSpec, status: int) -> str:
        log = self._log_dir / f'{spec.executable}.log'
        tail = ''.join(f'\n  {line}' for line in log.read_text(errors='replace').splitlines()[-15:])
        how = f'was killed by {signal.Signals(-status).name}' if status < 0 else f'ended ({status})'
        return f'{spec.executable} {how}; the end of {log}:{tail or " (empty)"}'


def node_command(spec: NodeSpec, values: Values, parameters: Path) -> list[str]:
    """Command line of a node's process."""
    command = [sys.executable, '-m', 'e4_ros.nodes', spec.executable, '--ros-args']
    if values['namespace']:
        command += ['-r', f'__ns:=/{values["namespace"].strip("/")}']
    for inside, outside in spec.remappings.items():
        command += ['-r', f'{inside}:={outside}']
    # The later file wins.
    command += ['--params-file', values['params_file'], '--params-file', str(parameters)]
    return [*command, '--log-level', values['log_level']]


def check_ros() -> None:
    """Make sure that nodes can be started from here.

    Raises:
        RosMissing: ROS 2 or the built interfaces are not on Python's path.
    """
    if importlib.util.find_spec('rclpy') is None:
        raise RosMissing(
            'ROS 2 is not here: source its setup.bash, or use the wheels (`make build`, then '
            '`. scripts/setup.sh`)'
        )
    if importlib.util.find_spec('e4_ros.msg') is None:
        raise RosMissing(
            'the interfaces of e4_ros are not built or not sourced: `make build && '
            '. scripts/setup.sh`, or colcon build and source install/setup.bash'
        )


def private_environment() -> tuple[dict[str, str], socket.socket]:
    """An environment in which nodes only find each other, on this machine and in a free domain.

    Returns:
        The environment, and the lock on its domain: keep it open as long as the nodes run.

    Raises:
        RosMissing: all domains are taken.
    """
    for domain in range(101, 0, -1):  # people count upwards
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f'\0e4_ros domain {domain}')  # an abstract name: it ends with the process
        except OSError:
            lock.close()
            continue
        environment = dict(os.environ, ROS_DOMAIN_ID=str(domain))
        if environment.get('ROS_DISTRO') == 'humble':
            environment['ROS_LOCALHOST_ONLY'] = '1'
        else:
            environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        return environment, lock
    raise RosMissing('all ROS domains from 1 to 101 are taken by other runs of e4')


def _dies_with_us() -> list[str]:
    """Prefix that ends a node should we be killed without a chance to stop it."""
    setpriv = shutil.which('setpriv')
    return [setpriv, '--pdeathsig', 'TERM', '--'] if setpriv else []
