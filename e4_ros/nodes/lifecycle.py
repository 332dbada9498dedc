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

"""What our lifecycle nodes share: managed parts, autostart and an orderly end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import (
    LifecycleNode,
    LifecycleState,
    ManagedEntity,
    TransitionCallbackReturn,
)
from rclpy.signals import SignalHandlerOptions

from e4_ros import paths
from e4_ros.bringup.parameter_spec import ParameterSpec
from e4_ros.nodes import signals
from e4_ros.nodes.parameters import E4Node, value
from e4_ros.nodes.timers import steady_timer

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class AutostartNode(E4Node, LifecycleNode):
    """A lifecycle node made of managed entities, which configures and activates itself.

    It needs no launch file and no lifecycle manager for that; with ``autostart:=false`` it waits
    for one. Subclasses say in :meth:`parts` what they are made of; transitions are not wired by
    hand. rclpy would keep the parts in a set; what is stopped first matters here, so they are
    configured and activated in their order, deactivated and cleaned up in the other.

    A part's `on_deactivate` and `on_cleanup` must do no harm where the part was not active or not
    configured: they are also how the node stops, from any state.
    """

    def __init__(self, node_name: str, specs: Sequence[ParameterSpec], **kwargs: Any) -> None:
        """Declare the parameters; configure and activate from the executor's first spin on.

        Args:
            node_name: Name of the node.
            specs: Parameters to declare, `autostart` among them. Those that are not live may not
                change while the node is configured.
            kwargs: Arguments of `rclpy.node.Node`.
        """
        self._parts: list[ManagedEntity] = []
        super().__init__(node_name, **kwargs)
        self.declare_all(specs, lambda: bool(self._parts))
        if value(self, 'autostart'):
            self._autostart_timer = steady_timer(self, 0.0, self._autostart)

    def parts(self) -> Iterable[ManagedEntity]:
        """Make what the node is made of while it is configured.

        A generator: each part is configured before the next one is made, so that what others must
        discover is there before what takes seconds to load.
        """
        return ()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make and configure the parts.

        Returns:
            SUCCESS: the node becomes inactive and holds what its parts loaded. FAILURE: a part
            could not be configured; the log says why, nothing is held, the node stays unconfigured
            and may be configured again. ERROR never.
        """
        try:
            # What is loaded here takes longest of all that a node does.
            with signals.interruptible():
                for part in self.parts():
                    self._parts.append(part)
                    _require(part.on_configure(state), part)
        except Exception as error:  # rclpy would swallow it without a word
            self.get_logger().error(f'cannot be configured: {error}')
            self._clean_up(state)
            return FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Activate the publishers, then the parts.

        Returns:
            SUCCESS: the node becomes active. FAILURE: a part could not be activated; the log says
            why, and the node stays inactive, with what it was configured with. ERROR never.
        """
        done = super().on_activate(state)
        try:
            for part in self._parts:
                _require(part.on_activate(state), part)
        except Exception as error:
            self.get_logger().error(f'cannot be activated: {error}')
            self._deactivate(state)
            super().on_deactivate(state)
            return FAILURE
        return done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate the parts, the last first, then the publishers.

        Returns:
            SUCCESS: the node becomes inactive; it holds what it was configured with, and nothing of
            others (no lease, no clocks). FAILURE never. ERROR, which rclpy makes of an exception:
            error processing, see :meth:`on_error`.
        """
        self._deactivate(state)
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop the parts, the last first.

        Returns:
            SUCCESS: the node becomes unconfigured and holds nothing but its parameters and the
            topics that do not depend on them. ERROR as in :meth:`on_deactivate`.
        """
        self._clean_up(state)
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop, from whatever state.

        Returns:
            SUCCESS: the node is finalized and holds nothing.
        """
        self.stop()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop after an exception in a transition.

        Returns:
            SUCCESS: the node becomes unconfigured and may be configured again.
        """
        self.stop()
        return super().on_error(state)

    def stop(self) -> None:
        """Give back what outlives the process, from whatever state; may be called twice."""
        state = LifecycleState(label='', state_id=0)
        self._deactivate(state)
        self._clean_up(state)

    def on_autostart_failed(self) -> None:
        """Stay, so that somebody can put it right and try again; subclasses may end instead."""

    def _deactivate(self, state: LifecycleState) -> None:
        for part in reversed(self._parts):
            part.on_deactivate(state)

    def _clean_up(self, state: LifecycleState) -> None:
        while self._parts:
            self._parts.pop().on_cleanup(state)

    def _autostart(self) -> None:
        self._autostart_timer.cancel()
        if self.trigger_configure() != SUCCESS or self.trigger_activate() != SUCCESS:
            self.on_autostart_failed()


def _nothing() -> None:
    pass


def _require(result: TransitionCallbackReturn, part: ManagedEntity) -> None:
    if result != SUCCESS:
        raise RuntimeError(f'{type(part).__name__} refuses')


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
    executor = SingleThreadedExecutor()
    try:
        executor.add_node(node)
        # A task, because the executor goes on waiting where it was woken for nothing.
        with signals.waking(lambda: executor.create_task(_nothing)):
            while rclpy.ok() and not signals.ending.is_set():
                executor.spin_once()
    except ExternalShutdownException:
        pass
    except signals.Interrupted:
        interrupted = True
    finally:
        node.stop()
        executor.shutdown()  # its guard is gone with the context, and would be missed when it dies
        node.destroy_node()
        rclpy.try_shutdown()
    if interrupted:
        signals.leave()
    sys.exit(node.exit_status)
