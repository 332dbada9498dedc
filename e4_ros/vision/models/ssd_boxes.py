"""Anchors of an SSD, and from raw outputs to boxes.

Source: Liu et al., "SSD" (arXiv 1512.02325), with the numbers of TensorFlow's
``multiple_grid_anchor_generator`` and ``faster_rcnn_box_coder`` as found in the frozen graph.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

from e4_ros.vision.boxes import nms
from e4_ros.vision.detections import Detections


class SsdSettings(BaseModel):
    """Where an SSD's anchors lie, and what its numbers mean.

    Attributes:
        learned_side: side of the square images that the anchors were made for, pixels.
        strides: pixels of the input between two cells, for each feature map.
        first_scales: sizes of the first map's anchors, as shares of the image.
        first_ratios: their ratios of width to height.
        scales: size of the other maps' anchors, one for each map and one more.
        ratios: their ratios of width to height.
        centre_scale: unit of a box's centre, in anchor sizes over this number.
        size_scale: unit of a box's logarithmic size, likewise.
        nms_iou: greatest overlap of two boxes of one class.
        most: greatest number of boxes in a frame.
    """

    model_config = ConfigDict(frozen=True, extra='forbid', defer_build=True)

    learned_side: PositiveInt = 300
    strides: tuple[PositiveInt, ...] = (16, 32, 64, 128, 256, 512)
    first_scales: tuple[PositiveFloat, ...] = (0.1, 0.2, 0.2)
    first_ratios: tuple[PositiveFloat, ...] = (1.0, 2.0, 0.5)
    scales: tuple[PositiveFloat, ...] = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
    ratios: tuple[PositiveFloat, ...] = (1.0, 2.0, 0.5, 3.0, 0.3333)
    centre_scale: PositiveFloat = 10.0
    size_scale: PositiveFloat = 5.0
    nms_iou: PositiveFloat = 0.6
    most: PositiveInt = 100

    def map_sizes(self, input_size: tuple[int, int]) -> list[tuple[int, int]]:
        """Height and width of each feature map: the input's over the stride, rounded up."""
        return [(-(-input_size[0] // s), -(-input_size[1] // s)) for s in self.strides]


@lru_cache(maxsize=8)
def anchors(input_size: tuple[int, int], settings: SsdSettings) -> np.ndarray:
    """Anchors ``(A, 4)`` float32: centre y, centre x, height, width, as shares of the image.

    At every input size they have the pixels that the network learned them with, since an
    object's size in pixels is what its convolutions see.
    """
    found = []
    learned = settings.learned_side / np.array(input_size)
    for index, (rows, columns) in enumerate(settings.map_sizes(input_size)):
        if index == 0:
            scales, ratios = list(settings.first_scales), list(settings.first_ratios)
        else:
            own = settings.scales[index]
            between = float(np.sqrt(own * settings.scales[index + 1]))
            scales = [own] * len(settings.ratios) + [between]
            ratios = [*settings.ratios, 1.0]
        root = np.sqrt(ratios)
        y, x = np.meshgrid(
            (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing='ij'
        )
        centres = np.stack([y, x], -1).reshape(-1, 1, 2).repeat(len(scales), 1)
        sizes = np.broadcast_to(
            np.stack([scales / root, scales * root], -1) * learned, centres.shape
        )
        found.append(np.concatenate([centres, sizes], -1).reshape(-1, 4))
    return np.concatenate(found).astype(np.float32)


def decode_ssd(
    encodings: np.ndarray,
    logits: np.ndarray,
    anchors: np.ndarray,
    settings: SsdSettings,
    frame_shape: tuple[int, ...],
    min_score: float,
) -> Detections:
    """Boxes of one frame from the raw outputs of an SSD with sigmoid scores.

    Scores are compared as logits, so that only what passes is decoded at all.

    Args:
        encodings: ``(A, 4)``, offsets from the anchors: y, x, log height, log width.
        logits: ``(A, C)``.
        anchors: ``(A, 4)`` of `anchors`.
        settings: what the numbers mean.
        frame_shape: ``(H, W, ...)`` of the source frame, whose pixels the boxes are in.
        min_score: what scores less is left out; between 0 and 1, neither included.

    Raises:
        ValueError: ``min_score`` is outside.
    """
    if not 0 < min_score < 1:
        raise ValueError(f'the least score must lie between 0 and 1, got {min_score}')
    floor = np.log(min_score / (1 - min_score))
    rows, labels = np.nonzero(logits >= floor)
    if not len(rows):
        return Detections.empty()
    scores = 1 / (1 + np.exp(-logits[rows, labels]))
    boxes = _boxes(encodings[rows], anchors[rows], settings)
    kept = nms(boxes, scores, settings.nms_iou, labels, settings.most)
    height, width = frame_shape[:2]
    boxes = boxes[kept].clip(0, 1) * np.array([width, height, width, height], np.float32)
    return Detections.of(boxes, scores[kept], labels[kept])


def _boxes(encodings: np.ndarray, anchors: np.ndarray, settings: SsdSettings) -> np.ndarray:
    """``(N, 4)`` x0, y0, x1, y1 as shares of the image."""
    centre = encodings[:, :2] * (anchors[:, 2:] / settings.centre_scale) + anchors[:, :2]
    half = np.exp(encodings[:, 2:] / settings.size_scale) * (anchors[:, 2:] / 2)
    return np.concatenate([centre - half, centre + half], 1)[:, [1, 0, 3, 2]]
