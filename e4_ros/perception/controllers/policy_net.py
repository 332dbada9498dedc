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

"""A trained policy as a robot runs it: a few layers, by numpy, from a file of numbers.

Where it was trained needs torch (`evaluation.simulation`); this does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

LARGEST_BYTES = 16_000_000


class PolicyError(ValueError):
    """A file holds no policy."""


@dataclass(frozen=True)
class PolicyNet:
    """Layers with ReLU between them, whose outputs are cut into one branch for each decision.

    Attributes:
        weights: of each layer, ``(outputs, inputs)``.
        biases: of each layer, ``(outputs,)``.
        branches: number of choices of each decision; they sum to the last layer's outputs.
        mean: ``(inputs,)``, taken off a state before anything else.
        scale: ``(inputs,)``, by which it is then divided.
        frames: frames that it was trained on.
        of: what it was trained for, such as the name of a board; empty: anything.
    """

    weights: Sequence[Array]
    biases: Sequence[Array]
    branches: tuple[int, ...]
    mean: Array
    scale: Array
    frames: int = 0
    of: str = ''

    def __post_init__(self) -> None:
        size = len(self.mean)
        if len(self.scale) != size or len(self.weights) != len(self.biases) or not self.weights:
            raise PolicyError('layers and scales of a policy do not fit each other')
        for weight, bias in zip(self.weights, self.biases, strict=True):
            if weight.ndim != 2 or weight.shape != (len(bias), size):
                raise PolicyError(f'a layer of {weight.shape} does not follow one of {size}')
            size = len(bias)
        if sum(self.branches) != size or min(self.branches, default=0) < 1:
            raise PolicyError(f'{size} outputs cannot be {self.branches} choices')
        if not all(np.isfinite(array).all() for array in self._arrays()):
            raise PolicyError('a policy has a number that is none')

    def values(self, state: Array) -> list[Array]:
        """What the network says of each choice, one array a branch.

        Args:
            state: ``(inputs,)``.
        """
        x = (np.asarray(state, np.float32) - self.mean) / self.scale
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = weight @ x + bias
            if index < last:
                x = np.maximum(x, 0)
        return np.split(x, np.cumsum(self.branches)[:-1])

    def choose(self, state: Array) -> tuple[int, ...]:
        """The best choice of each branch."""
        return tuple(int(np.argmax(values)) for values in self.values(state))

    def save(self, path: Path) -> None:
        """Write it as ``.npz``."""
        arrays: dict[str, Any] = {f'weight{i}': w for i, w in enumerate(self.weights)}
        arrays |= {f'bias{i}': b for i, b in enumerate(self.biases)}
        arrays |= {'mean': self.mean, 'scale': self.scale}
        arrays |= {'branches': np.array(self.branches), 'frames': np.array(self.frames)}
        arrays |= {'of': np.array(self.of)}
        np.savez(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> PolicyNet:
        """Read what `save` wrote.

        Raises:
            PolicyError: it is no policy.
            OSError: it cannot be read.
        """
        if path.stat().st_size > LARGEST_BYTES:
            raise PolicyError(f'{path} is too large for a policy')
        try:
            with np.load(path, allow_pickle=False) as data:
                depth = sum(name.startswith('weight') for name in data.files)
                return cls(
                    [data[f'weight{i}'].astype(np.float32) for i in range(depth)],
                    [data[f'bias{i}'].astype(np.float32) for i in range(depth)],
                    tuple(int(n) for n in data['branches']),
                    data['mean'].astype(np.float32),
                    data['scale'].astype(np.float32),
                    int(data['frames']),
                    str(data['of']) if 'of' in data.files else '',
                )
        except (KeyError, ValueError, EOFError, BadZipFile) as error:
            raise PolicyError(f'{path} is no policy: {error}') from error

    def _arrays(self) -> list[Array]:
        return [*self.weights, *self.biases, self.mean, self.scale]
