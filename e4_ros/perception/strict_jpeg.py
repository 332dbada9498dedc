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

"""JPEGs decoded by simplejpeg where it is installed: unlike OpenCV it tells when one is damaged.

libjpeg goes on after bytes that were lost on a cable, and what follows is grey, shifted or another
colour. OpenCV has it write that to the standard error stream and returns the picture.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

try:
    import simplejpeg
except ImportError:  # on robots that have the packages of ROS alone
    simplejpeg = None

# What else it does not like, such as colours of print, is for OpenCV to try.
_DAMAGE = re.compile(
    'premature end|extraneous bytes|bad Huffman|found marker|Unsupported marker|Bogus|'
    'Invalid JPEG file structure'
)
_PADDING = re.compile(r'(\d+) extraneous bytes before marker 0xd9')
_HARMLESS = 16
"""Some cameras put a few bytes of padding before the end marker."""


class DamageError(ValueError):
    """A JPEG whose picture would be wrong from some place on; the text says what libjpeg found."""


def decode_strictly(view: memoryview) -> np.ndarray | None:
    """Decode a JPEG that has no orientation to apply.

    Returns:
        ``(H, W, 3)`` uint8, RGB, the same as OpenCV's; None where somebody else is to try.

    Raises:
        DamageError: it is damaged.
    """
    if simplejpeg is None:
        return None
    try:
        image: np.ndarray = simplejpeg.decode_jpeg(view, 'RGB')
    except ValueError as error:
        padding = _PADDING.search(str(error))
        if padding is not None and int(padding[1]) < _HARMLESS:
            return None
        if _DAMAGE.search(str(error)):
            raise DamageError(str(error)) from None
        return None
    return image
