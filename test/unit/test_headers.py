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

"""Every file says under which licence it is, in the words that ament_copyright knows."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADER = Path(__file__).read_text().partition('\n\n')[0]
FOLDERS = ('e4_ros', 'launch', 'scripts', 'test', 'docs')


@pytest.mark.parametrize('folder', FOLDERS)
def test_every_file_begins_with_the_licence(folder):
    files = [*(ROOT / folder).rglob('*.py')]
    assert files
    without = [
        str(file.relative_to(ROOT))
        for file in files
        if (text := file.read_text()) and HEADER not in text[: len(HEADER) + 80]
    ]
    assert not without, 'copy the header of another file'


def test_setup_names_the_licence_without_its_address():
    # What installs names no address at all; ament_copyright knows only words that have one.
    text = (ROOT / 'setup.py').read_text()
    assert text.startswith('# Copyright')
    assert 'SPDX-License-Identifier: Apache-2.0' in text
    assert '://' not in text.partition('"""')[0]
