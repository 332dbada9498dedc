"""A network of the zoo as a torch module, with what must happen before and after it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from e4_ros.vision.model import Task
from e4_ros.vision.models.decoders import ClassDecoder, SsdDecoder
from e4_ros.vision.models.described import DescribedModel
from e4_ros.vision.models.preprocessing import CentreCrop, Stretch


class TrainableModel(DescribedModel):
    """A described model with the network itself.

    Args:
        name: name that it has in the zoo.
        task: ``detect`` or ``classify``.
        class_names: class names by label.
        preprocessing: preprocessing of a frame to the network's input.
        decoder: decoding of the network's outputs to detections.
        network: torch module, ``(1, 3, H, W)`` float32 to a tensor or a tuple of tensors, traceable
            by ``torch.fx``; it is put in eval mode and takes no gradients.

    Attributes:
        output_names: names of the network's outputs, in order.
    """

    def __init__(
        self,
        name: str,
        task: Task,
        class_names: Sequence[str],
        preprocessing: Stretch | CentreCrop,
        decoder: SsdDecoder | ClassDecoder,
        network: nn.Module,
    ):
        super().__init__(name, task, class_names, preprocessing, decoder)
        self.network: nn.Module = network.eval().requires_grad_(False)
        self.output_names: tuple[str, ...] = decoder.output_names
