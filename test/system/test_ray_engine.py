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

"""Frames in replicas of a real Ray cluster on this machine, and what comes when its head goes."""

import time
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import pytest

pytest.importorskip('ray')
pytest.importorskip('zenoh')

from edge_robot import Robot

from e4_ros.evaluation.sources import open_source
from e4_ros.offload.engines import EngineError, FallbackEngine, LocalEngine
from e4_ros.offload.engines.ray_serve import RayEngine
from e4_ros.offload.request import NETWORK
from e4_ros.offload.server.picture_service import PictureService
from e4_ros.vision.bundle import load_bundle

BUNDLE = Path(__file__).parents[2] / 'e4_ros/weights/pedestrian_ssdlite'
HEAD = ('gcs_server', 'raylet')


@pytest.fixture(scope='module')
def network():
    return load_bundle(BUNDLE).network


@pytest.fixture(scope='module')
def frames():
    return [frame for _, frame in islice(open_source('bikes'), 119, 122)]


def said(robot, frame):
    """Number of boxes that a robot hears of, after a JPEG of good quality."""
    return len(robot.ask(NETWORK, frame).above(0.7))


def patiently(engine, frames):
    """The answers; replicas that have just started are slow on a busy machine."""
    end_s = time.monotonic() + 150
    while True:
        try:
            return engine.answers(frames, 0.1, left_s=60)
        except EngineError:
            if time.monotonic() > end_s:
                raise


def until_it_fails(engine, frames):
    for _ in range(4):
        begun_s = time.monotonic()
        assert len(engine.answers(frames, 0.1, left_s=20)) == len(frames)
        assert time.monotonic() - begun_s < 60
        if engine.failures:
            return
    pytest.fail('it answers without a head')


@pytest.mark.timeout(600)
def test_replicas_answer_until_the_head_is_gone_and_then_this_machine_does(network, frames):
    local = LocalEngine(network)
    expected = local.answers(frames, 0.1)
    remote = RayEngine(network, replicas=1, cpus=2, start_s=400)
    family = [psutil.Process(remote.pid), *psutil.Process(remote.pid).children(recursive=True)]
    stack = ExitStack()
    try:
        found = patiently(remote, frames)
        assert [len(each) for each in found] == [len(each) for each in expected]
        for one, other in zip(found, expected, strict=True):
            assert np.allclose(one.boxes, other.boxes, atol=0.1)
        with pytest.raises(EngineError, match=r'no answer in time|does not answer'):
            remote.answers(frames, 0.1, left_s=0.001)

        engine = FallbackEngine(remote, local, again_s=0.0)
        service = PictureService(network, engine, NETWORK)
        robot = stack.enter_context(Robot(network, {NETWORK: service}))
        assert said(robot, frames[0]) == len(expected[0].above(0.7))
        assert engine.failures == 0

        heads = [each for each in family if each.name() in HEAD]
        assert len(heads) == 2
        for head in heads:
            head.kill()
        until_it_fails(engine, frames)
        assert 'here, on cpu, since' in engine.where
        assert said(robot, frames[0]) == len(expected[0].above(0.7))
    finally:
        stack.close()
        remote.close()
        for each in family:
            if each.is_running():
                each.kill()


def test_a_cluster_that_is_not_there_is_said(network):
    with pytest.raises(EngineError, match=r'Ray (cannot start|has not started)'):
        RayEngine(network, '127.0.0.1:9', replicas=1, start_s=5)
