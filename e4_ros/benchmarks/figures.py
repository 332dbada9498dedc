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
