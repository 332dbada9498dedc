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

"""A bundle as a table for people."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from e4_ros.vision.bundle import Manifest


def table_of(manifest: Manifest) -> Table:
    """What a bundle holds: stages, exits, thresholds, promise, precisions."""
    table = Table(show_header=False, box=None)
    height, width = manifest.preprocessing.size
    names = ', '.join(manifest.class_names[:3])
    more = f', … ({len(manifest.class_names)})' if len(manifest.class_names) > 3 else ''
    table.add_row('model', escape(f'{manifest.model}, {manifest.task}, {width}×{height}'))
    table.add_row('classes', escape(names + more))
    for number, note in enumerate(manifest.origin.recognised):
        table.add_row('' if number else 'recognised', escape(note))
    for number, stage in enumerate(manifest.stages):
        table.add_row(stage.name, f'{stage.macs / 1e6:.0f} MMAC, {stage.file.bytes / 1e6:.1f} MB')
        if number < len(manifest.exits):
            found = manifest.exits[number]
            table.add_row(found.name, f'{_threshold(manifest, found.name)}, after {found.cut}')
    if manifest.clip is not None:
        table.add_row('window', f'{manifest.clip.frames} frames in {manifest.clip.window_s:g} s')
        for name in manifest.exit_names:
            table.add_row(name, _threshold(manifest, name))
    else:
        if 'temporal' in manifest.exit_names:
            learnt = 'learnt' if manifest.temporal is not None else 'the last answer, held'
            table.add_row('temporal', f'{_threshold(manifest, "temporal")}, {learnt}')
        if not manifest.exit_names:
            table.add_row('exits', 'none learnt: `e4 fit` makes some; tracks need none')
        if manifest.exit_names:
            table.add_row('promise', _promise(manifest))
    table.add_row('precisions', ', '.join(manifest.precisions))
    for device, costs in manifest.costs_s.items():
        table.add_row(device, f'{1e3 * sum(costs.values()):.2f} ms at full depth')
    table.add_row('made by', f'{manifest.origin.made_by}, {manifest.origin.made_at}')
    return table


def _threshold(manifest: Manifest, name: str) -> str:
    found = manifest.thresholds.get(name)
    return 'off' if found is None else f'threshold {found:g}'


def _promise(manifest: Manifest) -> str:
    found = manifest.calibration
    if found.risk is None:
        return 'none: `e4 calibrate` makes one'
    return (
        f'at most {found.risk:g} lost with {found.confidence:.0%} confidence, '
        f'against {found.against}, in {found.precision}'
    )
