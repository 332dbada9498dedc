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

"""The shortest path through a row of segments, each with a few candidate points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from e4_ros.profiling.planning.cost_table import Floats, Indices


def shortest_chain(nodes: Floats, edges: Sequence[Floats]) -> tuple[Indices, float]:
    """Viterbi: the cheapest choice of one node a row; ``edges[s]`` leads from row s to s + 1.

    Args:
        nodes: cost of each of K candidates of S rows, ``(S, K)``.
        edges: S - 1 arrays ``(K, K)`` of the costs from an old candidate to a new one.

    Returns:
        Index of the chosen candidate of each row ``(S,)``, and the total cost.
    """
    total = nodes[0]
    came_from = np.empty((len(nodes) - 1, nodes.shape[1]), np.intp)
    columns = np.arange(nodes.shape[1])
    for row, edge in enumerate(edges):
        through = total[:, None] + edge
        came_from[row] = through.argmin(axis=0)
        total = through[came_from[row], columns] + nodes[row + 1]
    choice = [int(total.argmin())]
    for back in came_from[::-1]:
        choice.append(int(back[choice[-1]]))
    return np.array(choice[::-1], np.intp), float(total.min())
