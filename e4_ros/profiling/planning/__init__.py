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

"""Searches over a table of costs, and the plans that come out; knows no machine."""

from e4_ros.profiling.planning.cost_table import CostTable, CostTableError
from e4_ros.profiling.planning.exit_shares import even_shares, read_exit_shares
from e4_ros.profiling.planning.objective import (
    PlanningError,
    Problem,
    SwitchCost,
    make_problem,
    with_pause,
)
from e4_ros.profiling.planning.planner import plan, to_plan
from e4_ros.profiling.planning.replan import Replanner
from e4_ros.profiling.planning.search import SearchResult, best_fixed, coordinate_descent

__all__ = [
    'CostTable',
    'CostTableError',
    'PlanningError',
    'Problem',
    'Replanner',
    'SearchResult',
    'SwitchCost',
    'best_fixed',
    'coordinate_descent',
    'even_shares',
    'make_problem',
    'plan',
    'read_exit_shares',
    'to_plan',
    'with_pause',
]
