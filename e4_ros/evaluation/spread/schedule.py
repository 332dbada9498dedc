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

"""Hand tasks to workers, and again where a worker died with one."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, Protocol

from e4_ros.evaluation.spread.workers import Task, Workers

TRIES = 3  # a task whose worker dies each time is what kills it


class Listener(Protocol):
    """Who is told what becomes of tasks, one call at a time."""

    def begun(self, task: str) -> None:
        """A task begins from its beginning; what it said in an earlier try does not count."""
        ...

    def said(self, task: str, value: Any) -> None:
        """A task said something."""
        ...

    def ended(self, task: str) -> None:
        """A task is done."""
        ...

    def failed(self, task: str, why: str) -> None:
        """A task will not be done; what it said does not count."""
        ...

    def lost(self, task: str, why: str) -> bool:
        """A worker died; say whether its task has to be begun again, or had said all."""
        ...


def run_tasks(tasks: Iterable[Task], workers: Workers, listener: Listener) -> None:
    """Run all tasks, in their order as far as workers are free.

    A task that fails does so alone. One whose worker dies is begun again, `TRIES` times at most.

    Args:
        tasks: Tasks with names that differ; may be made as they are needed.
        workers: Where they run; still open afterwards.
        listener: Who is told.

    Raises:
        WorkersGoneError: the workers are gone.
    """
    waiting, again = iter(tasks), deque[Task]()
    running: dict[str, Task] = {}
    tries: Counter[str] = Counter()
    left = True
    while left or again or running:
        while (again or left) and len(running) < workers.limit():
            task = again.popleft() if again else next(waiting, None)
            if task is None:
                left = False
                break
            running[task.name] = task
            tries[task.name] += 1
            listener.begun(task.name)
            workers.begin(task)
        if not running:
            continue
        for name, kind, value in workers.events(0.5):
            if kind == 'said':
                listener.said(name, value)
                continue
            task = running.pop(name)
            if kind == 'ended':
                listener.ended(name)
            elif kind == 'failed':
                listener.failed(name, value)
            elif tries[name] < TRIES:
                if listener.lost(name, value):
                    again.append(task)
            else:
                listener.failed(name, f'{TRIES} workers died with it, the last one so: {value}')
