"""Anchors of an SSD, and from raw outputs to boxes.

Source: Liu et al., "SSD" (arXiv 1512.02325), with the numbers of TensorFlow's
``multiple_grid_anchor_generator`` and ``faster_rcnn_box_coder`` as found in the frozen graph.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from e4_ros.vision.boxes import nms
from e4_ros.vision.detections import Detections
from e4_ros.vision.models.ssdlite import map_sizes

_LEARNED_SIDE = 300
_SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
_RATIOS = (1.0, 2.0, 0.5, 3.0, 0.3333)
_CENTRE_SCALE, _SIZE_SCALE = 10.0, 5.0
_NMS_IOU = 0.6
_MOST = 100


@lru_cache(maxsize=8)
def anchors(input_size: tuple[int, int]) -> np.ndarray:
    """Anchors ``(A, 4)`` float32: centre y, centre x, height, width, as shares of the image.

    At every input size they have the pixels that the network learned them with, since an
    object's size in pixels is what its convolutions see.
    """
    found = []
    learned = _LEARNED_SIDE / np.array(input_size)
    for index, (rows, columns) in enumerate(map_sizes(input_size)):
        if index == 0:
            scales, ratios = [0.1, 0.2, 0.2], [1.0, 2.0, 0.5]
        else:
            between = float(np.sqrt(_SCALES[index] * _SCALES[index + 1]))
            scales, ratios = [_SCALES[index]] * 5 + [between], [*_RATIOS, 1.0]
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


def decode(
    encodings: np.ndarray,
    logits: np.ndarray,
    anchors: np.ndarray,
    frame_shape: tuple[int, ...],
    min_score: float,
) -> Detections:
    """Boxes of one frame from the raw outputs of an SSD with sigmoid scores.

    Scores are compared as logits, so that only what passes is decoded at all.

    Args:
        encodings: ``(A, 4)``, offsets from the anchors: y, x, log height, log width.
        logits: ``(A, C)``.
        anchors: ``(A, 4)`` of `anchors`.
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
    boxes = _boxes(encodings[rows], anchors[rows])
    kept = nms(boxes, scores, _NMS_IOU, labels, _MOST)
    height, width = frame_shape[:2]
    boxes = boxes[kept].clip(0, 1) * np.array([width, height, width, height], np.float32)
    return Detections.of(boxes, scores[kept], labels[kept])


def _boxes(encodings: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """``(N, 4)`` x0, y0, x1, y1 as shares of the image."""
    centre = encodings[:, :2] * (anchors[:, 2:] / _CENTRE_SCALE) + anchors[:, :2]
    half = np.exp(encodings[:, 2:] / _SIZE_SCALE) * (anchors[:, 2:] / 2)
    return np.concatenate([centre - half, centre + half], 1)[:, [1, 0, 3, 2]]
