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

"""Trainings that go on where they were interrupted, with the same result as without."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from e4_ros.vision.detections import Detections


class HasState(Protocol):
    """A module, an optimiser, a schedule."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that is needed to go on."""
        ...

    def load_state_dict(self, state: Mapping[str, Any], /) -> Any:
        """Go on from it."""
        ...


class WorkFile:
    """What one training has reached.

    Args:
        path: path of the file; None to keep nothing.
        **parts: what changes in a training.
    """

    def __init__(self, path: Path | None, **parts: Any):
        self._path = path
        self._parts: dict[str, HasState] = parts

    def resume(self) -> int:
        """Steps that are already done; 0 where nothing, or nothing that can be read, was kept."""
        if self._path is None or not self._path.is_file():
            return 0
        try:
            kept = torch.load(self._path, weights_only=True)
            states = {name: kept[name] for name in self._parts}
        except Exception:  # whatever a damaged file makes the loader raise
            return 0
        for name, part in self._parts.items():
            part.load_state_dict(states[name])
        return int(kept['done'])

    def keep(self, done: int) -> None:
        """Write the state after so many steps, whole or not at all."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._path.with_suffix('.part')
        states = {name: part.state_dict() for name, part in self._parts.items()}
        torch.save({'done': done, **states}, scratch)
        scratch.replace(self._path)


def chosen_once(file: Path, choose: Callable[[], list[str]]) -> list[str]:
    """What was chosen when a job began, and its file kept; on the first time what is chosen now.

    For choices that depend on a measurement: measured again they may differ, and then nothing that
    was learnt before would fit.
    """
    try:
        kept = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):  # or damaged
        kept = None
    if isinstance(kept, list) and all(isinstance(name, str) for name in kept):
        return kept
    names = choose()
    _write(file, json.dumps(names).encode())
    return names


def answered_once(
    file: Path | None, answer: Callable[[], list[list[Detections]]]
) -> list[list[Detections]]:
    """Lists of detections as the file keeps them; where it does not, those answered now.

    Args:
        file: path of the file; None to keep nothing.
        answer: function that finds the detections; as many lists each time.
    """
    if file is None:
        return answer()
    try:
        with np.load(file) as kept:
            return _unpacked(kept['table'], kept['counts'])
    except (FileNotFoundError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # or damaged
        pass
    found = answer()
    counts = [np.array([len(detections) for detections in each], np.int64) for each in found]
    rows = [
        np.column_stack([detections.boxes, detections.scores, detections.labels])
        for each in found
        for detections in each
    ]
    content = io.BytesIO()
    np.savez(content, table=np.concatenate(rows), counts=np.stack(counts))
    _write(file, content.getvalue())
    return found


def _unpacked(table: np.ndarray, counts: np.ndarray) -> list[list[Detections]]:
    parts = iter(np.split(table, counts.reshape(-1).cumsum()[:-1]))
    return [
        [Detections.of(part[:, :4], part[:, 4], part[:, 5]) for part in islice(parts, len(each))]
        for each in counts
    ]


def _write(file: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_suffix('.part')
    scratch.write_bytes(content)
    scratch.replace(file)


def training_device() -> torch.device:
    """A GPU if there is one."""
    return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
