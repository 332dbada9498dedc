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

"""Fault injection, so that every kind of refusal by a kernel can be tested.

A fault is `KIND:GLOB[:NUMBER]`; the glob is matched against the path below the root (`*` also
matches `/`). `NUMBER` is the seconds that `slow` takes, else the number of writes before the first
failure.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from fnmatch import fnmatch

from e4_ros.energy.virtual.clocks import refuse

KINDS = {
    'eio': 'writes end with EIO',
    'eacces': 'writes end with EACCES',
    'ebusy': 'writes end with EBUSY',
    'einval': 'writes end with EINVAL',
    'slow': 'writes take NUMBER seconds',
    'stuck': 'writes are taken and change nothing',
    'unreadable': 'reads end with EIO',
    'gone': 'the files disappear; open ones answer ENODEV',
}
_REFUSALS = {
    'eio': errno.EIO,
    'eacces': errno.EACCES,
    'ebusy': errno.EBUSY,
    'einval': errno.EINVAL,
}


class FaultError(ValueError):
    """The text does not describe a fault."""


@dataclass
class Fault:
    """One fault.

    Attributes:
        kind: one of `KINDS`.
        glob: pattern of paths below the root.
        number: seconds for `slow`, else the number of writes before the first that fails.
    """

    kind: str
    glob: str
    number: float = 0
    _passed: int = field(default=0, repr=False)

    @staticmethod
    def parse(text: str) -> Fault:
        """Read `KIND:GLOB[:NUMBER]`.

        Raises:
            FaultError: the text does not describe a fault.
        """
        kind, _, rest = text.strip().partition(':')
        glob, _, number = rest.rpartition(':')
        if not glob or not _is_number(number):
            glob, number = rest, '0'
        if kind not in KINDS or not glob:
            raise FaultError(
                f'{text!r} is not a fault: write KIND:GLOB[:NUMBER] with a kind of '
                + ', '.join(KINDS)
            )
        return Fault(kind, glob, float(number))

    def __str__(self) -> str:
        return f'{self.kind}:{self.glob}:{self.number:g}'

    def strikes(self) -> bool:
        """Count a write; whether it fails, as every one after the first `number` does."""
        self._passed += 1
        return self._passed > self.number


class Faults:
    """The faults in force."""

    def __init__(self, faults: list[Fault]) -> None:
        self._faults = list(faults)

    def replace(self, text: str) -> None:
        """Replace all faults by those of a text, one on a line; empty for none."""
        try:
            self._faults = [Fault.parse(line) for line in text.splitlines() if line.strip()]
        except FaultError:
            raise refuse(errno.EINVAL) from None

    def __str__(self) -> str:
        return '\n'.join(map(str, self._faults))

    def gone(self, path: str) -> bool:
        """Whether a file has disappeared."""
        return any(f.kind == 'gone' and fnmatch(path, f.glob) for f in self._faults)

    def before_read(self, path: str) -> None:
        """Raise the `OSError` with which a read of `path` ends, if a fault says so."""
        if any(f.kind == 'unreadable' and fnmatch(path, f.glob) for f in self._faults):
            raise refuse(errno.EIO)

    def delay_s(self, path: str) -> float:
        """Seconds that a write to `path` takes."""
        return sum(f.number for f in self._faults if f.kind == 'slow' and fnmatch(path, f.glob))

    def before_write(self, path: str) -> bool:
        """Raise the error of a write to `path`; return whether the write is silently lost."""
        lost = False
        for fault in self._faults:
            if not fnmatch(path, fault.glob):
                continue
            if fault.kind in _REFUSALS and fault.strikes():
                raise refuse(_REFUSALS[fault.kind])
            lost |= fault.kind == 'stuck' and fault.strikes()
        return lost


def _is_number(text: str) -> bool:
    try:
        return float(text) >= 0
    except ValueError:
        return False
