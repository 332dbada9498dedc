"""Hertz and joules: boards, plans, clocks, meters, the daemon."""

from e4_ros.energy.board_model import BoardModel, Cost, SegmentWork, works_of
from e4_ros.energy.boards import Board, BoardError, board_names, load_board
from e4_ros.energy.errors import (
    DeviceGone,
    DomainError,
    FrequencyNotInTable,
    NotPermitted,
    WriteRefused,
)
from e4_ros.energy.plan import FrequencyPlan, PlanError, PlanPath

__all__ = [
    'Board',
    'BoardError',
    'BoardModel',
    'Cost',
    'DeviceGone',
    'DomainError',
    'FrequencyNotInTable',
    'FrequencyPlan',
    'NotPermitted',
    'PlanError',
    'PlanPath',
    'SegmentWork',
    'WriteRefused',
    'board_names',
    'load_board',
    'works_of',
]
