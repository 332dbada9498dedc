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

"""Which exits an audit has switched off, kept on disk beside nothing but the checkpoint's hash."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from e4_ros.paths import cache_dir

_log = logging.getLogger(__name__)


class AuditRecord:
    """A small file that outlives the process.

    It belongs to one content of a checkpoint file: a new calibration is another content and starts
    with all exits on.

    Args:
        checkpoint_hash: hash of that content.
    """

    def __init__(self, checkpoint_hash: str):
        self.path: Path = cache_dir() / 'audit' / f'{checkpoint_hash}.json'

    def read(self) -> dict[str, str]:
        """Why, by exit that is switched off.

        A damaged file is put aside with a warning: the audits will find again what it said.
        """
        try:
            off = json.loads(self.path.read_text())
            if not isinstance(off, dict) or not all(isinstance(v, str) for v in off.values()):
                raise ValueError('it does not map exits to reasons')
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            _log.warning('%s cannot be read (%s): all exits are on again', self.path, error)
            self._put_aside()
            return {}
        return off

    def write(self, off: dict[str, str]) -> None:
        """Keep it, whole or not at all; a disk that cannot be written is no reason to stop.

        What another camera's audits switched off meanwhile stays in the file.
        """
        off = self.read() | off
        scratch = self.path.with_name(f'.{self.path.name}.{os.getpid()}')
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps(off, indent=1) + '\n')
            scratch.replace(self.path)
        except OSError as error:
            _log.warning('the exits are switched off until the next start only: %s', error)

    def _put_aside(self) -> None:
        try:
            self.path.replace(self.path.with_suffix('.damaged'))
        except OSError as error:
            _log.warning('and it cannot be put aside: %s', error)
