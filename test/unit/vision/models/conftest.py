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

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

_DETECTOR = Path(__file__).parents[3] / 'fixtures' / 'detector'


@pytest.fixture(scope='session')
def street() -> np.ndarray:
    """A frame with people, ``(H, W, 3)`` RGB."""
    file = sorted(_DETECTOR.glob('vtest_*.webp'))[0]
    return cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
