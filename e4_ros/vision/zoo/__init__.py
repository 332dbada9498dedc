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

"""Networks by name, pretrained or with weights of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from e4_ros.vision.model import ModelError
from e4_ros.vision.onnx_file import is_onnx_file, refuse_other_formats

if TYPE_CHECKING:  # decoders and preprocessing are used where there is no torch
    from e4_ros.vision.networks.trainable import TrainableModel
    from e4_ros.vision.zoo.weights import Weights

_OWN = ('pedestrian_ssdlite', 'efficientnet_lite0')


def names() -> list[str]:
    """Every name that `load_model` takes here: our own, torchvision's, timm's if installed."""
    from e4_ros.vision.zoo.detectors import detector_names
    from e4_ros.vision.zoo.libraries import timm_names, torchvision_names

    return [
        *_OWN,
        *(f'torchvision/{name}' for name in (*torchvision_names(), *detector_names())),
        *(f'timm/{name}' for name in timm_names()),
    ]


def load_model(
    name: str,
    weights: Weights = 'pretrained',
    class_names: Sequence[str] | None = None,
    input_size: tuple[int, int] | None = None,
) -> TrainableModel:
    """Build a network and load its weights, or take it out of a file or bundle.

    Args:
        name: one of `names`, an ONNX file, or the folder of a bundle, whose network comes without
            its exits.
        weights: ``'pretrained'``, a ``.safetensors`` or ``.pth`` file with a state dict of the same
            network, or ``'random'``. Pretrained weights of our own models are installed already;
            those of torchvision and timm are downloaded once.
        class_names: what your own weights tell apart, if not ImageNet's classes, or COCO's.
        input_size: ``(H, W)`` for a detector that shall see smaller images than it learned from.

    Returns:
        The model. Its network is a torch module or, for torchvision's detectors and for weights of
        your own, a graph that its bundles carry along.

    Raises:
        ModelError: no such name, or the weights cannot be had or do not fit.
    """
    if is_onnx_file(name):
        from e4_ros.vision.onnx_file.load import load_onnx

        if weights != 'pretrained' or class_names is not None or input_size is not None:
            raise ModelError(f'{name} has its weights in it; give names and size in its sidecar')
        return load_onnx(Path(name).expanduser())
    refuse_other_formats(name)
    if name and Path(name).is_dir():
        from e4_ros.vision.networks.from_bundle import reopened

        if weights != 'pretrained' or class_names is not None or input_size is not None:
            raise ModelError(f'the bundle {name} has weights, classes and input of its own')
        return reopened(Path(name))
    if name == 'pedestrian_ssdlite':
        from e4_ros.vision.zoo import pedestrian

        if class_names is not None:
            raise ModelError(f'{name} knows one class, person; its class names cannot be changed')
        return pedestrian.load(weights, input_size or (300, 300))
    if name not in names():
        raise ModelError(_unknown(name))
    library, _, arch = name.partition('/')

    from e4_ros.vision.zoo import detectors, efficientnet_lite, libraries

    if library == 'torchvision' and arch in detectors.detector_names():
        return detectors.torchvision_detector(arch, weights, class_names, input_size)
    if input_size is not None:
        raise ModelError(f'{name} runs at the size it learned; only a detector takes another')
    if name == 'efficientnet_lite0':
        return efficientnet_lite.load(weights, class_names)
    build = {'torchvision': libraries.torchvision_classifier, 'timm': libraries.timm_classifier}
    return build[library](arch, weights, class_names)


def _unknown(name: str) -> str:
    """Why there is no model of a name, and what there is."""
    from e4_ros.vision.zoo.libraries import kind_of

    library, _, arch = name.partition('/')
    if library == 'torchvision' and (kind := kind_of(arch)):
        return f'{name} is {kind}: e4_ros runs detectors of boxes and classifiers'
    if library == 'timm' and find_spec('timm') is None:
        return f'{name} needs timm, which is not installed: pip install timm'
    near = get_close_matches(name, names(), n=5)
    hint = f' (near: {", ".join(near)})' if near else ''
    return (
        f'no model is called {name!r}{hint}; there are {", ".join(_OWN)}, torchvision/NAME for the '
        'classifiers and detectors of torchvision, such as torchvision/mobilenet_v3_small and '
        'torchvision/ssdlite320_mobilenet_v3_large, and timm/NAME for the classifiers of timm'
        f'{"" if find_spec("timm") else " where it is installed"}. Your own weights of one of them '
        'go with --weights FILE, and a network of another make is given as an ONNX file'
    )
