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

"""The picture of part `fleet`, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_COLORS = {'dvfo:exact': '#0072b2', 'as_if_alone': '#d55e00', 'own': '#777777'}
_WORDS = {'dvfo:exact': 'dvfo:exact', 'as_if_alone': 'as if alone', 'own': 'own network'}
_W, _H, _LEFT, _TOP = 270, 170, 60, 46
_STEP = _W + 90

Line = tuple[str, Sequence[float], Sequence[float]]


def picture(found: Mapping[str, Any]) -> str:
    """Cost and delay over robots a site, and requests of the largest site over time."""
    rows = [row for row in found['sites'] if not row.get('frames_together')]
    lines: dict[str, list[dict[str, Any]]] = {
        name: [row for row in rows if row['policy'] == name]
        for name in ('dvfo:exact', 'as_if_alone')
    }
    sizes = [float(row['robots']) for row in lines['dvfo:exact']]
    cost: list[Line] = [('own', sizes, [found['own_cost_j']] * len(sizes))]
    delay: list[Line] = []
    for name, each in lines.items():
        x = [float(row['robots']) for row in each]
        cost.append((name, x, [row['cost_j'] for row in each]))
        delay.append((name, x, [row['p95_ms'] or 0.0 for row in each]))
    sent: list[Line] = [
        (name, [float(second) for second in range(len(values))], values)
        for name, values in found['requests_per_second'].items()
        if name in _COLORS
    ]
    panels = [
        ('cost of a frame, J', 'robots a site', cost),
        ('delay of answers, p95, ms', 'robots a site', delay),
        (f'requests a second, {sizes[-1]:.0f} robots', 'second', sent),
    ]
    body = ''.join(_panel(i, *panel) for i, panel in enumerate(panels))
    width, height = _LEFT + _STEP * len(panels), _TOP + _H + 70
    legend = ''.join(
        f'<text x="{_LEFT + 130 * i}" y="{height - 10}" fill="{color}">{_WORDS[name]}</text>'
        for i, (name, color) in enumerate(_COLORS.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
        f'{body}{legend}</svg>\n'
    )


def _panel(index: int, title: str, along: str, lines: Sequence[Line]) -> str:
    x0, y0 = _LEFT + _STEP * index, _TOP + _H
    right = max((max(x) for _, x, _ in lines if x), default=1.0) or 1.0
    top = 1.1 * max((max(y) for _, _, y in lines if y), default=1.0) or 1.0
    parts = [
        f'<text x="{x0}" y="{_TOP - 16}" font-weight="600">{title}</text>',
        f'<path d="M{x0} {_TOP}V{y0}H{x0 + _W}" fill="none" stroke="#999"/>',
        f'<text x="{x0 + _W}" y="{y0 + 32}" text-anchor="end" fill="#555">{along}</text>',
    ]
    for share in (0.0, 0.5, 1.0):
        value, y = share * top, y0 - share * _H
        parts.append(
            f'<text x="{x0 - 6}" y="{y + 4}" text-anchor="end" fill="#555">{value:.3g}</text>'
            f'<text x="{x0 + share * _W}" y="{y0 + 16}" text-anchor="middle" fill="#555">'
            f'{share * right:.0f}</text>'
        )
    for name, xs, ys in lines:
        points = ' '.join(
            f'{x0 + _W * a / right:.1f},{y0 - _H * b / top:.1f}'
            for a, b in zip(xs, ys, strict=True)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{_COLORS[name]}" stroke-width="2"/>'
        )
    return ''.join(parts)
