"""One self-contained page of a profile: where the plan lies, and what it was held against."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from e4_ros.profiling.cost_table import Floats
from e4_ros.profiling.profile import Profile
from e4_ros.profiling.search import SearchResult

_PLAN, _FIXED, _EXACT, _DEFAULT, _GREY = '#009e73', '#0072b2', '#111111', '#d55e00', '#b8bec6'
_DOMAIN_COLORS = ('#0072b2', '#009e73', '#cc79a7', '#e69f00')
_STYLE = """
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; color: #1c2430; }
body { margin: 0 auto; max-width: 1120px; padding: 2rem 1.5rem 4rem; background: #fff; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .2rem; }
p { margin: .2rem 0 .6rem; color: #4a5464; max-width: 75ch; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.4rem 0; }
.tile { flex: 1 1 130px; border: 1px solid #e3e7ec; border-radius: 10px; padding: .7rem 1rem; }
.tile b { display: block; font-size: 1.45rem; font-weight: 600; } .tile span { color: #6a7484; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .35rem .6rem; border-bottom: 1px solid #e3e7ec; }
th:first-child, td:first-child { text-align: left; }
.best { font-weight: 600; }
"""


def write_page(profile: Profile, path: str | Path) -> None:
    """Write the page; it needs no network."""
    Path(path).write_text(_page(profile), encoding='utf-8')


def _page(profile: Profile) -> str:
    problem, best = profile.problem, profile.best
    table = problem.table
    saved = 100 * (1 - best.energy_j / profile.default[1])
    tiles = [
        (f'{1e3 * best.energy_j:.2f} mJ', f'expected energy a frame, {table.source}'),
        (f'{saved:.1f} %', 'below the default clocks'),
        (f'{1e3 * best.latency_s:.1f} ms', f'slowest path; {1e3 * problem.deadline_s:.1f} allowed'),
        (f'{100 * profile.descent.cells_share:.0f} %', 'of the cells looked at'),
        (f'{1e3 * profile.plan_s:.0f} ms', 'to find the plan'),
    ]
    if profile.exact is not None:
        tiles.insert(3, (f'{max(profile.gap_percent, 0.0):.2f} %', 'above the exact optimum'))
    figures = [
        (
            'Energy against latency',
            'Each grey point is one fixed operating point; the line is their front.',
            _front_figure(profile),
        ),
        (
            'Clocks along the slowest path',
            'Requested clocks; a change takes effect later, and the plan has paid for that.',
            _strip_figure(profile),
        ),
        ('The descent', 'Every plan that was the best so far, in order.', _descent_figure(profile)),
    ]
    parts = [f'<h1>{html.escape(table.model)} on {html.escape(table.board)}</h1>', _intro(profile)]
    parts.append('<div class="tiles">')
    parts += [
        f'<div class="tile"><b>{value}</b><span>{label}</span></div>' for value, label in tiles
    ]
    parts.append(f'</div>{_table(profile)}')
    for number, (title, text, figure) in enumerate(figures):
        parts.append(f'<h2>{title}</h2><p>{text}</p>')
        parts.append(
            figure.to_html(
                full_html=False,
                include_plotlyjs=number == 0,
                config={'displayModeBar': False, 'responsive': True},
            )
        )
    body = '\n'.join(parts)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<title>{html.escape(table.model)} on {html.escape(table.board)}</title>'
        f'<style>{_STYLE}</style><body>{body}</body></html>'
    )


def _intro(profile: Profile) -> str:
    total = sum(profile.exit_shares.values())
    shares = ', '.join(f'{html.escape(e)} {s / total:.0%}' for e, s in profile.exit_shares.items())
    verdict = ''
    if len(set(profile.best.points.tolist())) == 1:
        verdict = (
            ' One operating point for the whole frame is best here: switching inside the frame '
            'costs more than it saves.'
        )
    return f'<p>Exits: {shares}. Clocked: {", ".join(profile.problem.table.domains)}.{verdict}</p>'


def _table(profile: Profile) -> str:
    rows: list[tuple[str, float, float]] = [
        ('default clocks', *profile.default),
        ('best fixed point', profile.fixed.latency_s, profile.fixed.energy_j),
        ('coordinate descent', profile.descent.latency_s, profile.descent.energy_j),
    ]
    if profile.exact is not None:
        name = 'exact optimum' if profile.exact.proven else 'best known (optimum not proven)'
        rows.append((name, profile.exact.best.latency_s, profile.exact.best.energy_j))
    rows.append(('if switching cost nothing', profile.ideal.latency_s, profile.ideal.energy_j))
    lines = [
        f'<tr{" class=best" if name == "coordinate descent" else ""}><td>{name}</td>'
        f'<td>{1e3 * latency_s:.2f} ms</td><td>{1e3 * energy_j:.3f} mJ</td>'
        f'<td>{100 * (energy_j / profile.default[1] - 1):+.1f} %</td></tr>'
        for name, latency_s, energy_j in rows
    ]
    return (
        '<table><tr><th>plan</th><th>slowest path</th><th>expected energy</th>'
        '<th>to default</th></tr>' + ''.join(lines) + '</table>'
    )


def _layout(figure: go.Figure, height: int) -> go.Figure:
    return figure.update_layout(
        template='plotly_white',
        height=height,
        margin={'l': 60, 'r': 20, 't': 20, 'b': 50},
        legend={'orientation': 'h', 'y': 1.08, 'x': 0},
        font={'family': 'system-ui, sans-serif', 'size': 13},
    )


def _front_figure(profile: Profile) -> go.Figure:
    problem = profile.problem
    latency_s, energy_j = problem.fixed()
    names = [
        ', '.join(f'{n} {hz / 1e6:.0f}' for n, hz in problem.table.point(p).items()) + ' MHz'
        for p in range(len(latency_s))
    ]
    figure = go.Figure()
    figure.add_scatter(
        x=1e3 * latency_s,
        y=1e3 * energy_j,
        text=names,
        mode='markers',
        marker={'color': _GREY, 'size': 5},
        name='fixed points',
        hovertemplate='%{text}<br>%{x:.2f} ms, %{y:.2f} mJ<extra></extra>',
    )
    front = _front(latency_s, energy_j)
    figure.add_scatter(
        x=1e3 * latency_s[front],
        y=1e3 * energy_j[front],
        mode='lines',
        line={'color': _GREY, 'width': 2, 'shape': 'hv'},
        name='front of fixed points',
        hoverinfo='skip',
    )
    steps = np.array(profile.descent.descent).reshape(-1, 2)
    figure.add_scatter(
        x=1e3 * steps[:, 0],
        y=1e3 * steps[:, 1],
        mode='lines+markers',
        line={'color': _PLAN, 'width': 1, 'dash': 'dot'},
        marker={'size': 4},
        name='descent',
    )
    marks: list[tuple[str, float, float, str, str]] = [
        ('default clocks', *profile.default, _DEFAULT, 'x'),
        ('best fixed point', profile.fixed.latency_s, profile.fixed.energy_j, _FIXED, 'square'),
        ('plan', profile.best.latency_s, profile.best.energy_j, _PLAN, 'star'),
    ]
    if profile.exact is not None:
        found = profile.exact.best
        marks.append(('exact optimum', found.latency_s, found.energy_j, _EXACT, 'circle-open'))
    for name, seconds, joules, color, symbol in marks:
        figure.add_scatter(
            x=[1e3 * seconds],
            y=[1e3 * joules],
            mode='markers',
            marker={'color': color, 'size': 13, 'symbol': symbol, 'line': {'width': 2}},
            name=name,
        )
    deadline = 1e3 * problem.deadline_s
    figure.add_vline(x=deadline, line={'color': '#888', 'dash': 'dash'}, annotation_text='deadline')
    figure.update_xaxes(title='latency of the slowest path (ms)', range=[0, 1.15 * deadline])
    low, high = _view(latency_s, energy_j, problem.deadline_s, profile)
    figure.update_yaxes(title='expected energy a frame (mJ)', range=[low, high])
    return _layout(figure, 480)


def _view(
    latency_s: Floats, energy_j: Floats, deadline_s: float, profile: Profile
) -> tuple[float, float]:
    inside = energy_j[latency_s <= 1.15 * deadline_s]
    low = min(profile.ideal.energy_j, float(inside.min()))
    high = max(profile.default[1], float(np.percentile(inside, 60)))
    margin = 0.06 * (high - low)
    return 1e3 * (low - margin), 1e3 * (high + margin)


def _front(latency_s: Floats, energy_j: Floats) -> Sequence[int]:
    order = np.lexsort((energy_j, latency_s))
    lowest = np.minimum.accumulate(energy_j[order])
    keep = energy_j[order] < np.append(np.inf, lowest[:-1])
    return list(order[keep])


def _strip_figure(profile: Profile) -> go.Figure:
    table, timed = profile.problem.table, profile.problem.timed > 0
    plans: list[tuple[str, SearchResult, str]] = [('plan', profile.best, 'solid')]
    plans.append(('if switching cost nothing', profile.ideal, 'dot'))
    figure = make_subplots(
        rows=len(table.domains), cols=1, shared_xaxes=True, vertical_spacing=0.06
    )
    for label, found, dash in plans:
        rows = np.flatnonzero(timed)
        seconds = table.latency_s[rows, found.points[rows]]
        edges = 1e3 * np.append(0.0, np.cumsum(seconds))
        for d, domain in enumerate(table.domains):
            hz = np.array(table.axes_hz[d])[table.coordinates[found.points[rows], d]]
            figure.add_scatter(
                x=edges,
                y=np.append(hz, hz[-1]) / 1e6,
                mode='lines',
                line={
                    'shape': 'hv',
                    'dash': dash,
                    'color': _DOMAIN_COLORS[d % 4],
                    'width': 3 if dash == 'solid' else 1.5,
                },
                name=f'{domain}, {label}',
                text=[table.segments[r] for r in rows] + ['end'],
                hovertemplate='%{text}: %{y:.0f} MHz<extra></extra>',
                row=d + 1,
                col=1,
            )
            top = table.axes_hz[d][-1] / 1e6
            figure.update_yaxes(title=f'{domain} (MHz)', range=[0, 1.08 * top], row=d + 1, col=1)
        if dash == 'solid':
            for edge in edges[1:-1]:
                figure.add_vline(x=edge, line={'color': '#e3e7ec', 'width': 1}, layer='below')
    figure.update_xaxes(title='time since the frame began (ms)', row=len(table.domains), col=1)
    return _layout(figure, 170 * len(table.domains) + 120)


def _descent_figure(profile: Profile) -> go.Figure:
    joules = [1e3 * step[1] for step in profile.descent.descent]
    figure = go.Figure()
    figure.add_scatter(
        y=joules, mode='lines+markers', line={'color': _PLAN, 'width': 2}, name='best plan so far'
    )
    if profile.exact is not None:
        figure.add_hline(
            y=1e3 * profile.exact.best.energy_j,
            line={'color': _EXACT, 'dash': 'dash'},
            annotation_text='exact optimum',
            annotation_position='bottom right',
        )
    figure.add_hline(
        y=1e3 * profile.fixed.energy_j,
        line={'color': _FIXED, 'dash': 'dot'},
        annotation_text='best fixed point',
    )
    figure.update_xaxes(title='improvement')
    figure.update_yaxes(title='expected energy a frame (mJ)')
    return _layout(figure, 320)
