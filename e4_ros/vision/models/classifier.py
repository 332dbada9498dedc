"""An image classifier of any make, prepared for as its weights were evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from torch import nn

from e4_ros.vision.detections import Detections
from e4_ros.vision.model import Task, check_frame


@dataclass(frozen=True)
class Preparation:
    """How a frame becomes an input: shrink, cut out the centre, normalise.

    Attributes:
        resize: length in pixels of the shorter side after shrinking.
        crop: ``(H, W)`` of the centre that the network sees.
        mean: of each channel, in pixel values 0 to 255.
        std: likewise.
    """

    resize: int
    crop: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """``(H, W, 3)`` uint8 RGB to ``(1, 3, h, w)`` float32.

        The part that will be kept is cut out first, so that nothing is resized in vain.
        """
        check_frame(frame)
        height, width = frame.shape[:2]
        scale = min(height, width) / max(self.resize, *self.crop)
        rows, columns = (max(1, round(side * scale)) for side in self.crop)
        top, left = (height - rows) // 2, (width - columns) // 2
        centre = frame[top : top + rows, left : left + columns]
        smooth = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
        small = cv2.resize(centre, self.crop[::-1], interpolation=smooth)
        scaled = (small - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], np.float32)


class Classifier:
    """A `VisionModel` that names one class for each frame.

    Args:
        name: its name in the zoo.
        network: ``(B, 3, H, W)`` to logits ``(B, C)``.
        class_names: ``C`` names.
        preparation: from frame to input.
    """

    task: Task = 'classify'
    output_names: tuple[str, ...] = ('logits',)

    def __init__(
        self, name: str, network: nn.Module, class_names: Sequence[str], preparation: Preparation
    ):
        self.name = name
        self.network: nn.Module = network.eval().requires_grad_(False)
        self.class_names = class_names
        self.input_size = preparation.crop
        self.preprocess = preparation

    def decode(
        self, outputs: Mapping[str, np.ndarray], frame_shape: tuple[int, ...], min_score: float
    ) -> Detections:
        """The likeliest class from ``logits`` ``(1, C)``; empty if its probability is too low."""
        logits = outputs['logits'][0]
        label = int(logits.argmax())
        score = float(1 / np.exp(logits - logits[label]).sum())
        if score < min_score:
            return Detections.empty()
        return Detections.of_class(label, score, frame_shape)


@lru_cache(maxsize=1)
def imagenet_classes() -> tuple[str, ...]:
    """The 1000 names of ImageNet-1k, as torchvision carries them."""
    from torchvision.models import MobileNet_V3_Small_Weights

    return tuple(MobileNet_V3_Small_Weights.DEFAULT.meta['categories'])
