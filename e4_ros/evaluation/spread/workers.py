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

"""Places where tasks run, and the first of them: processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from e4_ros.evaluation.spread.scratch import make_scratch

Say = Callable[[Any], None]
"""What a task says while it runs, for whoever began it."""


class WorkersGoneError(OSError):
    """The place where tasks ran is gone, as when a cluster's head ended."""


@dataclass(frozen=True)
class Task:
    """A piece of work that knows all it needs, and changes nothing but by what it says.

    It may be lost with its worker and be begun again from its beginning.

    Attributes:
        name: Name of the task; of two that run at a time it differs.
        function: A module's function, called with `Say` and the arguments; it raises to fail.
        arguments: What it is called with, which another process can be sent.
        shared: Names of values that were shared before (`Workers.share`); they follow the
            arguments.
        ship: A file or folder of this machine that goes along: the path of its copy is the last
            argument. None for nothing.
    """

    name: str
    function: Callable[..., None]
    arguments: tuple[Any, ...] = ()
    shared: Sequence[str] = ()
    ship: Path | None = None


class Event(NamedTuple):
    """What became of a task.

    Attributes:
        task: Name of the task.
        kind: ``said`` something; ``ended`` as it should; ``failed`` for a reason of its own, as it
            would again; or was ``lost`` with its worker.
        value: What was said, or the reason.
    """

    task: str
    kind: str
    value: Any = None


class Workers(Protocol):
    """A place where tasks run."""

    def limit(self) -> int:
        """How many tasks should run at a time."""
        ...

    def share(self, name: str, value: Any) -> None:
        """Keep a value where tasks run, sent once however many tasks use it."""
        ...

    def begin(self, task: Task) -> None:
        """Let a task run as soon as there is a core for it."""
        ...

    def events(self, timeout_s: float) -> list[Event]:
        """What happened; waits for the first of it.

        Raises:
            WorkersGoneError: nothing runs there any more; it says what to do.
        """
        ...

    def close(self) -> None:
        """End whatever runs."""
        ...


class Processes:
    """One process of this machine for each task, a new one each time.

    Args:
        count: How many run at a time.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._spawn = multiprocessing.get_context('spawn')
        self._running: dict[Connection, tuple[str, SpawnProcess]] = {}
        self._shared: dict[str, Any] = {}
        self._temp = make_scratch()

    def limit(self) -> int:
        """The count."""
        return self._count

    def share(self, name: str, value: Any) -> None:
        """Each process gets a copy."""
        self._shared[name] = value

    def begin(self, task: Task) -> None:
        """Start a process."""
        ours, theirs = self._spawn.Pipe(duplex=False)
        values = [*task.arguments, *(self._shared[name] for name in task.shared)]
        if task.ship is not None:
            values.append(task.ship)
        process = self._spawn.Process(
            target=_serve, args=(theirs, str(self._temp), task.function, values), daemon=True
        )
        process.start()
        theirs.close()
        self._running[ours] = task.name, process

    def events(self, timeout_s: float) -> list[Event]:
        """One event of each process that has something to say."""
        return [self._event(ready) for ready in wait(list(self._running), timeout_s)]  # type: ignore[arg-type]

    def _event(self, pipe: Connection) -> Event:
        name, process = self._running[pipe]
        try:
            kind, value = pipe.recv()
        except (EOFError, OSError):  # it ended, and did not say how
            kind, value = 'lost', ''
        if kind != 'said':
            del self._running[pipe]
            pipe.close()
            process.join()
            value = value or how_it_ended(process.exitcode)
        return Event(name, kind, value)

    def close(self) -> None:
        """Kill what still runs; what it did was for those who listened."""
        for pipe, (_, process) in self._running.items():
            process.kill()
            process.join()
            pipe.close()
        self._running.clear()
        shutil.rmtree(self._temp, ignore_errors=True)


def how_it_ended(exitcode: int | None) -> str:
    """An exit code in words."""
    if exitcode is not None and exitcode < 0:
        return f'its process was killed by {signal.Signals(-exitcode).name}'
    return f'its process ended with exit code {exitcode}'


def reason(error: BaseException) -> str:
    """What failed, in a sentence: errors that are meant for users as they stand."""
    if isinstance(error, (OSError, ValueError)) and str(error):
        return str(error)
    return f'{type(error).__name__}: {error}'


def _serve(
    pipe: Connection, temp: str, function: Callable[..., None], values: Sequence[Any]
) -> None:
    """Run one task; Ctrl-C is for the process that began it, which then ends this one."""
    tempfile.tempdir = temp  # is removed even if this process is killed
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    try:
        function(lambda value: pipe.send(('said', value)), *values)
    except BrokenPipeError:
        return  # nobody listens any more
    except Exception as error:
        pipe.send(('failed', reason(error)))
    else:
        pipe.send(('ended', None))
