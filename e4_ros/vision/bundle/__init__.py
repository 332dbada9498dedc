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
