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

"""What the figures of a run's page have in common."""

from __future__ import annotations

import plotly.graph_objects as go

GREY = '#8b95a3'  # what a run is compared with


def plain(figure: go.Figure) -> go.Figure:
    """Leave the colours of ink, grid and ground to the page."""
    figure.update_layout(
        template='none', paper_bgcolor='rgba(0,0,0,0)', plot_bgcolor='rgba(0,0,0,0)',
        margin={'l': 56, 'r': 16, 't': 34, 'b': 48}, hovermode='closest',
        legend={'orientation': 'h', 'x': 1, 'xanchor': 'right', 'y': 1, 'yanchor': 'bottom'},
    )  # fmt: skip
    figure.update_xaxes(zeroline=False, automargin=True)
    figure.update_yaxes(zeroline=False, automargin=True)
    return figure
