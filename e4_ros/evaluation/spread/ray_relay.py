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

"""The Ray side of `ray_workers`: a process of its own that talks to the cluster.

Ray ends its driver's process when the cluster's head is gone for too long, and writes to the
terminal as it likes. Both are kept away from the command that a person looks at.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from e4_ros.evaluation.spread.workers import Task, reason

_CHUNK = 16 << 20  # bytes of a shipped file that are one object of the cluster
_LOOK_S = 2.0  # between two looks at whether the head is there
_STARTS = 3  # of a local cluster, at most
_OBJECT_STORE = 512 << 20  # bytes of shared memory of a local cluster
_ENVIRONMENT = {
    'RAY_USAGE_STATS_ENABLED': '0',  # nothing is sent to anybody
    'RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO': '0',
    'RAY_gcs_rpc_server_reconnect_timeout_s': '10',  # then the head counts as gone
    'RAY_DEDUP_LOGS': '0',
    'RAY_DISABLE_IMPORT_WARNING': '1',
}


def relay(pipe: Connection, address: str, cpus: int, gpus: float, temp: str, log: str) -> None:
    """Connect, then begin what the pipe asks for and send back what happens, until it closes.

    Args:
        pipe: What `ray_workers` holds the other end of.
        address: ``local`` for a cluster of this process, ``auto`` for the one of this machine or
            else a local one, or ``HOST:PORT``.
        cpus: Workers of a local cluster.
        gpus: GPUs that each task needs.
        temp: Folder for a local cluster's files.
        log: File that takes what Ray writes.
    """
    os.setsid()  # Ctrl-C on the terminal is for the command, which says what is to end
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.update(_ENVIRONMENT)
    try:
        pipe.send(('up', _connect(address, cpus, temp)))
    except Exception as error:
        pipe.send(('gone', _root(error)))
        return
    import ray

    try:
        _Relay(pipe, gpus).serve()
    except (EOFError, BrokenPipeError):
        pass  # nobody listens any more
    finally:
        ray.shutdown()
        shutil.rmtree(temp, ignore_errors=True)


def _root(error: BaseException) -> str:
    """Why there is no connection: what Ray says, and what it was that it met."""
    said, cause = reason(error), error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    more = str(cause).partition('. ')[0]
    return said if cause is error or more in said else f'{said} ({more})'


def _connect(address: str, cpus: int, temp: str) -> tuple[str, str]:
    """Connect to a cluster; return where it is, for people, and its address."""
    known = Path(os.environ.get('RAY_TMPDIR', '/tmp')) / 'ray' / 'ray_current_cluster'
    if address == 'auto' and not os.environ.get('RAY_ADDRESS') and not known.exists():
        address = 'local'
    if address == 'local' and not os.environ.get('RAY_AUTH_TOKEN'):
        # Nobody else's tasks, and no token in the home folder; Ray reads these when it is imported.
        os.environ |= {'RAY_AUTH_MODE': 'token', 'RAY_AUTH_TOKEN': secrets.token_hex(32)}
    import ray

    quiet: dict[str, Any] = {'log_to_driver': False, 'logging_level': 'error'}
    if address != 'local':
        try:
            ray.init(address=address, **quiet)
            nodes = sum(node['Alive'] for node in ray.nodes())
            here = ray.get_runtime_context().gcs_address
            return f'the Ray cluster at {here}, {nodes} machine{"s" if nodes != 1 else ""}', here
        except ConnectionError:
            if address != 'auto':
                raise
    os.environ['TMPDIR'] = temp  # of the workers, too: nothing is left when they are killed
    for left in reversed(range(_STARTS)):
        try:
            ray.init(
                address='local',
                num_cpus=cpus,
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE,
                _temp_dir=temp,
                **quiet,
            )
            break
        except Exception as error:
            ray.shutdown()
            # Ray gives its processes 30 s, which a busy machine may need.
            if not left or 'timed out' not in str(error):
                raise
    here = ray.get_runtime_context().gcs_address
    return 'a Ray cluster of this machine alone', here


class _Relay:
    def __init__(self, pipe: Connection, gpus: float) -> None:
        import ray

        self._ray: Any = ray
        self._pipe = pipe
        # A task that dies is not begun again by Ray: who began it has to know.
        self._run = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0, num_returns='streaming')(
            _run
        )
        self._running: dict[Any, str] = {}
        self._shared: dict[str, Any] = {}
        self._looked_s = 0.0

    def serve(self) -> None:
        while True:
            self._look()
            while self._pipe.poll(0 if self._running else 0.2):
                what, *values = self._pipe.recv()
                if what == 'begin':
                    self._begin(*values)
                elif what == 'share':
                    self._share(*values)
                else:
                    return
            if self._running:
                self._listen()

    def _look(self) -> None:
        """Say how many cores there are; raises, or ends this process, where there is no head."""
        if time.monotonic() - self._looked_s < _LOOK_S:
            return
        self._pipe.send(('cores', int(self._ray.cluster_resources().get('CPU', 0))))
        self._looked_s = time.monotonic()

    def _share(self, name: str, value: Any) -> None:
        self._shared[name] = self._ray.put(value)

    def _begin(self, task: Task) -> None:
        shared = [self._shared[name] for name in task.shared]
        shipped = None if task.ship is None else list(_parcels(task.ship, self._ray.put))
        stream = self._run.options(name=task.name).remote(
            task.function, task.arguments, shipped, *shared
        )
        self._running[stream] = task.name

    def _listen(self) -> None:
        ready, _ = self._ray.wait(list(self._running), timeout=0.2)
        for stream in ready:
            kind, value = self._next(stream)
            self._pipe.send(('event', self._running[stream], kind, value))
            if kind != 'said':
                del self._running[stream]

    def _next(self, stream: Any) -> tuple[str, Any]:
        errors = self._ray.exceptions
        try:
            return 'said', self._ray.get(next(stream))
        except StopIteration:
            return 'ended', None
        except errors.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, BaseException) else error
            return 'failed', reason(cause)
        except errors.LocalRayletDiedError:
            self._pipe.send(('gone', 'its part on this machine has ended'))
            raise EOFError from None
        except errors.RayError as error:
            return 'lost', _how_lost(error, errors)


def _how_lost(error: Exception, errors: Any) -> str:
    """What ended a worker, in a few words."""
    words = {
        errors.WorkerCrashedError: 'its worker process died',
        errors.OutOfMemoryError: 'its worker was killed, for the machine was out of memory',
        errors.NodeDiedError: 'its machine left the cluster',
    }
    told = [text for kind, text in words.items() if isinstance(error, kind)]
    return told[0] if told else f'{type(error).__name__}: {str(error).splitlines()[0]}'


def _parcels(path: Path, put: Callable[[Any], Any]) -> Iterator[tuple[str, list[Any]]]:
    """Files by their relative names, each as references to its pieces."""
    import numpy as np

    files = sorted(path.rglob('*')) if path.is_dir() else [path]
    for file in files:
        if not file.is_file():
            continue
        with file.open('rb') as content:
            pieces = iter(lambda: content.read(_CHUNK), b'')
            yield (
                str(file.relative_to(path.parent)),
                [put(np.frombuffer(piece, np.uint8)) for piece in pieces],
            )


def _run(
    function: Callable[..., None],
    arguments: Sequence[Any],
    shipped: Sequence[tuple[str, list[Any]]] | None,
    *shared: Any,
) -> Iterator[Any]:
    """What a task says, as Ray's streams want it: the task runs in a thread beside."""
    folder = None if shipped is None else tempfile.mkdtemp(prefix='e4-shipped-')
    try:
        values = [*arguments, *shared]
        if folder is not None and shipped is not None:
            values.append(_unpack(Path(folder), shipped))
        said: SimpleQueue[tuple[str, Any]] = SimpleQueue()

        def work() -> None:
            try:
                function(lambda value: said.put(('said', value)), *values)
            except BaseException as error:
                said.put(('failed', error))
            else:
                said.put(('ended', None))

        Thread(target=work, name='task', daemon=True).start()
        while True:
            kind, value = said.get()
            if kind == 'failed':
                raise value
            if kind == 'ended':
                return
            yield value
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _unpack(folder: Path, shipped: Sequence[tuple[str, list[Any]]]) -> Path:
    ray = sys.modules['ray']
    for name, pieces in shipped:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open('wb') as copy:
            for piece in pieces:
                copy.write(ray.get(piece))
    return folder / Path(shipped[0][0]).parts[0]
