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

"""A network as a model that a Triton server loads."""

from __future__ import annotations

from pathlib import Path

from e4_ros.offload.engines.triton import example_run, triton_name
from e4_ros.vision.bundle.join import joined
from e4_ros.vision.staged_network import StagedNetwork

_CONFIG = """name: "{name}"
platform: "onnxruntime_onnx"
max_batch_size: 0
input [{{ name: "x" data_type: TYPE_FP32 dims: [{inputs}] }}]
output [
{outputs}
]
instance_group [{{ count: {count} }}]
"""


def write_model(network: StagedNetwork, repository: Path, instances: int = 1) -> Path:
    """Write a network into a Triton model repository, uncut and without its exits.

    One frame at a time: Triton runs several beside each other, one an instance.

    Args:
        network: the network.
        repository: folder that ``tritonserver --model-repository`` gets; made where it is not.
        instances: copies that Triton keeps.

    Returns:
        Folder of the model.

    Raises:
        OSError: it cannot be written.
    """
    whole, name = joined(network), triton_name(network)
    given, found = example_run(whole)
    outputs = ',\n'.join(
        f'  {{ name: "{each}" data_type: TYPE_FP32 dims: [{_lengths(values.shape)}] }}'
        for each, values in found.items()
    )
    folder = repository / name
    (folder / '1').mkdir(parents=True, exist_ok=True)
    (folder / '1' / 'model.onnx').write_bytes(whole.stages[0].program.onnx())
    (folder / 'config.pbtxt').write_text(
        _CONFIG.format(name=name, inputs=_lengths(given.shape), outputs=outputs, count=instances)
    )
    return folder


def _lengths(shape: tuple[int, ...]) -> str:
    return ', '.join(map(str, shape))
