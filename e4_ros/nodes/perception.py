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

"""Finds objects in cameras' images, with early exits and clock steps; a lifecycle node."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
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
from e4_ros.nodes.image_input import AnyImage
from e4_ros.nodes.images import Images
from e4_ros.nodes.lifecycle import AutostartNode, run
from e4_ros.nodes.loaded_network import LoadedNetwork
from e4_ros.nodes.outputs import Outputs
from e4_ros.nodes.parameters import log_of, value
from e4_ros.perception.camera_names import check_camera_names, models_of, service_levels_s
from e4_ros.perception.images import BitDepth, ImageError, to_rgb
from e4_ros.perception.live_stream import Camera
from e4_ros.perception.schedule import CameraState
from e4_ros.perception.service_levels import Followed, ServiceLevels
from e4_ros.vision.inference.exit_thresholds import TRACK

if TYPE_CHECKING:  # what takes long to import waits until the node can be seen
    from e4_ros.nodes.clock_steps import ClockSteps
    from e4_ros.nodes.edge import Edge
    from e4_ros.nodes.learning import Learning
    from e4_ros.nodes.network import Network
    from e4_ros.nodes.preference import Preference
    from e4_ros.perception.edge_link import EdgeLink
    from e4_ros.perception.live_versions import LiveVersions
    from e4_ros.perception.records import FrameRecord


class Perception(AutostartNode):
    """Answers the newest image, one at a time; what comes meanwhile is replaced and counted.

    Subscribes `image` or `image/compressed`. Publishes `~/detections`, `~/exit_telemetry`,
    `~/annotated` (only while someone listens), `~/camera_rate` (images a second that the scene
    needs), `/diagnostics`, and `~/baseline/…` for the images that the full network sees as well;
    where vision_msgs is installed also `~/detections_2d` and `~/label_info`. `~/enable`
    (std_srvs/SetBool) switches it off and on. With a ring (`ring_mb`)
    the action `~/fit` fits exits to what the camera saw and swaps them in.

    `~/set_preference` says what the application weighs. With `versions` several versions of the
    network are loaded, of which one answers, as the controller decides.

    With `cameras` each one has topics of its own, `NAME/image` and `~/NAME/detections`, and a
    stream of its own; they share the network, its thread and the lease of the clocks.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._images: Images | None = None
        self._network: LoadedNetwork | None = None
        self._steps: ClockSteps | None = None
        self._learning: Learning | None = None
        self._preference: Preference | None = None
        self._edge: Edge | None = None
        # One for each camera.
        self._names: list[str] = ['']
        self._outputs: list[Outputs] = []
        self._depths: list[BitDepth] = []
        self._levels = ServiceLevels([0.0])
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
        self._names = self._cameras()
        self._levels = ServiceLevels(service_levels_s(value(self, 'camera_slo_ms'), self._names))
        if self._levels.wanted and value(self, 'pair_within_s'):
            raise ValueError(
                'pair_within_s lets images wait for each other, and camera_slo_ms wants answers in '
                'time: set one of them to 0'
            )
        models = models_of(value(self, 'camera_models'), value(self, 'model'), self._names)
        self._outputs = [Outputs(self, name) for name in self._names]
        self._depths = [BitDepth() for _ in self._names]
        yield from self._outputs
        from e4_ros.nodes.clock_steps import ClockSteps

        self._steps = ClockSteps(self, value(self, 'helper'), self._queues, self._levels)
        yield self._steps
        self._network = LoadedNetwork(self, self._names, models)
        yield self._network
        self._attach(self._network.get(), self._first_version())
        self._edge = None
        if value(self, 'edge_server'):
            from e4_ros.nodes.edge import Edge

            self._edge = Edge(self, self._names)
            yield self._edge
            self._edge.attach(self._network.get())
        versions = self._network.versions, self._live_versions()
        self._steps.attach(self._network.get(), *versions, self._edge_link)
        from e4_ros.nodes.preference import Preference

        self._preference = Preference(self, self._steps.charged)
        yield self._preference
        yield self._diagnostics  # before the images, so that its last words come after theirs
        self._learning = None
        if value(self, 'ring_mb'):
            from e4_ros.nodes.learning import Learning

            self._learning = Learning(self, self._network.get, self._swap)
            yield self._learning
        # It listens once it is known whether there are clock steps, so that all images have them.
        self._images = Images(self, self._names, self._process, self._steps.start, self._levels)
        yield self._images

    @property
    def _edge_link(self) -> EdgeLink | None:
        return None if self._edge is None else self._edge.link

    def _cameras(self) -> list[str]:
        """Names of the cameras; an empty one for the only one.

        Raises:
            ValueError: a name is none, or there is something that learns from one camera only.
        """
        names = value(self, 'cameras')
        check_camera_names(names)
        if value(self, 'versions') and value(self, 'camera_models'):
            raise ValueError(
                'versions take turns for all cameras, and camera_models gives each its own: leave '
                'one of them empty'
            )
        if value(self, 'versions') and value(self, 'edge_server'):
            raise ValueError(
                'versions take turns, and an edge server is asked for one network: leave '
                'edge_server or versions empty'
            )
        if value(self, 'versions') and value(self, 'ring_mb'):
            raise ValueError(
                'ring_mb learns exits of one network, and versions names several: set ring_mb to '
                '0, or leave versions empty'
            )
        if names and value(self, 'ring_mb'):
            raise ValueError(
                'ring_mb keeps frames of one camera to learn from, and cameras names several: set '
                'ring_mb to 0, or start a node of its own for the camera that is to be learnt from'
            )
        return names or ['']

    def _queues(self) -> Sequence[CameraState]:
        return [] if self._images is None else self._images.queues()

    def _attach(self, network: Network, version: str = '') -> None:
        for outputs, perceiver in zip(self._outputs, network.perceivers, strict=True):
            outputs.attach(perceiver.engine, version)
        for place, perceiver in enumerate(network.perceivers):
            self._levels.attach(place, Followed.of(perceiver.engine))

    def _first_version(self) -> str:
        assert self._network is not None
        loaded = self._network.versions
        return '' if loaded is None else loaded.versions[0].name

    def _live_versions(self) -> LiveVersions | None:
        """What lets another version answer; None where there is only one."""
        assert self._network is not None
        loaded = self._network.versions
        if loaded is None:
            return None
        from e4_ros.perception.live_versions import LiveVersions

        perceivers = {name: network.perceivers for name, network in loaded.networks.items()}
        return LiveVersions(perceivers, self._turn, self._version_answers)

    def _version_answers(self, name: str) -> None:
        """Another version answers from now on; its turn is held, so no frame is in work."""
        assert self._network is not None
        assert self._network.versions is not None
        network = self._network.versions.networks[name]
        self._network.put(network)
        self._attach(network, name)
        self.get_logger().info(f'version {name} answers from now on')

    def on_autostart_failed(self) -> None:
        """End: whoever started the process sees it, and may start it again."""
        self.exit_status = 1
        rclpy.try_shutdown(context=self.context)

    # -- images -------------------------------------------------------------------------------

    def _process(self, place: int, message: AnyImage, arrived_s: float) -> None:
        """Answer one camera's image and tell everybody; runs in the worker's thread."""
        with self._turn:
            self._answer(place, message, arrived_s)

    def _answer(self, place: int, message: AnyImage, arrived_s: float) -> None:
        assert self._images is not None
        assert self._network is not None
        assert self._steps is not None
        images, network, steps = self._images.inputs[place], self._network.get(), self._steps
        stream = network.streams[place]
        began_s, engine = time.monotonic(), stream.perceiver.engine
        engine.deepest = self._levels.deepest(place, arrived_s, self._images.look())
        try:
            frame = to_rgb(message, self._max_pixels, self._depths[place])
            time_s = self._time_s(place, message.header, frame, arrived_s)
            index = images.health.counts().received
            record = steps.process(stream.perceiver, frame, time_s, index)
            plan_id = steps.plan_id
        except ImageError as error:
            images.drop('bad_image', f'an image is dropped: {error}')
            self._levels.replaced(place)
            return
        except Exception as error:
            images.drop('internal_error', f'an image is dropped: {type(error).__name__}: {error}')
            self._levels.replaced(place)
            return
        counts = images.health.processed(record.result.exit)
        self._publish(place, message.header, frame, record, counts, plan_id)
        self._levels.answered(place, record.result.exit, arrived_s, began_s)
        trust = record.result.gate_scores.get(TRACK)
        images.rate.answered(record.result.exit, trust, arrived_s)
        self._outputs[place].publish_rate(images.rate.news())
        wanted = sum(each.health.wanted() for each in self._images.inputs)
        steps.observe(record, self._images.waiting, wanted)
        if self._learning is not None:
            self._learning.answered(frame, record, message.header.frame_id)
        if self._levels.has_time(place, self._images.look()):
            stream.exits.audit(frame, record, steps.between_frames)
        if self._learning is not None:
            self._learning.audited(network)

    def _swap(self, network: Network) -> None:
        """Let another network answer from the next image on; what waits is not lost."""
        assert self._network is not None
        assert self._steps is not None
        with self._turn:
            for new, old in zip(network.perceivers, self._network.get().perceivers, strict=True):
                new.adopt(old)
            self._network.put(network)
            self._attach(network)
            if self._edge is not None:
                self._edge.attach(network)
            self._steps.switch(network, self._edge_link)
        self.get_logger().info(f'{network.path} answers from now on')

    def _time_s(self, place: int, header: Header, frame: np.ndarray, arrived_s: float) -> float:
        """When an image was taken; another camera's on the same topic begins a new stream."""
        assert self._images is not None
        assert self._network is not None
        camera = Camera(header.frame_id, frame.shape[1], frame.shape[0])
        headers = self._images.inputs[place].stream
        found = headers.place(camera, conversions.seconds(header), arrived_s)
        for text in found.news:
            log_of(self, self._names[place]).warning(text)
        if found.begins:
            self._network.get().streams[place].perceiver.engine.reset()
            self._depths[place] = BitDepth()
        return found.time_s

    def _publish(
        self,
        place: int,
        header: Header,
        frame: np.ndarray,
        record: FrameRecord,
        counts: Counts,
        plan_id: str,
    ) -> None:
        assert self._network is not None
        outputs = self._outputs[place]
        outputs.publish(frame, header, record, counts, plan_id)
        stream = self._network.get().streams[place]
        baseline = stream.baseline
        if baseline is not None and baseline.is_due(counts.processed, record.stamp_s):
            board = self._steps.board if self._steps is not None else ''
            full = baseline.process(frame, record.stamp_s, board, stream.perceiver.clocks)
            outputs.publish_baseline(frame, header, full, counts)

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
        images = [
            each.health.status(self._images.complaint(place), self._levels.facts(place))
            for place, each in enumerate(self._images.inputs)
        ]
        if not self._images.is_active:
            for each in images:
                each.message = f'not active; {each.message}'
            return self._named(images)
        statuses = [] if steps is None else steps.statuses()
        if self._learning is not None:
            statuses.append(self._learning.status())
        if self._preference is not None:
            statuses.append(self._preference.status())
        if self._edge is not None:
            statuses.append(self._edge.status())
        exits = [stream.exits.status() for stream in network.streams]
        return [*self._named(images), *statuses, *self._named(exits), *network.statuses]

    def _named(self, statuses: list[DiagnosticStatus]) -> list[DiagnosticStatus]:
        """One for each camera, in order: with the camera's name behind its own."""
        for each, camera in zip(statuses, self._names, strict=True):
            each.name = f'{each.name} {camera}'.rstrip()
        return statuses


def main(args: list[str] | None = None) -> None:
    """Entry point of `ros2 run e4_ros perception`."""
    run(Perception, args)


if __name__ == '__main__':
    main()
