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

"""Shares of the exits: how often frames stop at each, read from the files of a run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import yaml

from e4_ros.profiling.planning.objective import PlanningError
from e4_ros.vision.inference.exit_thresholds import CLOSER, EDGE, FULL


def read_exit_shares(path: str | Path) -> dict[str, float]:
    """Shares (or counts) of the exits, by name.

    The file is a ``summary.json`` of `e4 run`, a ``detections.jsonl``, or a YAML or JSON mapping of
    exit to share. A closer look counts as `full`, whose way it goes, and so does what an edge
    server answered, which goes a part of it.

    Raises:
        PlanningError: the file is none of these.
        OSError: the file cannot be read.
    """
    path = Path(path)
    shares = _read(path)
    for name in {CLOSER, EDGE} & shares.keys():
        shares[FULL] = shares.get(FULL, 0.0) + shares.pop(name)
    if not any(shares.values()):
        raise PlanningError(f'{path}: no frame took any exit; let `e4 run` see some frames first')
    return shares


def even_shares(exits: Iterable[str]) -> dict[str, float]:
    """Every exit as often as any other, for when nothing is known."""
    return dict.fromkeys(exits, 1.0)


def _read(path: Path) -> dict[str, float]:
    try:
        if path.suffix == '.jsonl':
            return dict(Counter(json.loads(line)['exit'] for line in _lines(path)))
        data = yaml.safe_load(path.read_text())
        data = data.get('exits', data)
        return {str(name): float(share) for name, share in data.items()}
    except (AttributeError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise PlanningError(
            f'{path}: expected a summary.json or detections.jsonl of `e4 run`, or a mapping of '
            f'exit to share such as "track: 0.7" ({error})'
        ) from error


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line.strip()]
