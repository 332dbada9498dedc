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

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from e4_ros.evaluation.doctor.devices import devices
from e4_ros.vision.runtime import trial
from e4_ros.vision.runtime.devices import DEVICES, Device, DeviceError, offered
from e4_ros.vision.runtime.trial import TrialProgram, try_device


def made() -> bytes:
    """How `weights/device_trial.onnx` was made."""
    rng = np.random.default_rng(0)
    graph = helper.make_graph(
        [
            helper.make_node('Conv', ['x', 'w', 'b'], ['c'], pads=[1] * 4, strides=[2, 2]),
            helper.make_node('Relu', ['c'], ['map']),
            helper.make_node('GlobalAveragePool', ['map'], ['mean']),
        ],
        'trial',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 3, 32, 32])],
        [
            helper.make_tensor_value_info('map', TensorProto.FLOAT, [1, 8, 16, 16]),
            helper.make_tensor_value_info('mean', TensorProto.FLOAT, [1, 8, 1, 1]),
        ],
        [
            numpy_helper.from_array(rng.standard_normal((8, 3, 3, 3)).astype(np.float32), 'w'),
            numpy_helper.from_array(rng.standard_normal(8).astype(np.float32), 'b'),
        ],
    )
    opset = [helper.make_opsetid('', 13)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def test_the_file_is_what_its_recipe_makes():
    shipped, again = (onnx.load_from_string(data) for data in (TrialProgram().onnx(), made()))
    assert shipped.graph == again.graph


def test_every_device_that_is_here_works():
    for device in offered():
        try_device(device)


def test_the_doctor_says_which_devices_work_and_which_are_not_here():
    checks = {check.name: check for check in devices()}
    assert checks['device cpu'].state == 'ok'
    missing = [d for d in DEVICES.values() if d.provider not in ort.get_available_providers()]
    assert all(device.package in checks['other devices'].found for device in missing)


def test_the_doctor_says_why_a_device_that_is_here_does_not_work(monkeypatch):
    monkeypatch.setattr(
        'e4_ros.vision.runtime.devices.offered',
        lambda: [Device('broken', 'NoSuchExecutionProvider', 'onnxruntime-none')],
    )
    (check, *_) = devices()
    assert (check.name, check.state) == ('device broken', 'optional')
    assert 'passes it over' in check.advice


def test_a_device_that_does_not_start_is_an_error():
    with pytest.raises(DeviceError, match='the trial network'):
        try_device(Device('broken', 'NoSuchExecutionProvider', 'onnxruntime-none'))
    assert trial.TrialProgram.name == 'the trial network'
