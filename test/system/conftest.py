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

from itertools import islice
from pathlib import Path

import cv2
import pytest

from e4_ros.evaluation.sources import open_source


@pytest.fixture(scope='session')
def people(tmp_path_factory) -> Path:
    """A folder with six real frames in which the network finds somebody."""
    folder = tmp_path_factory.mktemp('people')
    for index, (_, frame) in enumerate(islice(open_source('bikes'), 120, 126)):
        cv2.imwrite(str(folder / f'{index}.png'), frame[..., ::-1])
    return folder
