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

"""Answers and frame records to ROS messages. The header of every output is its image's own."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from e4_ros.msg import Detection, OperatingPoint
from e4_ros.msg import Detections as DetectionsMsg
from e4_ros.vision.detections import Detections

try:  # not among the wheels; on robots from `rosdep install`
    from vision_msgs.msg import BoundingBox2D, Detection2D, Detection2DArray, LabelInfo, VisionClass
    from vision_msgs.msg import ObjectHypothesisWithPose as Hypothesis
except ImportError:
    Detection2DArray = None


def seconds(header: Header) -> float:
    """A header's stamp in seconds."""
    return header.stamp.sec + header.stamp.nanosec * 1e-9


def to_time(stamp_s: float) -> Time:
    """Seconds since 1970 as a stamp."""
    whole_ns = round(stamp_s * 1e9)
    return Time(sec=whole_ns // 10**9, nanosec=whole_ns % 10**9)


def to_detections(
    detections: Detections,
    header: Header,
    model: str,
    task: str,
    class_names: Sequence[str],
    size: tuple[int, int] = (0, 0),
) -> DetectionsMsg:
    """Turn detections into ``e4_ros/Detections``; ``size`` is the image's, width and height."""
    # Lists first: a number taken out of an array alone costs more than the rest of the message.
    scores, labels = detections.scores.tolist(), detections.labels.tolist()
    ids, velocities = _tracks(detections)
    messages = [
        Detection(
            class_name=class_name(label, class_names),
            class_index=label,
            score=score,
            box=box,
            track_id=track_id,
            velocity=velocity,
        )
        for box, score, label, track_id, velocity in zip(
            detections.boxes, scores, labels, ids, velocities, strict=True
        )
    ]
    return DetectionsMsg(
        header=header,
        model=model,
        task=task,
        image_width=size[0],
        image_height=size[1],
        detections=messages,
    )


def to_detection_2d_array(
    detections: Detections, header: Header, class_names: Sequence[str]
) -> Any:
    """Turn detections into ``vision_msgs/Detection2DArray``; needs vision_msgs.

    `id` is the track's, and empty where nobody tracks.
    """
    message = Detection2DArray(header=header)
    boxes, scores, labels = (
        part.tolist() for part in (detections.boxes, detections.scores, detections.labels)
    )
    ids = _tracks(detections)[0]
    for (x0, y0, x1, y1), score, label, track in zip(boxes, scores, labels, ids, strict=True):
        bounds = BoundingBox2D(size_x=x1 - x0, size_y=y1 - y0)
        bounds.center.position.x = (x0 + x1) / 2
        bounds.center.position.y = (y0 + y1) / 2
        hypothesis = Hypothesis()
        hypothesis.hypothesis.class_id = class_name(label, class_names)
        hypothesis.hypothesis.score = score
        found = Detection2D(header=header, bbox=bounds, results=[hypothesis])
        found.id = str(track) if track else ''
        message.detections.append(found)
    return message


def to_label_info(header: Header, class_names: Sequence[str], min_score: float) -> Any:
    """``vision_msgs/LabelInfo``: the classes' names by their indices; needs vision_msgs."""
    classes = [VisionClass(class_id=i, class_name=name) for i, name in enumerate(class_names)]
    return LabelInfo(header=header, class_map=classes, threshold=min_score)


def _tracks(detections: Detections) -> tuple[list[int], np.ndarray]:
    """Ids, 0 for none, and velocities ``(N, 2)`` float32, NaN for none."""
    count = len(detections)
    ids, velocities = detections.ids, detections.velocities
    return (
        [0] * count if ids is None else ids.tolist(),
        np.full((count, 2), np.nan, np.float32) if velocities is None else velocities,
    )


def class_name(label: int, class_names: Sequence[str]) -> str:
    """Name of a class; its number where the model does not name it."""
    return class_names[label] if 0 <= label < len(class_names) else str(int(label))


def to_point(point: Mapping[str, int]) -> OperatingPoint:
    """Turn an operating point into its message."""
    return OperatingPoint(
        domains=list(point), frequencies_hz=[int(hertz) for hertz in point.values()]
    )


def to_image(frame: np.ndarray, header: Header) -> Image:
    """Turn an RGB array ``(H, W, 3)`` uint8 into ``sensor_msgs/Image`` (rgb8)."""
    height, width = frame.shape[:2]
    message = Image(header=header, height=height, width=width, encoding='rgb8', step=3 * width)
    message.data = octets(np.ascontiguousarray(frame))
    return message


def to_jpeg(frame: np.ndarray, header: Header, quality: int) -> CompressedImage:
    """Turn an RGB array ``(H, W, 3)`` uint8 into ``sensor_msgs/CompressedImage`` (JPEG)."""
    bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    message = CompressedImage(header=header, format='rgb8; jpeg compressed bgr8')
    message.data = octets(data)
    return message


def octets(data: np.ndarray) -> array[int]:
    """Contiguous bytes as the one type that rclpy does not check byte by byte, copied once."""
    copied = array('B')
    if data.size:  # memoryview does not cast what is empty
        copied.frombytes(data.data.cast('B'))
    return copied
