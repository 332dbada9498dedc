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

"""What perception publishes for each image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from rclpy.lifecycle import (
    LifecycleNode,
    LifecyclePublisher,
    LifecycleState,
    ManagedEntity,
    TransitionCallbackReturn,
)
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image
from std_msgs.msg import Float32, Header

from e4_ros.msg import Detections as DetectionsMsg
from e4_ros.msg import ExitTelemetry, OffloadTelemetry, RequestTelemetry, SegmentTelemetry
from e4_ros.nodes import conversions
from e4_ros.nodes.health import Counts
from e4_ros.nodes.parameters import value
from e4_ros.offload.exchange import ANSWERED
from e4_ros.offload.request import LEGS, RequestOutcome
from e4_ros.perception.offload_stream import FrameOffload
from e4_ros.perception.records import FrameRecord

if TYPE_CHECKING:
    from e4_ros.perception.annotate import Annotator
    from e4_ros.vision.inference.frame_result import FrameResult
    from e4_ros.vision.inference.stream_engine import StreamEngine

_OLDEST_S = 60.0  # an older stamp is of another clock, as where a bag is played at its own times


class Outputs(ManagedEntity):
    """One camera's output topics, there while the node is configured.

    :meth:`attach` says whose answers they carry.

    Args:
        node: Publishes.
        camera: Name of the camera, below which the topics lie; empty where there is only one.
    """

    def __init__(self, node: LifecycleNode, camera: str = '') -> None:
        self._node, self._below = node, f'~/{camera}/' if camera else '~/'
        self._publishers: list[LifecyclePublisher] = []
        self._detections = self._publisher(DetectionsMsg, '~/detections')
        self._telemetry = self._publisher(ExitTelemetry, '~/exit_telemetry')
        self._annotated = self._publisher(Image, '~/annotated')
        self._full_detections = self._publisher(DetectionsMsg, '~/baseline/detections')
        self._full_telemetry = self._publisher(ExitTelemetry, '~/baseline/exit_telemetry')
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._rate = self._publisher(Float32, '~/camera_rate', latched)
        self._annotator: Annotator | None = None
        self._version = ''
        self._array = None
        self._labels: LifecyclePublisher | None = None
        if conversions.Detection2DArray is not None:
            self._array = self._publisher(conversions.Detection2DArray, '~/detections_2d')
            self._labels = self._publisher(conversions.LabelInfo, '~/label_info', latched)

    def attach(self, engine: StreamEngine, version: str = '') -> None:
        """Describe the answers of ``engine`` from now on, which runs that version of the model."""
        self._version = version
        self._model, self._exits = engine.model, list(engine.paths)
        self._annotator = None
        self._publish_labels()

    def publish(
        self, frame: np.ndarray, header: Header, record: FrameRecord, at: Counts, plan_id: str
    ) -> None:
        """Publish detections and telemetry; the picture and vision_msgs while someone listens."""
        detections = record.result.detections
        self._detections.publish(self._to_detections(record.result, header, frame))
        end_to_end_s = self._age_s(header)
        if self._array is not None and self._array.get_subscription_count():
            names = self._model.class_names
            self._array.publish(conversions.to_detection_2d_array(detections, header, names))
        self._telemetry.publish(self._to_telemetry(header, record, at, plan_id, end_to_end_s))
        if self._annotated.get_subscription_count():
            picture = (self._annotator or self._make_annotator()).draw(frame, record)
            self._annotated.publish(conversions.to_image(picture, header))

    def publish_baseline(
        self, frame: np.ndarray, header: Header, record: FrameRecord, at: Counts
    ) -> None:
        """Publish what the full network says to the same image and what it costs."""
        self._full_detections.publish(self._to_detections(record.result, header, frame))
        self._full_telemetry.publish(self._to_telemetry(header, record, at))

    def publish_rate(self, hz: float | None) -> None:
        """Say how many images a second the scene needs; None is no news."""
        if hz is not None:
            self._rate.publish(Float32(data=hz))

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Say which classes there are, to whoever comes."""
        self._publish_labels()
        return super().on_activate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take the topics away."""
        while self._publishers:
            self._node.destroy_lifecycle_publisher(self._publishers.pop())
        return super().on_cleanup(state)

    def _publish_labels(self) -> None:
        if self._labels is not None:
            header = Header(stamp=self._node.get_clock().now().to_msg())
            names, min_score = self._model.class_names, value(self._node, 'min_score')
            self._labels.publish(conversions.to_label_info(header, names, min_score))

    def _publisher(self, kind: type, topic: str, qos: QoSProfile | int = 10) -> LifecyclePublisher:
        publisher = self._node.create_lifecycle_publisher(
            kind,
            topic.replace('~/', self._below),
            qos,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._publishers.append(publisher)
        return publisher

    def _make_annotator(self) -> Annotator:
        """Only when somebody listens: drawing brings fonts and a library of its own."""
        from e4_ros.perception.annotate import Annotator

        model = self._model
        self._annotator = Annotator(self._exits, model.class_names, model.task)
        return self._annotator

    def _to_detections(
        self, result: FrameResult, header: Header, frame: np.ndarray
    ) -> DetectionsMsg:
        model, (height, width) = self._model, frame.shape[:2]
        return conversions.to_detections(
            result.detections, header, model.name, model.task, model.class_names, (width, height)
        )

    def _age_s(self, header: Header) -> float:
        age_s = self._node.get_clock().now().nanoseconds * 1e-9 - conversions.seconds(header)
        return age_s if 0 <= age_s <= _OLDEST_S else math.nan

    def _to_telemetry(
        self,
        header: Header,
        record: FrameRecord,
        at: Counts,
        plan_id: str = '',
        end_to_end_s: float = math.nan,
    ) -> ExitTelemetry:
        result = record.result
        return ExitTelemetry(
            header=header,
            model=self._model.name,
            exit_name=result.exit,
            diversity=float(result.diversity),
            gate_names=list(result.gate_scores),
            gate_scores=[float(score) for score in result.gate_scores.values()],
            risk_asked=record.risk.asked,
            risk_seen=record.risk.seen,
            key_frame_rate=record.risk.key_frame_rate,
            segments=_to_segments(record),
            latency_s=float(result.latency_s),
            end_to_end_s=end_to_end_s,
            energy_j=float(record.energy_j),
            energy_source=record.energy_source,
            energy_shared=record.energy_shared,
            frames_received=at.received,
            frames_processed=at.processed,
            frames_dropped=at.dropped,
            plan_id=plan_id,
            version=self._version,
            offload=_to_offload(record.offload or FrameOffload()),
        )


def _to_offload(about: FrameOffload) -> OffloadTelemetry:
    asked = about.asked
    return OffloadTelemetry(
        place=about.place,
        service=asked.service,
        form=asked.form if asked.service else '',
        cut=asked.cut,
        requests=[_to_request(request) for request in about.requests],
        radio_j=float(about.radio_j),
        why_local=about.why_local,
        **about.counts,
    )


def _to_request(request: RequestOutcome) -> RequestTelemetry:
    asked = request.offload
    legs = {f'{leg}_s': float(request.legs_s.get(leg, math.nan)) for leg in LEGS}
    stamp_s = request.stamp_s if math.isfinite(request.stamp_s) else 0.0
    return RequestTelemetry(
        stamp=conversions.to_time(stamp_s),
        service=asked.service,
        form=asked.form if asked.service else '',
        cut=asked.cut,
        status=request.status,
        late=request.status == ANSWERED and not request.in_time,
        sent_bytes=request.sent_bytes,
        total_s=float(request.total_s),
        reason=request.reason,
        **legs,
    )


def _to_segments(record: FrameRecord) -> list[SegmentTelemetry]:
    names = record.segments
    points = record.points or [{}] * len(names)
    parts = zip(names, record.devices, record.result.segment_s, points, strict=True)
    return [
        SegmentTelemetry(
            name=name, device=device, latency_s=float(s), point=conversions.to_point(point)
        )
        for name, device, s, point in parts
    ]
