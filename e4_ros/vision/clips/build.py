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

"""A trained clip model as a bundle: backbone and step as ONNX files, and what they need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from e4_ros.vision.bundle.folder import write_bundle
from e4_ros.vision.bundle.manifest import ClipWindow, Manifest, StageEntry
from e4_ros.vision.clip_network import ClipNetwork, stop_name
from e4_ros.vision.clips.backbone import ClipBackbone
from e4_ros.vision.clips.clip_model import ClipModel
from e4_ros.vision.clips.step import OUTPUTS, ClipStep
from e4_ros.vision.models.decoders import ClassDecoder
from e4_ros.vision.models.described import DescribedModel
from e4_ros.vision.networks.to_bundle import origin_of, program_entry
from e4_ros.vision.networks.torch_costs import module_cost
from e4_ros.vision.networks.torch_export import ModuleProgram
from e4_ros.vision.staged_network import Part, Work


def clip_network(backbone: ClipBackbone, model: ClipModel, window_s: float) -> ClipNetwork:
    """A trained clip model as an engine runs it; its programs hold their torch modules.

    Args:
        backbone: the frozen network that the model learned from.
        model: trained clip model.
        window_s: length of the clips that it learned from, in seconds.
    """
    frames = model.net.settings.frames
    step = ClipStep(model.net, model.gate)
    inputs = step.inputs(backbone.early)
    cost = module_cost(step, *map(torch.zeros, inputs.values()))
    return ClipNetwork(
        DescribedModel(
            f'{backbone.model.name}-clips',
            'clips',
            model.class_names,
            backbone.model.preprocessing,
            ClassDecoder(),
        ),
        Part(backbone.program(), Work(backbone.macs, backbone.bytes_moved, backbone.layers)),
        Part(
            ModuleProgram('step', step, inputs, OUTPUTS),
            Work(cost.macs, cost.bytes_moved, cost.layers),
        ),
        frames,
        window_s,
        {stop_name(seen): model.threshold for seen in range(1, frames)},
    )


def build_clip_bundle(
    backbone: ClipBackbone,
    model: ClipModel,
    window_s: float,
    folder: Path,
    notes: Mapping[str, Any],
) -> Manifest:
    """Write the bundle of a trained clip model.

    Args:
        backbone: the frozen network that the model learned from.
        model: trained clip model.
        window_s: length of the clips that it learned from, in seconds.
        folder: the bundle's folder; a bundle that is there is replaced.
        notes: what it was trained on, and how.

    Returns:
        What was written.

    Raises:
        ExportError: a part cannot be written as ONNX.
        BundleError: the folder holds something else.
        OSError: it cannot be written.
    """
    network = clip_network(backbone, model, window_s)
    files: dict[str, bytes] = {}
    manifest = Manifest(
        model=network.model.name,
        task='clips',
        class_names=tuple(model.class_names),
        preprocessing=backbone.model.preprocessing,
        decoder=ClassDecoder(),
        stages=tuple(
            StageEntry(**program_entry(part, files)) for part in (network.backbone, network.step)
        ),
        clip=ClipWindow(frames=network.frames, window_s=window_s),
        thresholds=dict(network.thresholds),
        origin=origin_of(backbone.model, notes),
    )
    write_bundle(folder, manifest, files)
    return manifest
