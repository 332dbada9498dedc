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

"""A bigger model and a live teacher behind a real server, asked by a robot over Zenoh."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice

import numpy as np
import onnx
import pytest
from onnx import helper
from typer.testing import CliRunner

pytest.importorskip('zenoh')

from edge_robot import Robot, free_port, until

from e4_ros.commands.app import app
from e4_ros.evaluation.sources import open_source
from e4_ros.offload.client import EdgeClient
from e4_ros.offload.engines import LocalEngine
from e4_ros.offload.exchange import EdgeConfig, Offers, Request
from e4_ros.offload.identity import network_hash
from e4_ros.offload.request import FRAME, MODEL, NETWORK, REGION, TEACHER, Offload
from e4_ros.offload.server.engine_services import (
    EngineOptions,
    picture_services,
)
from e4_ros.vision.bundle import load_bundle, shipped_bundle
from e4_ros.vision.bundle.program import StoredProgram
from e4_ros.vision.models.described import DescribedModel
from e4_ros.vision.staged_network import Part
from e4_ros.vision.tiles import tiles_of


@pytest.fixture(scope='module')
def own():
    return load_bundle(shipped_bundle('pedestrian_ssdlite')).network


@pytest.fixture(scope='module')
def frame():
    small = next(islice(open_source('bikes'), 120, None))[1]
    return np.ascontiguousarray(small.repeat(2, 0).repeat(2, 1))


def two_classes(network, names):
    """The same network with every score said twice, as two classes."""
    program = network.stages[0].program
    model = onnx.load_from_string(program.onnx())
    for node in model.graph.node:
        node.output[:] = ['one' if name == 'logits' else name for name in node.output]
    model.graph.node.append(helper.make_node('Concat', ['one', 'one'], ['logits'], axis=2))
    (slot,) = (each for each in model.graph.output if each.name == 'logits')
    slot.type.tensor_type.shape.dim[2].dim_value = 2
    stored = StoredProgram(program.name, program.inputs, program.outputs, model.SerializeToString())
    old = network.model
    described = DescribedModel('two', 'detect', names, old.preprocessing, old.decoder)
    stage = Part(stored, network.stages[0].work)
    return replace(network, model=described, stages=[stage], weights='two')


def test_classes_that_the_robot_does_not_know_are_left_out(own, frame):
    bigger = two_classes(own, ('dog', 'person'))
    both = LocalEngine(bigger).answers([frame], 0.1)[0]
    assert set(both.labels) == {0, 1}
    services, close = picture_services(own, EngineOptions(), bigger=bigger)
    with Robot(own, services) as robot:
        found = robot.ask(MODEL, frame)
        assert set(found.labels) == {0}  # the robot's own person
        assert abs(len(found) - len(both) / 2) <= 1
    close()


def test_a_model_of_other_classes_is_not_asked(own, frame):
    services, close = picture_services(own, EngineOptions(), bigger=two_classes(own, ('a', 'b')))
    with Robot(own, services) as robot:
        said = robot.client.refusal(Offload(MODEL, FRAME, deadline_s=60.0))
        assert 'none of the classes' in said
    close()


def test_the_teacher_sees_more_than_one_pass_of_the_network(own, frame):
    services, close = picture_services(own, EngineOptions(sessions=2), network=True, teacher=True)
    with Robot(own, services) as robot:
        once = robot.ask(NETWORK, frame).above(0.3)
        look = robot.ask(TEACHER, frame).above(0.3)
        assert len(look) > len(once)
        tile = tiles_of(frame.shape)[1]
        region = (tile.x, tile.y, tile.x + tile.width, tile.y + tile.height)
        part = robot.ask(NETWORK, frame, REGION, region)
        assert (part.boxes[:, :2] >= np.array(region[:2]) - 1).all()
        assert (part.boxes[:, 2:] <= np.array(region[2:]) + 1).all()
    close()


def test_a_bundle_that_is_swapped_on_the_server_is_another_service(own):
    swapped = replace(own, weights='swapped')
    services, close = picture_services(
        swapped, EngineOptions(sessions=2), network=True, teacher=True
    )
    with Robot(own, services) as robot:
        assert 'another network' in robot.client.refusal(Offload(NETWORK, FRAME, deadline_s=1.0))
        assert not robot.client.refusal(Offload(TEACHER, FRAME, deadline_s=1.0))
        before, close_before = picture_services(own, EngineOptions(), teacher=True)
        assert before[TEACHER].hash != robot.client.server.services[TEACHER]
        close_before()
    close()


@pytest.mark.parametrize(
    ('options', 'said'), [({'on': 'moon'}, 'not on'), ({'on': 'triton'}, 'needs an address')]
)
def test_places_that_are_none_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        EngineOptions(**options)


def test_the_command_offers_a_bigger_model_and_a_teacher(own, frame):
    port = free_port()
    options = ['--listen', f'tcp/127.0.0.1:{port}', '--services', 'teacher', '--sessions', '2']
    more = ['--bigger', 'pedestrian_ssdlite', '--json-status']
    command = [sys.executable, '-m', 'e4_ros.cli', 'edge-server', *options, *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(process.stdout.readline())['state'] == 'ready'
        offers = Offers(network_hash(own.model, own.weights), own.model.class_names)
        with EdgeClient(EdgeConfig(f'tcp/127.0.0.1:{port}'), offers) as client:
            until(lambda: client.link.up)
            for service in (MODEL, TEACHER):
                offload = Offload(service, FRAME, deadline_s=60.0)
                until(lambda offload=offload: not client.refusal(offload))
                assert client.send(
                    Request(1.0, offload, time.monotonic(), frame.shape, frame=frame)
                )
                assert len(until(client.take)[0].detections)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(
    ('options', 'code', 'said'),
    [
        (['--triton', '127.0.0.1:9', '--services', 'network'], 1, 'Triton server 127.0.0.1:9'),
        (['--triton', 'a:1', '--on', 'ray'], 2, 'one of --on ray and --triton'),
        (['--on', 'moon', '--services', 'network'], 2, "not on 'moon'"),
        (['--bigger', 'efficientnet_lite0', '--services', ''], 2, 'finds no boxes'),
    ],
)
def test_what_cannot_be_had_is_said_in_a_line(options, code, said, capfd):
    done = CliRunner().invoke(app, ['edge-server', *options])
    assert done.exit_code == code
    words = capfd.readouterr().err + done.output
    assert said in ' '.join(words.split())
    assert 'Traceback' not in words
