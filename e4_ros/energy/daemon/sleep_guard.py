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

"""Suspend and resume: clocks are given back before the machine sleeps and pinned anew after it.

Before it sleeps nobody but the system knows: its hook (``config/systemd/e4-sleep``) makes a folder
``sleep`` beside the undo log, and the daemon answers by renaming it to ``asleep``. That the machine
slept, with a hook or without, is seen by the two clocks of the kernel of which one stands still.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from e4_ros.energy.daemon.core import DaemonCore
from e4_ros.energy.daemon.safe_folder import open_folder

_log = logging.getLogger(__name__)

_ASKED, _ANSWERED = 'sleep', 'asleep'
_SLEPT_S = 0.1  # more than the two clocks are ever read apart


def slept_s() -> float:
    """Seconds for which the machine has slept since it started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


class SleepGuard:
    """Looks whether the machine is about to sleep, or has slept.

    Args:
        core: daemon core whose clocks are restored.
        state_dir: folder in which the system's hook asks.
        slept: seconds for which the machine has slept so far.
    """

    def __init__(
        self, core: DaemonCore, state_dir: str | Path, slept: Callable[[], float] = slept_s
    ) -> None:
        self._core = core
        self._folder = open_folder(state_dir, make=False)
        self._slept = slept
        self._before_s = slept()

    def look(self) -> None:
        """Restore every clock where sleep is near, and where the machine has slept."""
        now_s = self._slept()
        if now_s - self._before_s > _SLEPT_S:
            _log.info(
                'the machine slept for %.1f s; clocks are pinned anew', now_s - self._before_s
            )
            self._core.rest_all()
        self._before_s = now_s
        if self._is_there(_ASKED):
            self._core.pause()
            _log.info('the machine is about to sleep; the clocks are as before')
            with contextlib.suppress(OSError):  # the hook waited no longer
                os.rename(_ASKED, _ANSWERED, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        elif not self._is_there(_ANSWERED):
            self._core.resume()

    def close(self) -> None:
        """Look no more."""
        os.close(self._folder)

    def _is_there(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except OSError:
            return False
        return True
