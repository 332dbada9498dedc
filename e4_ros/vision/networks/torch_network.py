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

"""A torch module as a network that can be cut."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import nn

from e4_ros.vision.networks import Cut
from e4_ros.vision.networks.torch_export import stage_programs
from e4_ros.vision.networks.torch_graph import find_cuts, split
from e4_ros.vision.staged_network import Part, Work


class TorchNetwork:
    """A module that torch.fx can trace.

    Args:
        module: ``(1, 3, H, W)`` float32 to a tensor or a tuple of tensors, traceable by
            ``torch.fx``; it is put in eval mode and takes no gradients.
        input_size: height and width of its input.
        output_names: names of its outputs, in order.

    Attributes:
        module: the module.
    """

    def __init__(
        self, module: nn.Module, input_size: tuple[int, int], output_names: Sequence[str]
    ) -> None:
        self.module: nn.Module = module.eval().requires_grad_(False)
        self.output_names = tuple(output_names)
        self._shape = 1, 3, *input_size

    @property
    def fingerprint(self) -> str:
        """Short hash of the network's weights."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.module.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def cuts(self) -> list[Cut]:
        """Every place where exactly one tensor is alive, in order of execution."""
        return self._cuts

    def stages(self, cuts: Sequence[str] = ()) -> list[Part]:
        """The stages between cuts, as programs that hold their torch modules."""
        stages = split(self.module, torch.zeros(self._shape), cuts)
        programs = stage_programs(stages, self._shape, self.output_names)
        return [
            Part(program, Work(stage.macs, stage.bytes_moved, stage.layers))
            for program, stage in zip(programs, stages, strict=True)
        ]

    @cached_property
    def _cuts(self) -> list[Cut]:
        return find_cuts(self.module, torch.zeros(self._shape))
