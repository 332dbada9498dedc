"""Joules and watts: rails, counters, and the board model where nothing measures."""

from e4_ros.energy.meters.meters import EnergyReading, Meter, model_meter, open_meter
from e4_ros.energy.meters.thermal import hottest_c

__all__ = ['EnergyReading', 'Meter', 'hottest_c', 'model_meter', 'open_meter']
