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

import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip('tritonclient.grpc')

from triton_protocol import ProtocolServer, serving

from e4_ros.commands.app import app
from e4_ros.evaluation.sources import open_source
from e4_ros.offload.engines import EngineError, FallbackEngine, LocalEngine
from e4_ros.offload.engines.triton import TritonEngine
from e4_ros.offload.engines.triton_repository import write_model
from e4_ros.vision.bundle import load_bundle
from e4_ros.vision.inference.widened import widened

BUNDLE = Path(__file__).parents[3] / 'e4_ros/weights/pedestrian_ssdlite'


@pytest.fixture(scope='module')
def network():
    return load_bundle(BUNDLE).network


@pytest.fixture(scope='module')
def frames():
    return [frame for _, frame in islice(open_source('bikes'), 119, 122)]


@pytest.fixture
def servicer(network):
    return ProtocolServer(network.stages[0].program.onnx())


def engine_of(network, address, **options):
    return TritonEngine(network, address, 'net', check_s=30, **options)


def same(found, expected):
    assert [len(each) for each in found] == [len(each) for each in expected]
    assert sum(map(len, found)) > 0
    for one, other in zip(found, expected, strict=True):
        assert np.allclose(one.boxes, other.boxes, atol=0.5)


def test_it_answers_what_the_network_answers_here(network, frames, servicer):
    local = LocalEngine(network)
    with serving(servicer) as address:
        engine = engine_of(network, address)
        assert engine.largest_batch == 1
        assert f'net of the Triton server {address}' in engine.where
        same(engine.answers(frames, 0.1), local.answers(frames, 0.1))
        engine.close()
    local.close()


def test_a_free_batch_takes_several_frames_at_once(network, frames, servicer):
    servicer.free = True
    with serving(servicer) as address:
        engine = engine_of(network, address)
        assert engine.largest_batch == 8
        assert len(engine.answers(frames, 0.1)) == 3
        assert servicer.batches == [1, 3]  # the check's example, then all frames
        engine.close()


def test_nobody_there_is_said_at_once(network):
    begun_s = time.monotonic()
    with pytest.raises(EngineError, match='Is it there, with its gRPC port'):
        TritonEngine(network, '127.0.0.1:9', 'net', check_s=2)
    assert time.monotonic() - begun_s < 30


def test_a_model_that_it_does_not_have(network, servicer):
    with serving(servicer) as address, pytest.raises(EngineError, match="unknown model 'other'"):
        TritonEngine(network, address, 'other', check_s=30)


def test_another_type_is_refused(network, servicer):
    servicer.datatype = 'FP16'
    with serving(servicer) as address, pytest.raises(EngineError, match='x is FP16 there'):
        engine_of(network, address)


def test_another_size_is_refused(network):
    other = ProtocolServer(widened(network.stages[0].program, 2).onnx())
    with serving(other) as address, pytest.raises(EngineError, match='x has the shape'):
        engine_of(network, address)


def test_other_weights_are_found_out_on_an_example(network):
    import onnx

    model = onnx.load_from_string(network.stages[0].program.onnx())
    weight = next(w for w in model.graph.initializer if len(w.dims) == 4)
    values = onnx.numpy_helper.to_array(weight) * 1.5
    weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), weight.name))
    other = ProtocolServer(model.SerializeToString())
    with serving(other) as address, pytest.raises(EngineError, match='other weights'):
        engine_of(network, address)


@pytest.mark.parametrize('garbage', [b'', b'abc', b'\0' * 64, b'\xff' * 7668])
def test_garbage_is_no_answer(network, frames, servicer, garbage):
    with serving(servicer) as address:
        engine = engine_of(network, address)
        servicer.garbage = garbage
        with pytest.raises(EngineError, match='is not the network of the bundle'):
            engine.answers(frames[:1], 0.1)
        engine.close()


def test_one_that_is_too_slow_costs_no_more_than_its_time(network, frames, servicer):
    with serving(servicer) as address:
        engine = engine_of(network, address)
        servicer.wait_s = 20.0
        begun_s = time.monotonic()
        with pytest.raises(EngineError, match='does not answer infer'):
            engine.answers(frames[:1], 0.1, left_s=0.2)
        assert time.monotonic() - begun_s < 10
        servicer.wait_s = 0.0
        assert len(engine.answers(frames[:1], 0.1)) == 1  # being late is no reason for a check
        engine.close()


def test_a_check_after_a_failure_keeps_no_request_waiting(network, frames, servicer):
    with serving(servicer) as address:
        engine = engine_of(network, address)
        servicer.garbage = b'abc'
        with pytest.raises(EngineError, match='cannot be read'):
            engine.answers(frames[:1], 0.1)
        servicer.wait_s, servicer.garbage = 3.0, None
        begun_s = time.monotonic()
        with pytest.raises(EngineError, match='is being checked anew'):
            engine.answers(frames[:1], 0.1)
        assert time.monotonic() - begun_s < 2.0
        servicer.wait_s = 0.0
        end_s = time.monotonic() + 60
        while time.monotonic() < end_s:
            try:
                assert len(engine.answers(frames[:1], 0.1)) == 1
                break
            except EngineError:
                time.sleep(0.1)
        else:
            pytest.fail('it is not believed again')
        engine.close()


def test_while_it_is_gone_frames_are_answered_here_and_then_there_again(network, frames, servicer):
    clock = [0.0]
    local = LocalEngine(network)
    with serving(servicer) as address:
        engine = FallbackEngine(engine_of(network, address), local, again_s=5, now=lambda: clock[0])
        assert len(engine.answers(frames, 0.1)) == 3
        assert engine.failures == 0
    same(engine.answers(frames, 0.1), local.answers(frames, 0.1))
    assert engine.failures == 1
    assert 'here, on cpu, since the Triton server' in engine.where
    engine.answers(frames, 0.1)
    assert engine.failures == 1  # it is not asked again yet
    asked = len(servicer.batches)
    with serving(servicer, int(address.rpartition(':')[2])):
        for _ in range(60):  # the channel takes a moment to connect again
            clock[0] += 10
            engine.answers(frames, 0.1)
            if 'since' not in engine.where:
                break
            time.sleep(1)
        assert engine.where.startswith('by the model net of the Triton server')
        assert len(servicer.batches) > asked
    engine.close()


def test_a_model_repository_holds_what_triton_needs(network, frames, tmp_path):
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    folder = write_model(network, tmp_path / 'models', instances=3)
    assert folder.name == 'pedestrian_ssdlite'
    config = text_format.Parse(
        (folder / 'config.pbtxt').read_text(), model_config_pb2.ModelConfig()
    )
    assert (config.name, config.platform) == (folder.name, 'onnxruntime_onnx')
    assert list(config.input[0].dims) == [1, 3, 300, 300]
    assert {out.name: list(out.dims) for out in config.output} == {
        'encodings': [1, 1917, 4],
        'logits': [1, 1917, 1],
    }
    assert config.instance_group[0].count == 3
    with serving(ProtocolServer((folder / '1' / 'model.onnx').read_bytes())) as address:
        engine = engine_of(network, address)
        assert len(engine.answers(frames, 0.1)) == 3
        engine.close()


def test_the_command_writes_the_repository(tmp_path):
    options = ['--write-triton', str(tmp_path / 'models')]
    done = CliRunner().invoke(app, ['edge-server', *options])
    assert done.exit_code == 0, done.output
    assert (tmp_path / 'models/pedestrian_ssdlite/1/model.onnx').is_file()
