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
