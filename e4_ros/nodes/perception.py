"""Finds objects in a camera's images, with early exits and clock steps; a lifecycle node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from e4_ros.bringup.node_parameters.perception import PARAMETERS
from e4_ros.nodes import conversions, signals
from e4_ros.nodes.diagnostics import Diagnostics, status, why_silent
from e4_ros.nodes.health import Counts, Health
from e4_ros.nodes.lifecycle import AutostartNode, run
from e4_ros.nodes.outputs import Outputs
from e4_ros.nodes.parameters import value
from e4_ros.perception.frame_worker import FrameWorker
from e4_ros.perception.images import ImageError, to_rgb

if TYPE_CHECKING:  # what takes long to import waits until the node can be seen
    from e4_ros.nodes.clock_steps import ClockSteps
    from e4_ros.nodes.network import Network
    from e4_ros.perception.records import FrameRecord

AnyImage: TypeAlias = Image | CompressedImage
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class Perception(AutostartNode):
    """Answers the newest image, one at a time; what comes meanwhile is replaced and counted.

    Subscribes `image` or `image/compressed`. Publishes `~/detections`, `~/exit_telemetry`,
    `~/annotated` (only while someone listens), `/diagnostics`, and `~/baseline/…` for the images
    that the full network sees as well. `~/enable` (std_srvs/SetBool) switches it off and on.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._network: Network | None = None
        super().__init__('perception', PARAMETERS, lambda: self._network is not None, **kwargs)
        self._outputs: Outputs | None = None
        self._steps: ClockSteps | None = None
        self._worker: FrameWorker[AnyImage] | None = None
        self._subscription: Subscription | None = None
        self._health = Health()
        self._max_pixels = value(self, 'max_pixels')
        self.after_parameters(self._follow)
        period_s = value(self, 'diagnostics_period_s')
        self._diagnostics = Diagnostics(self, period_s, self._statuses)
        self.create_service(SetBool, '~/enable', self._enable)

    # -- transitions --------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the network and show the topics."""
        try:
            # First what others must discover, then what takes seconds.
            self._outputs = Outputs(self)
            from e4_ros.nodes.clock_steps import ClockSteps

            self._steps = ClockSteps(self, value(self, 'helper'))
            self._network = self._load()
            self._steps.attach(self._network.perceiver)
            self._outputs.attach(self._network.perceiver.engine)
        except Exception as error:  # rclpy would swallow it without a word
            if not signals.ending.is_set():
                self.get_logger().error(f'cannot be configured: {error}')
            self._forget()
            return FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin a new stream and listen."""
        assert self._network is not None
        assert self._steps is not None
        self._network.perceiver.engine.reset()
        self._health = Health()
        self._worker = FrameWorker(self._process, self._replaced, self._escaped)
        self._steps.start(settled=self._listen)
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening, finish the image in hand, give the clocks back."""
        self._rest()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the network."""
        self._forget()
        return super().on_cleanup(state)

    def on_autostart_failed(self) -> None:
        """End: whoever started the process sees it, and may start it again."""
        self.exit_status = 1
        rclpy.try_shutdown(context=self.context)

    def stop(self) -> None:
        """Give back what outlives the process, and say what became of the images."""
        self._rest()
        self._forget()

    # -- images -------------------------------------------------------------------------------

    def _listen(self) -> None:
        compressed = value(self, 'image_transport') == 'compressed'
        try:
            self._subscription = self.create_subscription(
                CompressedImage if compressed else Image,
                'image/compressed' if compressed else 'image',
                self._on_image,
                qos_profile_sensor_data,
                event_callbacks=SubscriptionEventCallbacks(message_lost=self._on_lost),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
        except RuntimeError as error:  # a QoS override that is none
            self._failed(f'cannot listen to images: {error}')

    def _on_lost(self, event: QoSMessageLostInfo) -> None:
        self._health.lost(event.total_count_change)

    def _on_image(self, message: AnyImage) -> None:
        self._health.arrived()
        if self._worker is not None:
            self._worker.submit(message)

    def _process(self, message: AnyImage) -> None:
        """Answer one image and tell everybody; runs in the worker's thread."""
        steps, network, worker = self._steps, self._network, self._worker
        assert steps is not None
        assert network is not None
        assert worker is not None
        try:
            frame = to_rgb(message, self._max_pixels)
            stamp_s, index = conversions.seconds(message.header), self._health.counts().received
            record = steps.process(network.perceiver, frame, stamp_s, index)
            plan_id = steps.plan_id
        except ImageError as error:
            self._drop('bad_image', f'an image is dropped: {error}')
            return
        except Exception as error:
            self._drop('internal_error', f'an image is dropped: {type(error).__name__}: {error}')
            return
        counts = self._health.processed(record.result.exit)
        self._publish(message.header, frame, record, counts, plan_id)
        steps.observe(record, worker.waiting)
        network.exits.audit(frame, record, steps.between_frames)

    def _publish(
        self, header: Header, frame: np.ndarray, record: FrameRecord, counts: Counts, plan_id: str
    ) -> None:
        assert self._outputs is not None
        assert self._network is not None
        self._outputs.publish(frame, header, record, counts, plan_id)
        baseline = self._network.baseline
        if baseline is not None and baseline.is_due(counts.processed, record.stamp_s):
            board = self._steps.board if self._steps is not None else ''
            self._outputs.publish_baseline(header, baseline.process(frame, board), counts)

    def _drop(self, reason: str, error: str) -> None:
        self._health.dropped(reason)
        self._failed(error)

    def _failed(self, error: str) -> None:
        self._health.failed(error)
        self.get_logger().warning(error, throttle_duration_sec=5.0)

    def _escaped(self, error: Exception) -> None:
        self._failed(f'{type(error).__name__}: {error}')

    def _replaced(self, _message: AnyImage) -> None:
        self._health.dropped('newer_image')

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success = self._worker is not None
        if self._worker is None:
            response.message = 'perception is not active'
        elif request.data and self._subscription is None:
            self._listen()
        elif not request.data and self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        return response

    def _follow(self, parameters: list[Parameter]) -> None:
        """Keep what frames ask for: looking a parameter up takes longer than using it."""
        for parameter in parameters:
            if parameter.name == 'max_pixels':
                self._max_pixels = parameter.value

    # -- parts --------------------------------------------------------------------------------

    def _load(self) -> Network:
        from e4_ros.nodes.network import load

        return load(self)

    def _statuses(self) -> list[DiagnosticStatus]:
        if self._worker is None or self._network is None:
            return [status('images', '', 'not active')]
        silent = ''
        if self._subscription is not None:
            silent = why_silent(self, self._subscription, self._health.silence_s())
        steps = [] if self._steps is None else self._steps.statuses()
        return [
            self._health.status(silent),
            *steps,
            self._network.exits.status(),
            self._network.status,
        ]

    def _rest(self) -> None:
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        if self._worker is not None:
            if not self._worker.stop():
                self.get_logger().error('the image in hand does not end')
            self._diagnostics.publish()
            self._worker = None
            counts = self._health.counts()
            self.get_logger().info(f'{counts.processed} of {counts.received} images processed')
        if self._steps is not None:
            self._steps.stop()

    def _forget(self) -> None:
        if self._steps is not None:
            self._steps.destroy()
            self._steps = None
        self._network = None
        if self._outputs is not None:
            self._outputs.destroy()
            self._outputs = None


def main(args: list[str] | None = None) -> None:
    """Entry point of `ros2 run e4_ros perception`."""
    run(Perception, args)


if __name__ == '__main__':
    main()
