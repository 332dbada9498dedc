"""A network of the zoo as a torch module, with what must happen before and after it."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from torch import nn

from e4_ros.vision.model import Task
from e4_ros.vision.models.decoders import AnyDecoder
from e4_ros.vision.models.described import DescribedModel
from e4_ros.vision.models.preprocessing import AnyPreprocessing


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
        labels: the network's own label of each class name, rising, where only some of its classes
            are wanted; empty where all are.

    Attributes:
        output_names: names of the network's outputs, in order.
    """

    def __init__(
        self,
        name: str,
        task: Task,
        class_names: Sequence[str],
        preprocessing: AnyPreprocessing,
        decoder: AnyDecoder,
        network: nn.Module,
        labels: Sequence[int] = (),
    ):
        super().__init__(name, task, class_names, preprocessing, decoder, labels)
        self.network: nn.Module = network.eval().requires_grad_(False)
        self.output_names: tuple[str, ...] = decoder.output_names

    def narrowed(self, class_names: Sequence[str]) -> TrainableModel:
        """The same with some of its classes alone, in the network's order.

        Raises:
            ValueError: a name is none of its classes, or there is no name.
        """
        mine = list(self.class_names)
        if unknown := [name for name in class_names if name not in mine]:
            near = get_close_matches(unknown[0], mine, n=3)
            hint = f' (near: {", ".join(near)})' if near else ''
            raise ValueError(f'{self.name} knows no class {unknown[0]!r}{hint}')
        if not class_names:
            raise ValueError(f'{self.name} needs at least one class to look for')
        places = sorted({mine.index(name) for name in class_names})
        return TrainableModel(
            self.name,
            self.task,
            tuple(mine[place] for place in places),
            self.preprocessing,
            self.decoder,
            self.network,
            tuple(self.labels[place] for place in places) if self.labels else tuple(places),
        )
