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

"""A network in replicas of a Ray Serve deployment, on one machine or many.

The process that talks to Ray is a child of the server's: Ray ends a driver whose head is gone, and
must not end the server with it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from e4_ros import extras
from e4_ros.offload.engines.base import EngineError
from e4_ros.vision.detections import Detections
from e4_ros.vision.staged_network import StagedNetwork

_LONGEST_S = 30.0
_START_S = 180.0
_TRIES = 4  # to start a cluster here
_MOST_FAILURES = 3  # one after the other, until the cluster is asked patiently
_CALLS = 16  # that are under way in the child at most


class RayEngine:
    """Replicas of a network behind Ray Serve.

    Args:
        network: the network; its exits are not used.
        address: address of a running cluster, such as ``10.0.0.5:6379`` or ``auto``; empty starts
            one on this machine, which ends with the engine.
        replicas: number of replicas; each takes a core.
        batch: frames that a replica takes at once.
        cpus: cores of a cluster that is started here; None for all.
        start_s: seconds that the cluster and the replicas have to start.

    Raises:
        MissingExtraError: ray is not installed.
        EngineError: there is no cluster at that address, or it does not start the replicas.
    """

    def __init__(
        self,
        network: StagedNetwork,
        address: str = '',
        replicas: int = 2,
        batch: int = 1,
        cpus: int | None = None,
        start_s: float = _START_S,
    ) -> None:
        extras.require('cluster', 'an edge server on Ray')
        self.largest_batch = replicas * batch
        self._options = {
            'address': address,
            'replicas': replicas,
            'batch': batch,
            'cpus': cpus,
            'name': f'e4-edge-{os.getpid()}-{id(self):x}',
        }
        self._network, self._start_s = network.without_exits(), start_s
        self._replicas, self._batch = replicas, batch
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._coming: _Child | None = None
        self._starting: threading.Thread | None = None
        self._closed, self._failures = False, 0
        self._child = self._started()

    @property
    def pid(self) -> int | None:
        """Number of the process that talks to Ray."""
        return None if self._child is None else self._child.pid

    @property
    def where(self) -> str:
        """Which cluster."""
        cluster = self._options['address'] or 'this machine'
        return f'by {self._replicas} replicas of the Ray cluster of {cluster}'

    def answers(
        self, frames: Sequence[np.ndarray], min_score: float, left_s: float = math.inf
    ) -> list[Detections]:
        """See `Engine`; frames are spread over the replicas."""
        end_s = time.monotonic() + min(left_s, _LONGEST_S)
        child = self._alive()
        parts = [frames[at : at + self._batch] for at in range(0, len(frames), self._batch)]
        begun = [child.ask(list(part), min_score, end_s - time.monotonic()) for part in parts]
        found: list[Detections] = []
        try:
            for future in begun:
                found += future.result(max(end_s - time.monotonic(), 0))
        except (EngineError, FutureTimeout) as error:
            self._fails(child)
            reason = f'no answer in time {self.where}' if not str(error) else str(error)
            raise EngineError(reason) from None
        self._failures = 0
        return found

    def close(self) -> None:
        """Take the replicas down, and the cluster if it was started here."""
        self._closed = True
        if self._coming is not None and self._coming is not self._child:
            self._coming.kill()  # one that is still to start has answered nobody
        if self._child is not None:
            self._child.close()

    def _fails(self, child: _Child) -> None:
        """After some failures ask patiently; short deadlines alone say nothing of the cluster."""
        self._failures += 1
        if self._failures >= _MOST_FAILURES:
            self._failures = 0
            threading.Thread(target=_probe, args=(child,), daemon=True).start()

    def _alive(self) -> _Child:
        with self._lock:
            child = self._child
            if child is not None and child.alive:
                return child
            starting = self._starting is not None and self._starting.is_alive()
            if not starting and not self._closed:
                self._starting = threading.Thread(target=self._start_again, daemon=True)
                self._starting.start()
        raise EngineError(
            f'there is no connection to the Ray cluster of '
            f'{self._options["address"] or "this machine"}: its head is gone; a new one is tried'
        )

    def _start_again(self) -> None:
        try:
            child = self._started()
        except EngineError:
            return  # the next question tries again, and says so
        with self._lock:
            self._child = child
        if self._closed:
            child.close()

    def _started(self) -> _Child:
        child = self._coming = _Child(self._network, self._options)
        try:
            child.wait(self._start_s)
        except EngineError:
            child.kill()
            raise
        return child


class _Child:
    """The process that talks to Ray, and what it was asked."""

    def __init__(self, network: StagedNetwork, options: dict[str, Any]) -> None:
        context = multiprocessing.get_context('spawn')
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_drive, args=(theirs, network, options), daemon=True)
        self._process.start()
        theirs.close()
        self._lock = threading.Lock()
        self._asked: dict[int, Future[list[Detections]]] = {}
        self._number = 0
        self._ready: Future[None] = Future()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int | None:
        """Number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still answers."""
        return self._process.is_alive() and not self._pipe.closed

    def wait(self, longest_s: float) -> None:
        try:
            self._ready.result(longest_s)
        except FutureTimeout:
            raise EngineError(f'Ray has not started the replicas in {longest_s:.0f} s') from None

    def ask(
        self, frames: list[np.ndarray], min_score: float, left_s: float
    ) -> Future[list[Detections]]:
        found: Future[list[Detections]] = Future()
        with self._lock:
            self._number += 1
            self._asked[self._number] = found
            try:
                self._pipe.send((self._number, frames, min_score, left_s))
            except OSError as error:
                del self._asked[self._number]
                found.set_exception(EngineError(f'Ray cannot be asked any more: {error}'))
        return found

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._pipe.send(None)
        self._process.join(30)
        self.kill()
        self._pipe.close()

    def kill(self) -> None:
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _read(self) -> None:
        reason = 'the process that talks to Ray has ended: its head is gone'
        while True:
            try:
                number, found = self._pipe.recv()
            except (EOFError, OSError):
                break
            if number is None and found is not None:
                reason = found
            elif number is None:
                self._ready.set_result(None)
            else:
                self._done(number, found)
        if not self._ready.done():
            self._ready.set_exception(EngineError(reason))
        with self._lock:
            left = list(self._asked)
        for number in left:
            self._done(number, reason)

    def _done(self, number: int, found: list[Detections] | str) -> None:
        with self._lock:
            future = self._asked.pop(number)
        if isinstance(found, str):
            future.set_exception(EngineError(found))
        else:
            future.set_result(found)


def _probe(child: _Child) -> None:
    """End a child that answers nothing at all any more, so that another is started."""
    try:
        child.ask([np.zeros((16, 16, 3), np.uint8)], 1.0, _LONGEST_S).result(_LONGEST_S)
    except (EngineError, FutureTimeout):
        child.kill()


def _drive(pipe: Connection, network: StagedNetwork, options: dict[str, Any]) -> None:
    """Connect to Ray, start the replicas, and pass frames on: all that the child does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this
    os.dup2(2, 1)  # what Ray prints is not for those who read the server's standard output
    try:
        handle = _replicas(network, options)
    except Exception as error:  # ray raises whatever its parts do
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else repr(error)
        cluster = options['address'] or 'this machine'
        pipe.send((None, f'Ray cannot start {options["replicas"]} replicas on {cluster}: {reason}'))
        return
    sending = threading.Lock()

    def serve(number: int, frames: list[np.ndarray], min_score: float, left_s: float) -> None:
        found: list[Detections] | str
        try:
            found = handle.answers.remote(frames, min_score).result(timeout_s=max(left_s, 0.001))
        except Exception as error:  # of a replica, of the network between, or no time left
            reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else ''
            found = f'a replica of Ray Serve does not answer: {reason or type(error).__name__}'
        with sending:
            pipe.send((number, found))

    with ThreadPoolExecutor(_CALLS) as pool:
        pipe.send((None, None))
        while (asked := _next(pipe)) is not None:
            pool.submit(serve, *asked)
    _take_down(options)


def _next(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except (EOFError, OSError):  # the server has ended
        return None


def _replicas(network: StagedNetwork, options: dict[str, Any]) -> Any:
    from ray import serve

    logging.getLogger('ray.serve').setLevel(logging.ERROR)
    about: dict[str, Any] = {'logging_level': 'ERROR', 'log_to_driver': False}
    if options['address']:
        about['address'] = options['address']
    else:
        about |= {'num_cpus': options['cpus'], 'include_dashboard': False}
    _connect(about, tries=1 if options['address'] else _TRIES)
    serve.start(proxy_location='Disabled')
    replicas = serve.deployment(
        name='network',
        num_replicas=options['replicas'],
        max_ongoing_requests=2,
        ray_actor_options={'num_cpus': 1},
    )
    app = replicas(_Replica).bind(network, options['batch'])
    return serve.run(app, name=options['name'], route_prefix=None)


def _connect(about: dict[str, Any], tries: int) -> None:
    """Connect to a cluster or start one, for which a busy machine needs longer than Ray waits."""
    import ray

    for left in reversed(range(tries)):
        try:
            ray.init(**about)
            return
        except Exception:  # ray has no name for a start that took too long
            ray.shutdown()
            if not left:
                raise


def _take_down(options: dict[str, Any]) -> None:
    import ray
    from ray import serve

    try:
        serve.delete(options['name'])
        if not options['address']:
            serve.shutdown()
    except Exception:  # the cluster is gone, and the replicas with it
        pass
    ray.shutdown()


class _Replica:
    """One copy of the network; Ray runs it in a process of its own."""

    def __init__(self, network: StagedNetwork, batch: int) -> None:
        from e4_ros.offload.engines.local import LocalEngine

        self._engine = LocalEngine(network, batch=batch)

    def answers(self, frames: list[np.ndarray], min_score: float) -> list[Detections]:
        return self._engine.answers(frames, min_score)
