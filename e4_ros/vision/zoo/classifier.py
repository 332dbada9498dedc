"""An image classifier of any make, prepared for as its weights were evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from torch import nn

from e4_ros.vision.models.decoders import ClassDecoder
from e4_ros.vision.models.preprocessing import CentreCrop
from e4_ros.vision.networks.torch_network import TorchNetwork
from e4_ros.vision.networks.trainable import TrainableModel


def classifier(
    name: str, network: nn.Module, class_names: Sequence[str], preprocessing: CentreCrop
) -> TrainableModel:
    """A model that names one class for each frame.

    Args:
        name: name of the network in the zoo.
        network: ``(B, 3, H, W)`` to logits ``(B, C)``.
        class_names: ``C`` names.
        preprocessing: preprocessing of a frame to the network's input.
    """
    decoder = ClassDecoder()
    whole = TorchNetwork(network, preprocessing.size, decoder.output_names)
    return TrainableModel(name, 'classify', class_names, preprocessing, decoder, whole)


@lru_cache(maxsize=1)
def imagenet_classes() -> tuple[str, ...]:
    """The 1000 names of ImageNet-1k, as torchvision carries them."""
    from torchvision.models import MobileNet_V3_Small_Weights

    return tuple(MobileNet_V3_Small_Weights.DEFAULT.meta['categories'])
