"""Start perception again and again, in turns with a bare process, and look at both from outside."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from e4_ros.benchmarks.dvfs.latency import memory_tree
from e4_ros.bringup.supervisor import private_environment

FORBIDDEN = ('torch', 'torchvision', 'av', 'rosbags')
"""Modules that a robot's perception must do without."""

RATE_HZ = 15.0
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Start:
    """Seconds from the start of perception's process until something was seen from outside."""

    visible_s: float
    first_detection_s: float


@dataclass(frozen=True)
class Run:
    """What a longer run of perception came to.

    Attributes:
        rss_mb: peak resident memory, megabytes of 10⁶ bytes.
        modules: names of all modules that it had imported.
        around_engine_s: for each image, seconds from receipt to publication less the engine's.
        answered: camera of each image that was answered, in their order.
        counts: by camera, the images that were received and that were processed.
    """

    rss_mb: float
    modules: Sequence[str]
    around_engine_s: Sequence[float]
    answered: Sequence[str]
    counts: Mapping[str, tuple[int, int]]


class StartError(OSError):
    """Something did not start; the text says what, and ends with its last words."""


def onnx_files(folder: Path) -> list[Path]:
    """The ONNX files of a bundle that perception loads at full precision."""
    return [f for f in sorted(folder.glob('*.onnx')) if not f.stem.endswith(('.fp16', '.int8'))]


def start_bare(files: Sequence[Path]) -> float:
    """Seconds from a bare process's start until its networks have run once."""
    return _time_bare(map(str, files), None)


def start_bare_node(files: Sequence[Path]) -> float:
    """The same of a bare node, whose networks run once it has received a camera's first image."""
    with _ros() as env, _camera(env):
        return _time_bare(['--node', *map(str, files)], env)


def _time_bare(words: Iterable[str], env: dict[str, str] | None) -> float:
    script = importlib.util.find_spec('e4_ros.nodes.bench_bare')
    assert script is not None
    command = [sys.executable, str(script.origin), *words]
    began_s = time.monotonic()
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        took_s = time.monotonic() - began_s
        _, error = process.communicate(timeout=_PATIENCE_S)
    if b'done' not in line:
        raise StartError(f'the bare process failed: {error.decode(errors="replace")[-2000:]}')
    return took_s


def start_perception() -> Start:
    """Start perception beside a camera that runs already; stop it after its first answer."""
    with _ros() as env, _camera(env) as camera, _node('perception', env, []) as process:
        visible_s = _await(camera, 'visible', process) - process.began_s
        first_s = _await(camera, 'first_detection', process) - process.began_s
        return Start(visible_s, first_s)


def run_perception(
    seconds: float,
    size: tuple[int, int] = (640, 480),
    cameras: Sequence[str] = (),
    rate_hz: float = RATE_HZ,
    parameters: Sequence[str] = (),
) -> Run:
    """Let perception answer a camera, or several, for a while.

    Args:
        seconds: how long, from its first answers on.
        size: width and height of the images, pixels.
        cameras: names of several cameras; none for one without a name.
        rate_hz: images a second of each.
        parameters: further parameters of the node, as ``name:=value``.
    """
    given = [*parameters]
    given += [f'cameras:=[{",".join(cameras)}]'] if cameras else []
    with contextlib.ExitStack() as stack:
        out = Path(stack.enter_context(tempfile.TemporaryDirectory())) / 'seen.json'
        env = stack.enter_context(_ros())
        watching = [
            stack.enter_context(_camera(env, size, rate_hz, name)) for name in cameras or ['']
        ]
        with _node('bench_perception', {**env, 'E4_BENCH_OUT': str(out)}, given) as process:
            for camera in watching:
                _await(camera, 'first_detection', process)
            time.sleep(seconds)
            rss_mb = _peak_mb(process.pid)
        seen = json.loads(out.read_text())
    counts = {name: (received, done) for name, (received, done) in seen['counts'].items()}
    return Run(rss_mb, seen['modules'], seen['around_engine_s'], seen['answered'], counts)


def run_daemon(seconds: float) -> float:
    """Peak memory of the daemon's node after a while, megabytes of 10⁶ bytes."""
    with tempfile.TemporaryDirectory() as folder, _ros() as env, memory_tree() as root:
        # Files that look like a board's, so that this machine's clocks are left alone.
        places = [f'sysfs_root:={root}', f'state_dir:={folder}/state', f'socket_path:={folder}/s']
        with _node('dvfs_helper', env, places) as process:
            time.sleep(seconds)
            if process.poll() is not None:
                raise StartError(f'the daemon ended with {process.returncode}: {process.words()}')
            return _peak_mb(process.pid)


class _Process(subprocess.Popen[bytes]):
    """A node's process that knows when it began and what it said last."""

    def __init__(self, command: Sequence[str], env: dict[str, str], log: IO[bytes]) -> None:
        self._log = log
        self.began_s = time.monotonic()
        super().__init__(command, env=env, stdout=log, stderr=subprocess.STDOUT)

    def words(self) -> str:
        """The end of its output."""
        self._log.seek(0)
        return self._log.read().decode(errors='replace')[-2000:]


@contextlib.contextmanager
def _ros() -> Iterator[dict[str, str]]:
    environment, lock = private_environment()
    with lock:
        yield environment


@contextlib.contextmanager
def _node(name: str, env: dict[str, str], parameters: Sequence[str]) -> Iterator[_Process]:
    words = [word for parameter in parameters for word in ('-p', parameter)]
    command = [sys.executable, '-m', 'e4_ros.nodes', name, '--ros-args', *words]
    with tempfile.TemporaryFile() as log:
        process = _Process(command, env, log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def _camera(
    env: dict[str, str],
    size: tuple[int, int] = (640, 480),
    rate_hz: float = RATE_HZ,
    name: str = '',
) -> Iterator[subprocess.Popen[bytes]]:
    words = ['--width', str(size[0]), '--height', str(size[1]), '--rate', str(rate_hz)]
    words += ['--name', name]
    process = subprocess.Popen(
        [sys.executable, '-m', 'e4_ros.nodes.bench_camera', *words],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        _await(process, 'ready')
        yield process
    finally:
        process.communicate(timeout=20)  # closes its input, which ends it


def _await(camera: subprocess.Popen[bytes], event: str, watched: _Process | None = None) -> float:
    """When the camera saw ``event``; it prints a line for each."""
    assert camera.stdout is not None
    os.set_blocking(camera.stdout.fileno(), False)
    until_s, line = time.monotonic() + _PATIENCE_S, b''
    while time.monotonic() < until_s:
        line += camera.stdout.readline() or b''  # a pipe may hand out half a line
        if line.endswith(b'\n'):
            said, line = json.loads(line), b''
            if said['event'] == event:
                return float(said['at_s'])
            continue
        if watched is not None and watched.poll() is not None:
            raise StartError(f'perception ended with {watched.returncode}: {watched.words()}')
        if camera.poll() is not None:
            raise StartError(f'the camera ended with {camera.returncode}')
        time.sleep(0.002)
    last = '' if watched is None else f': {watched.words()}'
    raise StartError(f'no {event.replace("_", " ")} within {_PATIENCE_S:.0f} s{last}')


def _peak_mb(pid: int) -> float:
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) * 1024 / 1e6
    raise StartError('the kernel does not tell the peak of a process (VmHWM)')


def median(values: Sequence[float]) -> float:
    """Median, because a busy machine makes single starts slow and none too fast."""
    return float(statistics.median(values))
