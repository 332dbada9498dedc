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

"""What is wrong, said once in the log, and once when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable

_AGAIN_S = 10.0  # something that comes and goes is not said each time


class Troubles:
    """What keeps a node from its work at present, by kind.

    Args:
        warn: Takes the text of a new trouble.
        info: Takes the text of one that is over.
    """

    def __init__(self, warn: Callable[[str], None], info: Callable[[str], None]) -> None:
        self._warn, self._info = warn, info
        self._present: dict[str, str] = {}
        self._said_s: dict[str, float] = {}
        self._told: set[str] = set()

    @property
    def present(self) -> list[str]:
        """Texts of what is wrong now."""
        return list(self._present.values())

    def begin(self, kind: str, text: str) -> None:
        """Note that something is wrong; the log has it the first time."""
        is_new = kind not in self._present
        self._present[kind] = text
        now_s = time.monotonic()
        if is_new and now_s - self._said_s.get(kind, -_AGAIN_S) >= _AGAIN_S:
            self._said_s[kind] = now_s
            self._told.add(kind)
            self._warn(text)

    def end_all(self, text: str) -> None:
        """Note that nothing is wrong any more; the log has it for each trouble that it had."""
        for kind in [*self._present]:
            del self._present[kind]
            if kind in self._told:
                self._told.discard(kind)
                self._info(f'{kind}: {text}')
