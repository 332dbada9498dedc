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

"""A detector that somebody brings as an ONNX file: read, understood, made ready to be cut."""

from pathlib import Path

from e4_ros.vision.model import ModelError

_OTHER_FORMATS = {
    '.pt': 'a checkpoint of PyTorch',
    '.pth': 'a checkpoint of PyTorch',
    '.ckpt': 'a checkpoint of PyTorch',
    '.safetensors': 'a file of weights alone',
    '.pdparams': 'a file of weights of Paddle',
    '.pdmodel': 'a network of Paddle',
    '.engine': 'an engine of TensorRT, which runs on one machine only',
    '.tflite': 'a network of TensorFlow Lite',
    '.pb': 'a network of TensorFlow',
    '.h5': 'a network of Keras',
    '.keras': 'a network of Keras',
    '.xml': 'a network of OpenVINO',
    '.param': 'a network of ncnn',
}


def is_onnx_file(model: str) -> bool:
    """Whether somebody means an ONNX file: by its suffix, whether there is one or not."""
    return Path(model).suffix.lower() == '.onnx'


def refuse_other_formats(model: str) -> None:
    """Refuse files of networks that are no ONNX.

    Raises:
        ModelError: says what it is, and how it becomes one.
    """
    what = _OTHER_FORMATS.get(Path(model).suffix.lower())
    if what is not None:
        raise ModelError(
            f'{model} is {what}: export it to ONNX where it was trained. docs/models.md has the '
            'line for each family; for Ultralytics it is `yolo export model=best.pt format=onnx`'
        )
