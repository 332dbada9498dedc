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

"""`versions.yaml`: what `e4 versions` measured, for the node that chooses among versions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from e4_ros.files import write_whole

FORMAT = 'e4_ros.versions/1'
_LARGEST_BYTES = 1_000_000


class VersionFileError(ValueError):
    """A file says nothing of versions that can be used; the message says what to do."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra='forbid', defer_build=True)


class Measured(_Entry):
    """What was measured of one version.

    Attributes:
        name: what it is called.
        fingerprint: changes with what it computes.
        model: name or folder of the bundle.
        precision: precision of its stages.
        input: height and width of its input, in pixels.
        f1: F1 of what it answers as the robot runs it.
        ms: exit → mean milliseconds of a frame on the machine that measured.
        joules: exit → modelled joules of a frame, at the board's default clocks.
        shares: exit → share of the frames that it answered.
        dominated_by: a version that is no worse in anything and better in something; empty: none.
    """

    name: str
    fingerprint: str
    model: str
    precision: str
    input: tuple[int, int]
    f1: float = Field(ge=0, le=1)
    ms: dict[str, float]
    joules: dict[str, float] = {}
    shares: dict[str, float]
    dominated_by: str = ''

    @model_validator(mode='after')
    def _adds_up(self) -> Measured:
        values = [*self.ms.values(), *self.joules.values(), *self.shares.values()]
        if not self.ms or not all(math.isfinite(value) and value >= 0 for value in values):
            raise ValueError(f'times, joules and shares of {self.name} must be 0 or more')
        if not sum(self.shares.values()) > 0:
            raise ValueError(f'no exit of {self.name} answered a frame')
        return self

    @property
    def mean_ms(self) -> float:
        """Milliseconds of a frame, over all exits."""
        return self._mean(self.ms)

    @property
    def mean_j(self) -> float:
        """Joules of a frame, over all exits; NaN where they are not known."""
        return self._mean(self.joules) if self.joules else math.nan

    def _mean(self, values: dict[str, float]) -> float:
        total = sum(self.shares.values())
        return sum(self.shares[name] * values.get(name, 0.0) for name in self.shares) / total


class VersionFile(_Entry):
    """All of a file.

    Attributes:
        format: `FORMAT`.
        footage: names of what was looked at.
        frames: number of frames.
        judged_by: what F1 is against: ``people`` or ``teacher``.
        machine: the computer whose milliseconds they are.
        board: the board whose joules are modelled; empty: none.
        versions: what was measured of each.
        policy: name of a trained policy's file, beside this one; empty: none was trained.
    """

    format: Literal['e4_ros.versions/1'] = 'e4_ros.versions/1'
    footage: tuple[str, ...]
    frames: int = Field(ge=1)
    judged_by: Literal['people', 'teacher']
    machine: str
    board: str = ''
    versions: tuple[Measured, ...] = Field(min_length=1)
    policy: str = Field(default='', pattern=r'^[A-Za-z0-9_.-]*$')

    def of(self, name: str, fingerprint: str) -> Measured:
        """What was measured of a version that is loaded.

        Raises:
            VersionFileError: nothing, or of another network of that name.
        """
        found = next((each for each in self.versions if each.name == name), None)
        if found is None:
            raise VersionFileError(
                f'nothing was measured of version {name}; the file has '
                f'{", ".join(each.name for each in self.versions)}. Measure it again with '
                f'`e4 versions FOOTAGE --version {name}=… `'
            )
        if found.fingerprint != fingerprint:
            raise VersionFileError(
                f'version {name} is another network than the one that was measured '
                f'({found.fingerprint}, not {fingerprint}): run `e4 versions` again'
            )
        return found

    def save(self, path: Path) -> None:
        """Write it."""
        text = yaml.safe_dump(self.model_dump(mode='json'), sort_keys=False, allow_unicode=True)
        write_whole(path, text)

    @classmethod
    def load(cls, path: Path) -> VersionFile:
        """Read what `save` wrote.

        Raises:
            VersionFileError: it is no such file.
            OSError: it cannot be read.
        """
        if path.stat().st_size > _LARGEST_BYTES:
            raise VersionFileError(f'{path} is too large to be one that `e4 versions` wrote')
        try:
            found: Any = yaml.safe_load(path.read_text())
            return cls.model_validate(found)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            why = ' '.join(str(error).split())
        except ValidationError as error:
            first = error.errors()[0]
            where = '.'.join(map(str, first['loc']))
            why = f'{where}: {first["msg"]}' if where else first['msg']
        raise VersionFileError(
            f'{path} is not what `e4 versions FOOTAGE --out {path}` writes: {why}'
        )
