"""What our lifecycle nodes share: autostart and an orderly end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions

from e4_ros import paths
from e4_ros.bringup.parameter_spec import ParameterSpec
from e4_ros.nodes import signals
from e4_ros.nodes.parameters import E4Node, value
from e4_ros.nodes.timers import steady_timer


class AutostartNode(E4Node, LifecycleNode):
    """A lifecycle node that configures and activates itself when its `autostart` says so.

    It needs no launch file and no newer distribution for that. Subclasses override the transitions
    as usual, and :meth:`stop` with what must have happened before the process may end.
    """

    def __init__(
        self,
        node_name: str,
        specs: Sequence[ParameterSpec],
        configured: Callable[[], bool],
        **kwargs: Any,
    ) -> None:
        """Declare the parameters; configure and activate from the executor's first spin on.

        Args:
            node_name: Name of the node.
            specs: Parameters to declare, `autostart` among them.
            configured: Whether the node holds values that a change would not reach.
            kwargs: Arguments of `rclpy.node.Node`.
        """
        super().__init__(node_name, **kwargs)
        self.declare_all(specs, configured)
        if value(self, 'autostart'):
            self._autostart_timer = steady_timer(self, 0.0, self._autostart)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop, from whatever state."""
        self.stop()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop after an exception in a transition."""
        self.stop()
        return super().on_error(state)

    def _autostart(self) -> None:
        self._autostart_timer.cancel()
        success = TransitionCallbackReturn.SUCCESS
        with signals.interruptible():
            configured = self.trigger_configure()
        if configured != success or self.trigger_activate() != success:
            self.on_autostart_failed()

    def on_autostart_failed(self) -> None:
        """Stay, so that somebody can put it right and try again; subclasses may end instead."""


def run(make_node: Callable[[], E4Node], args: list[str] | None = None) -> None:
    """Spin a node in a single-threaded executor until SIGINT, SIGTERM or a shutdown transition.

    ROS stays up until the node's `stop` has run, so that its last words can leave. The process ends
    with the node's `exit_status`; a node that cannot be made of its parameters says why and ends it
    with 1.
    """
    signals.install()
    paths.ensure_ros_log_dir()
    signals.imported()
    try:
        with signals.interruptible():
            rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
            node = make_node()
    except signals.Interrupted:
        rclpy.try_shutdown()
        signals.leave()
    except (ParameterException, ValueError, OSError) as error:
        rclpy.try_shutdown()
        sys.exit(f'error: {error}')
    interrupted = False
    try:
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        # Short waits: without rclpy's handlers a signal is noticed between two of them.
        while rclpy.ok() and not signals.ending.is_set():
            executor.spin_once(timeout_sec=0.1)
    except ExternalShutdownException:
        pass
    except signals.Interrupted:
        interrupted = True
    finally:
        node.stop()
        node.destroy_node()
        rclpy.try_shutdown()
    if interrupted:
        signals.leave()
    sys.exit(node.exit_status)
