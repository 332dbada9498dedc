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
