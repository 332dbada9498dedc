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

"""Names of several cameras: each is a part of ROS topics, `NAME/image` and `~/NAME/detections`."""

from __future__ import annotations

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
