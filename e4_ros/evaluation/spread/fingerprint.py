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

"""What results were made from: the content of the source and of every file that options name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from e4_ros import __version__
from e4_ros.evaluation.job import JobOptions

Marks = Mapping[str, tuple[int, int, str]]
"""File by its name below the source → bytes, time of its last change in ns, hash of its content."""

_CHUNK = 1 << 20


def marks_of(path: Path, known: Marks | None = None) -> Marks:
    """The content of a file, or of all files in a folder.

    Args:
        path: The file or folder.
        known: Marks of earlier; where a file has still the same size and time it is not read again.

    Raises:
        OSError: something cannot be read.
    """
    files = sorted(file for file in path.rglob('*') if file.is_file()) if path.is_dir() else [path]
    marks = {}
    for file in files:
        name, state = str(file.relative_to(path)), file.stat()
        about = state.st_size, state.st_mtime_ns
        before = (known or {}).get(name)
        same = before is not None and tuple(before[:2]) == about
        marks[name] = (*about, before[2] if same and before else _hash(file))
    return marks


def key_of(marks: Marks, options: JobOptions, more: Mapping[str, object]) -> str:
    """One hash of source, options, files that these name, and the version of this package.

    Where a file lies and what the source is called do not matter.

    Args:
        marks: Marks of the source.
        options: Options of the run.
        more: What else changes the results.
    """
    settings: dict[str, object] = {}
    for name, value in asdict(options).items():
        path = Path(value) if isinstance(value, (str, Path)) and str(value) else None
        named = path is not None and (isinstance(value, Path) or name == 'model') and path.exists()
        settings[name] = _contents(marks_of(path)) if named and path is not None else str(value)
    about = [__version__, _contents(marks), settings, {k: str(v) for k, v in more.items()}]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _contents(marks: Marks) -> dict[str, str]:
    return {name: mark[2] for name, mark in marks.items()}


def _hash(file: Path) -> str:
    found = hashlib.sha256()
    with file.open('rb') as content:
        while chunk := content.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
