"""A network's two sides, before it and after it, from settings alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from e4_ros.vision.detections import Detections
from e4_ros.vision.model import Task, check_frame
from e4_ros.vision.models.decoders import ClassDecoder, SsdDecoder
from e4_ros.vision.models.preprocessing import CentreCrop, Stretch


class DescribedModel:
    """A `VisionModel` that its settings describe in full; needs no torch.

    Args:
        name: name of the network.
        task: ``detect`` or ``classify``.
        class_names: class names by label.
        preprocessing: preprocessing of a frame to the network's input.
        decoder: decoding of the network's outputs to detections.
    """

    def __init__(
        self,
        name: str,
        task: Task,
        class_names: Sequence[str],
        preprocessing: Stretch | CentreCrop,
        decoder: SsdDecoder | ClassDecoder,
    ):
        self.name = name
        self.task: Task = task
        self.class_names = class_names
        self.preprocessing = preprocessing
        self.decoder = decoder
        self.input_size = preprocessing.size
        self._decode = decoder.for_input(self.input_size)

    def preprocess(self, frame: np.ndarray) -> np.ndarray:
        """The network's ``(1, 3, H, W)`` float32 input for an ``(H, W, 3)`` uint8 RGB frame."""
        check_frame(frame)
        return self.preprocessing(frame)

    def decode(
        self, outputs: Mapping[str, np.ndarray], frame_shape: tuple[int, ...], min_score: float
    ) -> Detections:
        """Detections from the network's outputs by name, in pixels of the frame."""
        return self._decode(outputs, frame_shape, min_score)
