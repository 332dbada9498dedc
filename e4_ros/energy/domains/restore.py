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

"""Restoring saved state, in an order that kernels of every generation accept (see `pins`).

Kernels with PM QoS show only the effective range, not what somebody asked for. Under heat a limit
that was written, and accepted, therefore reads lower, and is restored all the same: it shows when
the heat is gone. One that was saved under heat is the lower one.
"""

from __future__ import annotations

import time
from pathlib import Path

from e4_ros.energy.domains.cooling import heat_state
from e4_ros.energy.domains.pins import POLL_S, SETTLE_S
from e4_ros.energy.domains.sysfs import KernelFiles, read_text
from e4_ros.energy.errors import DomainError


def restore_text(files: KernelFiles, path: Path, text: str, hot: bool = False) -> list[str]:
    """Restore one file and check that it reads the same; return what went wrong.

    Args:
        files: the open files of the domain.
        path: path of the file.
        text: its saved text.
        hot: whether heat may let it read lower.
    """
    try:
        files.write(path, text)
        return _differing(path, text, hot)
    except DomainError as error:
        return [str(error.strerror)]


def restore_range(
    files: KernelFiles, low: Path, high: Path, saved: tuple[str, str], floor: str, root: Path
) -> list[str]:
    """Restore a min/max pair, whatever it is now.

    What counts is how the pair reads in the end: a refused write in between may not matter. A lower
    limit above the upper one, as when only that was lowered meanwhile, becomes the same.

    Args:
        files: the open files of the domain.
        low: path of the file with the lower limit.
        high: path of the file with the upper limit.
        saved: saved texts of the lower and the upper limit.
        floor: text that the lower limit always accepts.
        root: folder that holds ``sys/``; it says whether heat holds the pair down.

    Returns:
        One line for each limit that could not be restored.
    """
    if all(text.isdigit() for text in saved) and 0 < int(saved[1]) < int(saved[0]):
        saved = saved[1], saved[1]
    refusals: dict[Path, str] = {}
    for path, text in ((low, floor), (high, saved[1]), (low, saved[0])):
        try:
            files.write(path, text)
            refusals.pop(path, None)
        except DomainError as error:
            refusals[path] = str(error.strerror)
    hot = heat_state(root) > 0
    return [
        refusals.get(path, line)
        for path, text in ((low, saved[0]), (high, saved[1]))
        for line in _differing(path, text, hot and path not in refusals)
    ]


def reads_lower(now: str, text: str) -> bool:
    """Whether a file holds a lower number than `text`."""
    return now.isdigit() and text.isdigit() and int(now) < int(text)


def _differing(path: Path, text: str, hot: bool) -> list[str]:
    """One line if `path` does not (soon) read `text`, nor under heat a lower number, else none."""
    deadline = time.monotonic() + SETTLE_S
    try:
        while (now := read_text(path)) != text:
            if time.monotonic() > deadline:
                if hot and reads_lower(now, text):
                    return []
                return [f'{path} reads {now!r} after {text!r} was written back']
            time.sleep(POLL_S)
    except DomainError as error:
        return [str(error.strerror)]
    return []
