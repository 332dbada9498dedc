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

"""Frozen features of clips, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from e4_ros.vision.clips.backbone import ClipBackbone

_KEPT_BYTES = 2 << 30  # of features held in memory while training


class Clip(Protocol):
    """A labelled clip that can be read."""

    @property
    def key(self) -> str:
        """Short, safe as a file name, and another one if the clip is another."""
        ...

    @property
    def label(self) -> int:
        """Index of its class."""
        ...

    def frames(self, count: int) -> np.ndarray:
        """Evenly spaced, in order of time: ``(count, H, W, 3)`` uint8 RGB.

        Raises:
            ValueError: it cannot be decoded; says why.
        """
        ...


@dataclass(frozen=True)
class Features:
    """Of one clip: appearance ``(T, D)`` and motion ``(T, 4, h, w)``, float16."""

    deep: np.ndarray
    motion: np.ndarray


class FeatureStore:
    """Features by clip in a folder, each in a file of its own: interrupted work goes on.

    Args:
        folder: folder of the feature files.
        backbone: network that computes the features.
        frames: seen of each clip.

    Attributes:
        name: another one if the features would be others.
    """

    def __init__(self, folder: Path, backbone: ClipBackbone, frames: int):
        self.name = f'{backbone.key}-{frames}'
        self._folder = folder / self.name
        self._backbone = backbone
        self._frames = frames

    def has(self, clip: Clip) -> bool:
        """Whether the features of a clip are there."""
        return self._path(clip).is_file()

    def compute(
        self, clips: Sequence[Clip], progress: Callable[[int], None] = lambda done: None
    ) -> list[str]:
        """Compute what is not there; returns what was wrong with clips that cannot be read."""
        problems = []
        for done, clip in enumerate(clips, 1):
            if not self.has(clip):
                try:
                    self._keep(clip)
                except ValueError as error:
                    problems.append(str(error))
            progress(done)
        return problems

    def load(self, clip: Clip) -> Features:
        """Read the features of a clip."""
        with np.load(self._path(clip)) as arrays:
            return Features(arrays['deep'], arrays['motion'])

    def _keep(self, clip: Clip) -> None:
        seen = self._backbone.see(clip.frames(self._frames))
        path = self._path(clip)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f'.{os.getpid()}.part')
        with part.open('wb') as file:
            np.savez(file, deep=seen.deep.half().numpy(), motion=seen.motion.half().numpy())
        part.replace(path)

    def _path(self, clip: Clip) -> Path:
        return self._folder / clip.key[:2] / f'{clip.key}.npz'


class FeatureSet(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Clips with features, for a data loader: ``(deep, motion, label)``.

    Args:
        store: store with the features of all clips.
        clips: clips of the set, in any order.
    """

    def __init__(self, store: FeatureStore, clips: Sequence[Clip]):
        self.clips = list(clips)
        self._store = store
        self._kept: dict[int, Features] = {}
        self._room = _KEPT_BYTES

    @property
    def key(self) -> str:
        """Another one if the clips, their labels or their features are others."""
        digest = hashlib.sha256(self._store.name.encode())
        for clip in self.clips:
            digest.update(f'{clip.key} {clip.label}\n'.encode())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        features = self._kept.get(index)
        if features is None:
            features = self._store.load(self.clips[index])
            self._room -= features.deep.nbytes + features.motion.nbytes
            if self._room > 0:
                self._kept[index] = features
        label = torch.tensor(self.clips[index].label)
        deep, motion = torch.from_numpy(features.deep), torch.from_numpy(features.motion)
        return deep.float(), motion.float(), label
