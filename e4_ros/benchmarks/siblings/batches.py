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

"""`e4 bench siblings --part batches`: what batches and sessions side by side are worth here."""

from __future__ import annotations

from typing import Any

import numpy as np

from e4_ros import console
from e4_ros.vision.bundle.bundle import load_bundle, shipped_bundle
from e4_ros.vision.inference.batch_times import BatchTable, batch_times
from e4_ros.vision.runtime.devices import offered

MODEL = 'pedestrian_ssdlite'
_FRAME = np.full((480, 640, 3), 114, np.uint8)
_SECONDS, _QUICK_SECONDS = 6.0, 0.3  # for each batch with each number of sessions


def measure(quick: bool = False) -> dict[str, Any]:
    """Every batch with one and with two sessions, on every device that is here.

    Args:
        quick: shorter, and batches of 1 and 4 alone.
    """
    network = load_bundle(shipped_bundle(MODEL)).network
    tables = []
    for device in (each.name for each in offered()):
        console.note(f'batches on {device}')
        batches = (1, 4) if quick else (1, 2, 4, 8)
        seconds = _QUICK_SECONDS if quick else _SECONDS
        tables.append(batch_times(network, _FRAME, batches, (1, 2), seconds, device).to_json())
    return {'model': MODEL, 'tables': tables}


def show(found: dict[str, Any]) -> None:
    """Print the tables, and whether a batch pays."""
    from rich.table import Table

    for about in found['tables']:
        table = BatchTable.from_json(about)
        shown = Table(title=f'{found["model"]} on {table.device}, frames of 640×480')
        for name in ('batch', 'sessions', 'ms a run', 'ms a frame', 'ms of a core a frame'):
            shown.add_column(name, justify='right')
        for each in table.times:
            figures = (each.run_s, each.frame_s, each.cpu_s)
            shown.add_row(
                str(each.batch), str(each.sessions), *(f'{1e3 * value:.1f}' for value in figures)
            )
        console.stdout().print(shown)
        verdict = 'a batch pays' if table.pays else 'a batch never pays: one frame at a time'
        console.stdout().print(f'{table.device}: {verdict}')
