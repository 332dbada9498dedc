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

"""Models as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:  # it loads what runs networks
    from e4_ros.evaluation.model_facts import CutGroup, ModelFacts

_SHOWN = 8  # names of classes


def list_of(models: Sequence[ModelFacts]) -> Table:
    """One line a model."""
    table = Table(box=None, pad_edge=False)
    for title in ('model', 'family', 'input', 'classes', 'GMAC', 'ms', 'exits', 'precisions', 'MB'):
        right = title in ('GMAC', 'ms', 'MB')
        table.add_column(title, justify='right' if right else 'left')
    table.add_column('bundle', overflow='fold')
    for found in models:
        table.add_row(
            escape(found.model),
            found.family,
            _size(found),
            _few(found.class_names),
            f'{found.macs / 1e9:.2f}',
            '' if found.full_ms is None else f'{found.full_ms:.1f}',
            _exits(found) or 'none',
            ', '.join(found.precisions),
            f'{found.disk_bytes / 1e6:.1f}',
            'ships' if found.where == 'ships' else escape(found.bundle.name),
        )
    return table


def block_of(found: ModelFacts) -> Table:
    """All that is known of one model."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row('[bold]model[/]', f'[bold]{escape(found.model)}[/]')
    table.add_row('task', f'{found.task}, family {found.family}')
    table.add_row('input', f'{_size(found)}, {found.resizing}')
    names = ', '.join(found.class_names[:_SHOWN])
    more = f', … ({len(found.class_names)})' if len(found.class_names) > _SHOWN else ''
    table.add_row('classes', escape(names + more))
    for number, note in enumerate(found.notes):
        table.add_row('recognised' if not number else '', escape(note))
    table.add_row('costs', _costs(found))
    for number, line in enumerate(_cuts(found.cuts)):
        table.add_row('cuts' if not number else '', line)
    table.add_row('exits', _exits(found) or 'none learnt: `e4 fit` makes some')
    table.add_row('precisions', ', '.join(found.precisions))
    table.add_row('bundle', f'{escape(str(found.bundle))}, {found.disk_bytes / 1e6:.1f} MB')
    return table


def _size(found: ModelFacts) -> str:
    height, width = found.input_size
    return f'{width}×{height}'


def _few(names: Sequence[str]) -> str:
    return escape(names[0]) if len(names) == 1 else str(len(names))


def _exits(found: ModelFacts) -> str:
    return ', '.join(f'{name} (off)' if name in found.off else name for name in found.exits)


def _costs(found: ModelFacts) -> str:
    macs = f'{found.macs / 1e6:.0f} MMAC a frame'
    if found.full_ms is None:
        return macs
    return f'{macs}; {found.full_ms:.1f} ms here, one CPU thread, 640×480, with all around it'


def _cuts(cuts: Sequence[CutGroup] | None) -> list[str]:
    if cuts is None:
        return ['those of a clip model, behind each frame']
    if not cuts:
        return ['none: this network runs whole']
    return [
        f'{group.count} with {_tensors(group.tensors)} alive, the deepest behind '
        f'{group.deepest:.0%} of the network'
        for group in cuts
    ]


def _tensors(count: int) -> str:
    return 'one tensor' if count == 1 else f'{count} tensors'
