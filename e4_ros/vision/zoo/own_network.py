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

"""Networks with weights of their own, which the zoo cannot make again by their name."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from e4_ros.vision.networks import Network
from e4_ros.vision.networks.onnx_network import OnnxNetwork
from e4_ros.vision.networks.torch_export import whole_graph
from e4_ros.vision.networks.torch_network import TorchNetwork
from e4_ros.vision.onnx_file.prepare import prepare


def network_of(
    module: nn.Module, input_size: tuple[int, int], output_names: Sequence[str], file: str
) -> Network:
    """The network of a module.

    With weights of the zoo it is the module itself, which a bundle's name and hash bring back. With
    others it is a graph, which its bundles carry along.

    Args:
        module: ``(1, 3, H, W)`` float32 to a tensor or a tuple of tensors, traceable by
            ``torch.fx``.
        input_size: height and width of its input.
        output_names: names of its outputs, in order.
        file: name of the file that its weights came in; empty for those of the zoo.
    """
    if file:
        return graph_network(module, input_size, output_names)
    return TorchNetwork(module, input_size, output_names)


def graph_network(
    module: nn.Module, input_size: tuple[int, int], output_names: Sequence[str]
) -> OnnxNetwork:
    """A module as an ONNX graph.

    Args:
        module: ``(1, 3, H, W)`` float32 to a tensor or a tuple of tensors.
        input_size: height and width of its input.
        output_names: names of its outputs, in order.

    Raises:
        ExportError: the module uses what ONNX cannot say.
    """
    module.eval().requires_grad_(False)
    return OnnxNetwork(prepare(whole_graph(module, {'x': (1, 3, *input_size)}, output_names)))
