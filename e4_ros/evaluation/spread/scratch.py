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

"""Folders for a while, which go even if their process is killed: the next one removes them."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = 'e4-bag-'


def make_scratch() -> Path:
    """A new folder of this process; what processes that are gone left is removed."""
    parent = Path(tempfile.gettempdir())
    for left in parent.glob(f'{_PREFIX}*'):
        owner = left.name.removeprefix(_PREFIX).partition('-')[0]
        if owner.isdigit() and not Path('/proc', owner).exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f'{_PREFIX}{os.getpid()}-'))
