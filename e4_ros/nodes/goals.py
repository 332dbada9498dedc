"""How a goal of an action ends."""

from __future__ import annotations

from rclpy.action.server import ServerGoalHandle


def end_goal(handle: ServerGoalHandle, success: bool) -> None:
    """Tell the client how its goal ended: cancelled if it asked for that, else by its success."""
    if handle.is_cancel_requested:
        handle.canceled()
    elif success:
        handle.succeed()
    else:
        handle.abort()
