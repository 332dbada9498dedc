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

"""Everything a robot needs to run a model without torch, in one folder: a manifest and ONNX files.

>>> from e4_ros.vision.bundle import load_bundle, shipped_bundle
>>> bundle = load_bundle(shipped_bundle('pedestrian_ssdlite'))
>>> [part.name for part in bundle.network.stages]
['stage0']
"""

from e4_ros.vision.bundle.bundle import Bundle, find_bundle, load_bundle, shipped_bundle
from e4_ros.vision.bundle.folder import read_manifest, write_bundle
from e4_ros.vision.bundle.manifest import FORMAT, BundleError, Calibration, Manifest

__all__ = [
    'FORMAT',
    'Bundle',
    'BundleError',
    'Calibration',
    'Manifest',
    'find_bundle',
    'load_bundle',
    'read_manifest',
    'shipped_bundle',
    'write_bundle',
]
