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

"""What a benchmark measured, as a JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def save_figures(figures: dict[str, Any], path: Path) -> None:
    """Write figures, whole or not at all.

    Args:
        figures: Plain values.
        path: File to write; its folder is made, an existing file is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.part')
    partial.write_text(json.dumps(figures, indent=1) + '\n')
    partial.replace(path)
