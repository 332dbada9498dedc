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

"""Versions of a model: the same classes in other input sizes, precisions, or networks.

All of them are loaded, one answers. A user writes one as ``[NAME=]BUNDLE[@PRECISION]``, or as a
precision alone, such as ``int8``, for the node's own model in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

from e4_ros.perception.active_plan import Stream
from e4_ros.vision.runtime.precision import FP32, PRECISIONS

if TYPE_CHECKING:
    from e4_ros.vision.bundle import Manifest

_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]*')


class VersionError(ValueError):
    """A version is not what it must be; the message says what to do."""


@dataclass(frozen=True)
class VersionSpec:
    """A version as the user names it.

    Attributes:
        name: what it is called from now on.
        model: name or folder of its bundle.
        precision: precision of its stages.
    """

    name: str
    model: str
    precision: str = FP32


@dataclass(frozen=True)
class Version:
    """What is known of a version that is loaded.

    Attributes:
        name: what it is called.
        stream: its segments and the ways through them.
        f1: how right its answers are, 0 to 1, by `e4 versions`; NaN where nobody has measured it.
        latency_s: exit → seconds on this machine; an exit that is missing is unknown.
        energy_j: exit → modelled joules, for a machine whose clocks nobody knows.
        shares: exit → share of the frames that it answered where accuracy was measured.
        switch_s: seconds that the first frame takes longer after another version has answered.
    """

    name: str
    stream: Stream
    f1: float = math.nan
    latency_s: Mapping[str, float] = field(default_factory=dict)
    energy_j: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    switch_s: float = 0.0


def parse_versions(texts: Sequence[str], model: str, precision: str = FP32) -> list[VersionSpec]:
    """What the parameter `versions` names; the node's own model is the first of them.

    Args:
        texts: of each further version.
        model: name or folder of the node's own bundle.
        precision: precision of its stages.

    Raises:
        VersionError: a text is no version, or two have one name.

    Example:
        >>> [spec.name for spec in parse_versions(['int8', 'small=bundles/220'], 'ours')]
        ['ours', 'int8', 'small']
    """
    found = [VersionSpec(_called(model, precision), model, precision)]
    for text in texts:
        found.append(_parsed(text, model))
    names = [spec.name for spec in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise VersionError(
            f'two versions are called {twice[0]}; give them names of their own: NAME=BUNDLE'
        )
    return found


def check_like(first: Manifest, other: Manifest, name: str) -> None:
    """Make sure that a version can answer in the place of another.

    Args:
        first: of the node's own model.
        other: of the version.
        name: what the version is called.

    Raises:
        VersionError: it is for another task, or has other classes, which changes what labels mean.
    """
    if first.task == 'clips' or other.task == 'clips':
        raise VersionError(
            f'version {name} cannot be: models of clips remember a stream in their own way, and '
            'cannot take turns with others. Leave versions empty'
        )
    if first.task != other.task:
        raise VersionError(
            f'version {name} is for the task {other.task}, and {first.model} for {first.task}: '
            'versions answer in the place of each other'
        )
    if first.class_names != other.class_names:
        missing = sorted(set(first.class_names) - set(other.class_names))
        more = sorted(set(other.class_names) - set(first.class_names))
        words = [f'lacks {_some(missing)}'] if missing else []
        words += [f'also has {_some(more)}'] if more else []
        raise VersionError(
            f'version {name} has other classes than {first.model}: it '
            f'{" and ".join(words) or "has them in another order"}. Build it with the same ones '
            '(`e4 build --classes`)'
        )


def _parsed(text: str, model: str) -> VersionSpec:
    if text in PRECISIONS:
        return VersionSpec(text, model, text)
    name, given, rest = text.partition('=')
    bundle = rest if given else text
    bundle, at, precision = bundle.partition('@')
    if at and precision not in PRECISIONS:
        raise VersionError(
            f'version {text!r}: there is no precision {precision!r}, only {", ".join(PRECISIONS)}'
        )
    if not bundle:
        raise VersionError(
            f'version {text!r} names no bundle; write NAME=BUNDLE or NAME=BUNDLE@int8'
        )
    if given and not _NAME.fullmatch(name):
        raise VersionError(
            f'version {text!r}: {name!r} is no name; letters, digits and . _ - make one'
        )
    precision = precision or FP32
    return VersionSpec(name if given else _called(bundle, precision), bundle, precision)


def _called(model: str, precision: str) -> str:
    name = PurePath(model).name.removesuffix('.onnx') or model
    return name if precision == FP32 else f'{name}@{precision}'


def _some(names: Sequence[str]) -> str:
    shown = ', '.join(names[:5])
    return shown if len(names) <= 5 else f'{shown} and {len(names) - 5} more'
