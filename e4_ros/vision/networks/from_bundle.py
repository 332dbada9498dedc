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

"""A bundle's network taken out again, to be cut elsewhere and fitted anew."""

from __future__ import annotations

from pathlib import Path

from e4_ros.vision.bundle.bundle import load_bundle
from e4_ros.vision.bundle.join import joined_graph
from e4_ros.vision.networks.trainable import TrainableModel


def reopened(folder: Path) -> TrainableModel:
    """The network of a bundle, without its exits; needs neither its file nor torch.

    Raises:
        BundleError: the folder is no bundle, or that of a clip model.
    """
    from e4_ros.vision.networks.onnx_fold import folded
    from e4_ros.vision.networks.onnx_network import OnnxNetwork

    bundle = load_bundle(folder)
    manifest, graph = bundle.manifest, folded(joined_graph(bundle.network.stages))
    return TrainableModel(
        manifest.model,
        manifest.task,
        manifest.class_names,
        manifest.preprocessing,
        manifest.decoder,
        OnnxNetwork(graph, manifest.origin.network),
        manifest.origin.file,
        manifest.labels,
        manifest.origin.family,
        manifest.origin.recognised,
    )
