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

"""What is said of several cameras: their names, service levels and models, in lists side by side.

A name is a part of ROS topics, `NAME/image` and `~/NAME/detections`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence


def check_camera_names(names: Sequence[str]) -> None:
    """Make sure that names can be parts of topics, and tell the cameras apart.

    Raises:
        ValueError: one cannot, or comes twice; the text says which, and what a name may be.
    """
    for name in names:
        if not re.fullmatch('[A-Za-z][A-Za-z0-9_]*', name) or '__' in name or name.endswith('_'):
            raise ValueError(
                f'cameras: {name!r} cannot be a part of a topic: a name has letters, digits and '
                'single underscores, begins with a letter and does not end with an underscore'
            )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f'cameras: {", ".join(twice)} is there twice; each needs another name')


def service_levels_s(given: Sequence[str], cameras: Sequence[str]) -> list[float]:
    """Seconds within which each camera's answers are wanted; 0: whenever they come.

    Args:
        given: milliseconds, one for each camera, or one for all of them; none: 0 for all.
        cameras: names of the cameras.

    Raises:
        ValueError: there are more or fewer than cameras, or one is no such number.
    """
    values = _beside('camera_slo_ms', list(given) or ['0'], cameras)
    found = []
    for name, text in zip(cameras, values, strict=True):
        try:
            milliseconds = float(text)
        except ValueError:
            milliseconds = math.nan
        if not 0 <= milliseconds < math.inf:
            who = f' of {name}' if name else ''
            raise ValueError(
                f'camera_slo_ms{who} is {text!r}: it takes milliseconds, 0 or more (0: an answer '
                'is never late)'
            )
        found.append(milliseconds / 1e3)
    return found


def models_of(given: Sequence[str], model: str, cameras: Sequence[str]) -> list[str]:
    """The model of each camera.

    Args:
        given: one for each camera, or one for all of them; none: ``model`` for all.
        model: the one that is taken where none is given.
        cameras: names of the cameras.

    Raises:
        ValueError: there are more or fewer than cameras.
    """
    return _beside('camera_models', list(given) or [model], cameras)


def _beside(what: str, given: list[str], cameras: Sequence[str]) -> list[str]:
    """One value for each camera.

    Raises:
        ValueError: there are more or fewer.
    """
    if len(given) == 1:
        return given * len(cameras)
    if len(given) != len(cameras):
        names = ', '.join(cameras) if any(cameras) else 'one camera'
        raise ValueError(
            f'{what} has {len(given)} values for {len(cameras)} cameras ({names}): give one for '
            'each, in the same order, or one for all'
        )
    return given
