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

"""What `e4 edge-server` says on the terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from e4_ros.offload.cuts import OffloadCut
    from e4_ros.offload.server.service import Service


def service_table(services: Mapping[str, Service]) -> Table:
    """What a server offers."""
    table = Table('service', 'what', 'hash', 'classes', 'cuts', box=None)
    for name, service in services.items():
        names = list(service.class_names)
        known = ', '.join(names[:3]) + (f' and {len(names) - 3} more' if len(names) > 3 else '')
        table.add_row(name, service.about, service.hash[:8], known, '\n'.join(service.cuts))
    return table


def cut_table(cuts: Sequence[OffloadCut], worth: Collection[str]) -> Table:
    """Where a network can be cut, and what is sent there."""
    table = Table('', 'cut', box=None, caption='* offered by default', caption_justify='left')
    table.add_column('before it', justify='right')
    table.add_column('int8 kB', justify='right')
    table.add_column('tensors')
    for cut in cuts:
        shapes = ', '.join('×'.join(map(str, shape[1:])) for shape in cut.tensors.values())
        star = '*' if cut.cut in worth else ''
        table.add_row(star, cut.cut, f'{cut.share:.0%}', f'{cut.values / 1e3:.1f}', shapes)
    return table


def figures_line(figures: Mapping[str, Any], waiting: int) -> str:
    """One line of what a server has done."""
    words = [
        f'{figures["answered"]} answered',
        f'{figures["expired"]} expired',
        f'{figures["refused"]} refused',
        f'{waiting} waiting',
        f'{figures["robots"]} robots with {figures["cameras"]} cameras',
    ]
    for leg in ('queue', 'run'):
        if times := figures[f'{leg}_ms']:
            words.append(f'{leg} {times["p50"]:.1f} ms (p95 {times["p95"]:.1f})')
    if reasons := figures['refusals']:
        most = max(reasons, key=lambda reason: reasons[reason])
        words.append(f'refused most for: {most}')
    return ', '.join(words)
