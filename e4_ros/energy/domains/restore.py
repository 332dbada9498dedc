"""Writing originals back, in an order that kernels of every generation accept (see `pins`).

What somebody asked for cannot be read on kernels with PM QoS, only the effective range: an original
taken while heat holds the clock down is the lower one.
"""

from __future__ import annotations

import time
from pathlib import Path

from e4_ros.energy.domains.pins import POLL_S, SETTLE_S
from e4_ros.energy.domains.sysfs import KernelFiles, read_text
from e4_ros.energy.errors import DomainError


def restore_text(files: KernelFiles, path: Path, text: str) -> list[str]:
    """Write one original back and check that it reads the same; return what went wrong."""
    try:
        files.write(path, text)
        return _differing(path, text)
    except DomainError as error:
        return [str(error.strerror)]


def restore_range(
    files: KernelFiles, low: Path, high: Path, saved: tuple[str, str], floor: str
) -> list[str]:
    """Give a min/max pair back whatever it is now; return one line for each that did not come.

    What counts is how the pair reads in the end: a refused write on the way may not matter.
    """
    refusals: dict[Path, str] = {}
    for path, text in ((low, floor), (high, saved[1]), (low, saved[0])):
        try:
            files.write(path, text)
            refusals.pop(path, None)
        except DomainError as error:
            refusals[path] = str(error.strerror)
    return [
        refusals.get(path, line)
        for path, text in ((low, saved[0]), (high, saved[1]))
        for line in _differing(path, text)
    ]


def _differing(path: Path, text: str) -> list[str]:
    """One line if `path` does not (soon) read `text`, else none."""
    deadline = time.monotonic() + SETTLE_S
    try:
        while (now := read_text(path)) != text:
            if time.monotonic() > deadline:
                return [f'{path} reads {now!r} after {text!r} was written back']
            time.sleep(POLL_S)
    except DomainError as error:
        return [str(error.strerror)]
    return []
