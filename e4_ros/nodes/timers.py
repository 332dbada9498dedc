"""Timers that fire whatever the node's time is."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.timer import Timer


def steady_timer(node: Node, period_s: float, callback: Callable[[], None]) -> Timer:
    """Create a timer on the steady clock.

    A node's own timers follow its clock: with ``use_sim_time`` they stand still until somebody
    publishes /clock, and run at the pace of what is replayed. What serves or watches the machine
    goes on all the same, so nodes make their timers here.

    Args:
        node: Node whose executor runs the callback; `destroy_timer` ends the timer.
        period_s: Seconds between two calls.
        callback: Called without arguments.
    """
    return node.create_timer(period_s, callback, clock=Clock(clock_type=ClockType.STEADY_TIME))
