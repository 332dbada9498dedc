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

"""What is missing, fails or answers differently, and what auto makes of it."""

from __future__ import annotations

import logging

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from e4_ros.energy.board_model import HOST_DEVICES
from e4_ros.vision.runtime.device_check import difference, example
from e4_ros.vision.runtime.devices import (
    DEVICES,
    NAMES,
    Device,
    DeviceError,
    check_name,
    find,
    on_device,
)
from e4_ros.vision.runtime.factory import make_runtime
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime, spinning

CPU_PROVIDER = 'CPUExecutionProvider'
ELSEWHERE = Device('elsewhere', CPU_PROVIDER, 'onnxruntime', tolerance=1e-3)
"""A device of its own that is checked like one, and that every ONNX Runtime has."""


class Scale:
    """A program: its input times two, and a second output that reads it, too."""

    name = 'scale'
    inputs = {'x': (1, 3, 16, 16)}  # noqa: RUF012
    outputs = ('double', 'sum')

    def onnx(self) -> bytes:
        shape = list(self.inputs['x'])
        graph = helper.make_graph(
            [
                helper.make_node('Mul', ['x', 'two'], ['double']),
                helper.make_node('ReduceSum', ['double'], ['sum'], keepdims=1),
            ],
            'scale',
            [helper.make_tensor_value_info('x', TensorProto.FLOAT, shape)],
            [
                helper.make_tensor_value_info('double', TensorProto.FLOAT, shape),
                helper.make_tensor_value_info('sum', TensorProto.FLOAT, [1, 1, 1, 1]),
            ],
            [numpy_helper.from_array(np.array(2, np.float32), 'two')],
        )
        opset = [helper.make_opsetid('', 13)]
        return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


class Session:
    """An ONNX Runtime session whose answers something spoils on their way out."""

    def __init__(self, spoil, model, options, providers, **kwargs):
        self._spoil = spoil
        self._session = ort.InferenceSession(model, options, providers=[CPU_PROVIDER])

    def __getattr__(self, name):
        return getattr(self._session, name)

    def run_with_iobinding(self, binding):
        self._session.run_with_iobinding(binding)
        for value in binding.get_outputs():
            self._spoil(value)


def spoiled(spoil):
    return lambda *args, **kwargs: Session(spoil, *args, **kwargs)


def off_by(share):
    def spoil(value):
        value.update_inplace(value.numpy() * (1 + share))

    return spoil


def compiled(runtime):
    program = Scale()
    buffers = {name: runtime.buffer(shape) for name, shape in program.inputs.items()}
    return runtime.compile(program, buffers), buffers


def test_every_device_has_a_provider_and_the_board_model_knows_where_it_computes():
    assert list(DEVICES)[-1] == 'cpu'
    assert {name for name, d in DEVICES.items() if d.memory == 'cpu'} == HOST_DEVICES
    assert all(device.provider.endswith('ExecutionProvider') for device in DEVICES.values())


@pytest.mark.parametrize('wrong', ['gpu', '', 'CPU', 'cuda:0'])
def test_a_device_that_is_none_is_refused_with_the_names_there_are(wrong):
    with pytest.raises(DeviceError, match='choose one of auto, tensorrt, cuda, openvino, cpu'):
        check_name(wrong)


@pytest.mark.parametrize('wrong', [5, None, True, ['cpu'], 1.0])
def test_a_device_of_a_wrong_type_is_refused(wrong):
    with pytest.raises(DeviceError, match='a device is a name'):
        check_name(wrong)
    with pytest.raises(DeviceError, match='a device is a name'):
        on_device(wrong, lambda name: name, [])


def test_a_provider_that_is_not_here_is_refused_with_what_is_and_what_brings_it():
    missing = next(d for d in DEVICES.values() if d.provider not in ort.get_available_providers())
    with pytest.raises(DeviceError) as raised:
        find(missing.name)
    said = str(raised.value)
    assert missing.provider in said
    assert CPU_PROVIDER in said
    assert f'install {missing.package}' in said
    with pytest.raises(DeviceError, match=missing.provider):
        make_runtime('onnxruntime', 1, missing.name)


def test_a_piece_says_the_device_it_runs_on():
    piece, _ = compiled(OnnxRuntime(1))
    assert piece.device == 'cpu'
    piece, _ = compiled(OnnxRuntime(1, ELSEWHERE))
    assert piece.device == 'elsewhere'


def test_the_check_leaves_nothing_behind_in_the_inputs():
    piece, buffers = compiled(OnnxRuntime(1, ELSEWHERE))
    assert not buffers['x'].read().any()
    buffers['x'].write(np.ones((1, 3, 16, 16), np.float32))
    piece.run()
    assert (piece.outputs['double'].read() == 2).all()


def test_the_check_runs_on_what_the_stage_before_left():
    runtime, seen = OnnxRuntime(1, ELSEWHERE), []
    program = Scale()
    first = runtime.compile(program, {'x': runtime.buffer((1, 3, 16, 16))})
    watched = OnnxRuntime(
        1, ELSEWHERE, open_session=spoiled(lambda value: seen.append(value.numpy().copy()))
    )
    watched.compile(program, {'x': first.outputs['double']})
    picture = example((1, 3, 16, 16))
    assert np.allclose(seen[0], 4 * picture, atol=1e-6)


@pytest.mark.parametrize('share', [0.002, 0.5, float('nan')])
def test_a_provider_that_answers_differently_is_refused(share):
    runtime = OnnxRuntime(1, ELSEWHERE, open_session=spoiled(off_by(share)))
    with pytest.raises(DeviceError, match="'elsewhere' answers differently from the CPU: output"):
        compiled(runtime)


def test_an_answer_within_the_tolerance_is_the_same():
    piece, _ = compiled(OnnxRuntime(1, ELSEWHERE, open_session=spoiled(off_by(5e-4))))
    assert piece.device == 'elsewhere'


def test_a_provider_that_fails_at_the_first_run_is_refused_with_its_words():
    def fail(value):
        raise RuntimeError('CUDNN_STATUS_EXECUTION_FAILED')

    runtime = OnnxRuntime(1, ELSEWHERE, open_session=spoiled(fail))
    with pytest.raises(DeviceError, match='first run of scale: CUDNN_STATUS_EXECUTION_FAILED'):
        compiled(runtime)


def test_a_provider_that_cannot_load_the_network_is_refused_with_its_words():
    def fail(*args, **kwargs):
        raise RuntimeError('libcudnn.so.9: cannot open shared object file')

    with pytest.raises(DeviceError, match=r'cannot load scale: libcudnn\.so\.9'):
        compiled(OnnxRuntime(1, ELSEWHERE, open_session=fail))


def test_a_session_that_fell_back_to_the_cpu_is_noticed():
    """What ONNX Runtime does when a provider's library does not load: the session lacks it."""
    absent = Device('absent', 'CUDAExecutionProvider', 'onnxruntime-gpu')
    runtime = OnnxRuntime(1, absent, open_session=spoiled(lambda value: None))
    with pytest.raises(DeviceError, match='CUDAExecutionProvider is missing from the session'):
        compiled(runtime)


def test_operators_that_all_stay_on_the_cpu_are_noticed():
    """The session names the provider, but runs nothing on it."""

    class Idle(Session):
        def get_providers(self):
            return ['CUDAExecutionProvider', CPU_PROVIDER]

    absent = Device('idle', 'CUDAExecutionProvider', 'onnxruntime-gpu')
    runtime = OnnxRuntime(
        1, absent, open_session=lambda *args, **kwargs: Idle(lambda value: None, *args, **kwargs)
    )
    with pytest.raises(DeviceError, match="'idle' leaves all 2 operators of scale to the CPU"):
        compiled(runtime)


def test_auto_passes_over_what_fails_and_says_why(caplog):
    tried = []

    def attempt(name):
        tried.append(name)
        if name != 'cpu':
            raise DeviceError(f'{name} is tired')
        return name

    with caplog.at_level(logging.WARNING):
        assert on_device('auto', attempt, ['tensorrt', 'cuda']) == 'cpu'
    assert tried == ['tensorrt', 'cuda', 'cpu']
    assert 'device cuda is passed over: cuda is tired' in caplog.text


def test_auto_takes_the_first_that_works():
    assert on_device('auto', lambda name: name, ['tensorrt', 'cuda']) == 'tensorrt'


def test_by_name_a_failure_is_an_error():
    def attempt(name):
        raise DeviceError('it is tired')

    with pytest.raises(DeviceError, match='it is tired'):
        on_device('cuda', attempt, ['cuda'])


def test_only_a_device_error_makes_auto_go_on():
    def attempt(name):
        raise ValueError('the model is broken')

    with pytest.raises(ValueError, match='the model is broken'):
        on_device('auto', attempt, ['cuda'])


def test_tensorrt_keeps_its_engines_apart_by_model(tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))
    device = DEVICES['tensorrt']
    (name, one), (fallback, _) = device.providers('aa' * 32, fp16=True)
    other = dict(device.providers('bb' * 32))['TensorrtExecutionProvider']
    assert (name, fallback) == ('TensorrtExecutionProvider', 'CUDAExecutionProvider')
    assert one['trt_engine_cache_path'] != other['trt_engine_cache_path']
    assert one['trt_timing_cache_path'] == other['trt_timing_cache_path']
    assert (one['trt_fp16_enable'], other['trt_fp16_enable']) == ('True', 'False')
    assert all(isinstance(option, str) for option in one.values())


def test_torch_has_the_cpu_and_cuda_only():
    with pytest.raises(DeviceError, match='runs on cpu or cuda'):
        make_runtime('torch', device='openvino')


def test_torch_without_cuda_says_so():
    torch = pytest.importorskip('torch')
    if torch.cuda.is_available():
        pytest.skip('this torch has CUDA')
    with pytest.raises(DeviceError, match='finds no CUDA'):
        make_runtime('torch', device='cuda')


def test_the_difference_is_a_share_of_the_largest_value():
    assert difference(np.array([9.0, 0.0]), np.array([10.0, 0.0])) == pytest.approx(0.1)
    assert difference(np.zeros(0), np.zeros(0)) == 0
    assert np.isnan(difference(np.array([np.nan]), np.array([1.0])))


def test_auto_is_a_name_and_comes_first():
    assert NAMES[0] == 'auto'


@pytest.mark.parametrize(
    ('allowed', 'longest_us', 'version', 'options'),
    [
        (True, 50, '1.31.1', {'allow_spinning': '1', 'spin_duration_us': '50'}),
        (True, 50, '1.23.0', {'allow_spinning': '0'}),  # what JetPack's wheels are
        (True, 0, '1.23.0', {'allow_spinning': '1'}),
        (True, 0, '1.31.1', {'allow_spinning': '1'}),
        (False, 50, '1.31.1', {'allow_spinning': '0'}),
    ],
)
def test_threads_spin_for_a_bounded_time_or_not_at_all(allowed, longest_us, version, options):
    assert spinning(allowed, longest_us, version) == options
