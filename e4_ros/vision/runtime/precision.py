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

"""Precisions of a network's stages, by name."""

from __future__ import annotations

FP32 = 'fp32'
PRECISIONS = (FP32, 'fp16', 'int8')


class PrecisionError(ValueError):
    """A precision does not exist, or a bundle does not have it."""


def check_precision(precision: str) -> None:
    """Refuse an unknown precision.

    Raises:
        PrecisionError: says which there are.
    """
    if precision not in PRECISIONS:
        raise PrecisionError(f'there is no precision {precision!r}; choose one of {PRECISIONS}')
