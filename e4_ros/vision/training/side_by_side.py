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

"""Independent trainings at the same time, instead of all cores on each operation of one.

Small networks leave the cores of a training waiting for each other at every operation; on a busy
machine that costs several times the work itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

Progress = Callable[[str, int, int], None]
Made = TypeVar('Made')

_global_seed = threading.Lock()


def side_by_side(progress: Progress, *tasks: Callable[[Progress], Any]) -> list[Any]:
    """Results of all tasks. Where one fails or is interrupted the others end at their next step.

    Args:
        progress: function that receives what the tasks say, one call at a time.
        *tasks: each is given a function to say how far it has come.
    """
    stop, speaking = threading.Event(), threading.Lock()

    def told(phase: str, done: int, total: int) -> None:
        if stop.is_set():
            raise CancelledError
        with speaking:
            progress(phase, done, total)

    with _one_thread_an_operation(), ThreadPoolExecutor(len(tasks)) as pool:
        begun = [pool.submit(task, told) for task in tasks]
        try:
            ended, _ = wait(begun, return_when=FIRST_EXCEPTION)
            for task in ended:
                task.result()  # raises what it raised
            return [task.result() for task in begun]
        finally:
            stop.set()


def seeded(seed: int, make: Callable[[], Made]) -> Made:
    """What ``make`` makes with torch's global generator at a seed, whatever other threads do."""
    with _global_seed:
        torch.manual_seed(seed)
        return make()


@contextmanager
def _one_thread_an_operation() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
