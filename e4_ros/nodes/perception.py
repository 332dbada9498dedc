"""Finds objects in a camera's images, with early exits and clock steps; a lifecycle node."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import ManagedEntity
from rclpy.parameter import Parameter
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from e4_ros.bringup.node_parameters.perception import PARAMETERS
from e4_ros.nodes import conversions
from e4_ros.nodes.diagnostics import Diagnostics, status
from e4_ros.nodes.health import Counts
from e4_ros.nodes.image_input import AnyImage, ImageInput
from e4_ros.nodes.lifecycle import AutostartNode, run
from e4_ros.nodes.loaded_network import LoadedNetwork
from e4_ros.nodes.outputs import Outputs
from e4_ros.nodes.parameters import value
from e4_ros.perception.images import BitDepth, ImageError, to_rgb
from e4_ros.perception.live_stream import Camera

if TYPE_CHECKING:  # what takes long to import waits until the node can be seen
    from e4_ros.nodes.clock_steps import ClockSteps
    from e4_ros.nodes.learning import Learning
    from e4_ros.nodes.network import Network
    from e4_ros.perception.records import FrameRecord


class Perception(AutostartNode):
    """Answers the newest image, one at a time; what comes meanwhile is replaced and counted.

    Subscribes `image` or `image/compressed`. Publishes `~/detections`, `~/exit_telemetry`,
    `~/annotated` (only while someone listens), `/diagnostics`, and `~/baseline/…` for the images
    that the full network sees as well; where vision_msgs is installed also `~/detections_2d` and
    `~/label_info`. `~/enable` (std_srvs/SetBool) switches it off and on. With a ring (`ring_mb`)
    the action `~/fit` fits exits to what the camera saw and swaps them in.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._images: ImageInput | None = None
        self._network: LoadedNetwork | None = None
        self._outputs: Outputs | None = None
        self._steps: ClockSteps | None = None
        self._learning: Learning | None = None
        self._depth = BitDepth()
        self._turn = threading.Lock()  # held from an image to all that comes of it
        super().__init__('perception', PARAMETERS, **kwargs)
        self._max_pixels = value(self, 'max_pixels')
        self.after_parameters(self._follow)
        period_s = value(self, 'diagnostics_period_s')
        self._diagnostics = Diagnostics(self, period_s, self._statuses)
        self.create_service(SetBool, '~/enable', self._enable)

    def parts(self) -> Iterator[ManagedEntity]:
        """Outputs, clock steps, the network, and the images that come to it, in this order.

        Inactive, the node holds the network and shows its topics; active, it also listens to images
        and to the DVFS daemon, and holds the lease of the clocks where it got it.
        """
        self._outputs = Outputs(self)
        yield self._outputs
        from e4_ros.nodes.clock_steps import ClockSteps

        self._steps = ClockSteps(self, value(self, 'helper'))
        yield self._steps
        self._network = LoadedNetwork(self)
        yield self._network
        perceiver = self._network.get().perceiver
        self._steps.attach(perceiver)
        self._outputs.attach(perceiver.engine)
        yield self._diagnostics  # before the images, so that its last words come after theirs
        self._learning = None
        if value(self, 'ring_mb'):
            from e4_ros.nodes.learning import Learning

            self._learning = Learning(self, self._network.get, self._swap)
            yield self._learning
        # It listens once it is known whether there are clock steps, so that all images have them.
        self._images = ImageInput(self, self._process, self._steps.start)
        yield self._images

    def on_autostart_failed(self) -> None:
        """End: whoever started the process sees it, and may start it again."""
        self.exit_status = 1
        rclpy.try_shutdown(context=self.context)

    # -- images -------------------------------------------------------------------------------

    def _process(self, message: AnyImage, arrived_s: float) -> None:
        """Answer one image and tell everybody; runs in the worker's thread."""
        with self._turn:
            self._answer(message, arrived_s)

    def _answer(self, message: AnyImage, arrived_s: float) -> None:
        assert self._images is not None
        assert self._network is not None
        assert self._steps is not None
        images, network, steps = self._images, self._network.get(), self._steps
        try:
            frame = to_rgb(message, self._max_pixels, self._depth)
            time_s = self._time_s(message.header, frame, arrived_s)
            index = images.health.counts().received
            record = steps.process(network.perceiver, frame, time_s, index)
            plan_id = steps.plan_id
        except ImageError as error:
            images.drop('bad_image', f'an image is dropped: {error}')
            return
        except Exception as error:
            images.drop('internal_error', f'an image is dropped: {type(error).__name__}: {error}')
            return
        counts = images.health.processed(record.result.exit)
        self._publish(message.header, frame, record, counts, plan_id)
        steps.observe(record, images.waiting)
        if self._learning is not None:
            self._learning.answered(frame, record, message.header.frame_id)
        network.exits.audit(frame, record, steps.between_frames)
        if self._learning is not None:
            self._learning.audited(network)

    def _swap(self, network: Network) -> None:
        """Let another network answer from the next image on; what waits is not lost."""
        assert self._network is not None
        assert self._steps is not None
        assert self._outputs is not None
        with self._turn:
            network.perceiver.adopt(self._network.get().perceiver)
            self._network.put(network)
            self._outputs.attach(network.perceiver.engine)
            self._steps.switch(network.perceiver)
        self.get_logger().info(f'{network.path} answers from now on')

    def _time_s(self, header: Header, frame: np.ndarray, arrived_s: float) -> float:
        """When an image was taken; another camera's begins a new stream."""
        assert self._images is not None
        assert self._network is not None
        camera = Camera(header.frame_id, frame.shape[1], frame.shape[0])
        place = self._images.stream.place(camera, conversions.seconds(header), arrived_s)
        for text in place.news:
            self.get_logger().warning(text)
        if place.begins:
            self._network.get().perceiver.engine.reset()
            self._depth = BitDepth()
        return place.time_s

    def _publish(
        self, header: Header, frame: np.ndarray, record: FrameRecord, counts: Counts, plan_id: str
    ) -> None:
        assert self._outputs is not None
        assert self._network is not None
        self._outputs.publish(frame, header, record, counts, plan_id)
        baseline = self._network.get().baseline
        if baseline is not None and baseline.is_due(counts.processed, record.stamp_s):
            board = self._steps.board if self._steps is not None else ''
            self._outputs.publish_baseline(
                frame, header, baseline.process(frame, record.stamp_s, board), counts
            )

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success = self._images is not None and self._images.is_active
        if self._images is None or not response.success:
            response.message = 'perception is not active'
        elif request.data:
            self._images.listen()
        else:
            self._images.mute()
        return response

    def _follow(self, parameters: list[Parameter]) -> None:
        """Keep what frames ask for: looking a parameter up takes longer than using it."""
        for parameter in parameters:
            if parameter.name == 'max_pixels':
                self._max_pixels = parameter.value

    def _statuses(self) -> list[DiagnosticStatus]:
        if self._images is None or self._network is None or not self._network.is_loaded:
            return [status('images', '', 'not active')]
        network, steps = self._network.get(), self._steps
        images = self._images.health.status(self._images.complaint())
        if not self._images.is_active:
            images.message = f'not active; {images.message}'
            return [images]
        statuses = [] if steps is None else steps.statuses()
        if self._learning is not None:
            statuses.append(self._learning.status())
        return [images, *statuses, network.exits.status(), network.status]


def main(args: list[str] | None = None) -> None:
    """Entry point of `ros2 run e4_ros perception`."""
    run(Perception, args)


if __name__ == '__main__':
    main()
