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

import threading
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from e4_ros.evaluation.sources import open_source
from e4_ros.offload.engines import EngineError, LocalEngine
from e4_ros.offload.identity import network_hash
from e4_ros.offload.server.picture_service import PictureService
from e4_ros.offload.server.service import Work
from e4_ros.offload.server.teacher_service import TeacherService
from e4_ros.vision.bundle import load_bundle
from e4_ros.vision.inference.stage_chain import StageChain
from e4_ros.vision.inference.teacher_look import LEAST_SCORE, TeacherLook
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime
from e4_ros.vision.tiles import tiles_of

BUNDLE = Path(__file__).parents[3] / 'e4_ros/weights/pedestrian_ssdlite'
LATER_S = 60.0


@pytest.fixture(scope='module')
def network():
    return load_bundle(BUNDLE).network


@pytest.fixture(scope='module')
def frame():
    """A street, blown up so that it has tiles."""
    small = next(islice(open_source('bikes'), 120, None))[1]
    return np.ascontiguousarray(small.repeat(2, 0).repeat(2, 1))


def work(picture, left_s=LATER_S, min_score=0.1):
    return Work(picture.shape[:2], min_score, picture=picture, deadline_s=time.monotonic() + left_s)


class Slow:
    """An engine that takes its time, and fails where it is told to."""

    def __init__(self, engine, took_s=0.0, fails_after=99, largest_batch=2):
        self.engine, self.took_s, self.fails_after = engine, took_s, fails_after
        self.largest_batch, self.asked = largest_batch, []

    where = 'elsewhere'

    def answers(self, frames, min_score, left_s=float('inf')):
        if len(self.asked) >= self.fails_after:
            raise EngineError('gone')
        self.asked.append(len(frames))
        time.sleep(self.took_s)
        return self.engine.answers(frames, min_score)

    def close(self):
        pass


def test_sessions_side_by_side_keep_the_order(network, frame):
    engine = LocalEngine(network, sessions=2, batch=2)
    assert engine.largest_batch == 4
    frames = [frame[: 544 - 16 * row] for row in range(5)]
    expected = LocalEngine(network).answers(frames, 0.1)
    found = engine.answers(frames, 0.1)
    assert [len(each) for each in found] == [len(each) for each in expected]
    for one, other in zip(found, expected, strict=True):
        assert np.allclose(one.boxes, other.boxes, atol=0.1)
    engine.close()


def test_several_threads_may_ask_at_once(network, frame):
    engine, found = LocalEngine(network), []
    threads = [
        threading.Thread(target=lambda: found.append(engine.answers([frame], 0.1)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({len(each[0]) for each in found}) == 1


def test_what_nobody_waits_for_is_not_run(network, frame):
    engine = LocalEngine(network)
    with pytest.raises(EngineError, match='was over'):
        engine.answers([frame], 0.1, left_s=0.0)


def test_a_model_answers_pictures(network, frame):
    service = PictureService(network, LocalEngine(network))
    assert service.name == 'model'
    assert service.class_names == ('person',)
    assert service.hash == network_hash(network.model, network.weights)
    assert 'pedestrian_ssdlite, here' in service.about
    (found,) = service.run([work(frame)])
    assert len(found) > 0


def test_another_network_has_another_hash(network):
    other = network.without_exits()
    object.__setattr__(other, 'weights', 'something else')
    engine = LocalEngine(network)
    hashes = {
        PictureService(network, engine).hash,
        PictureService(other, engine).hash,
        TeacherService(network, engine).hash,
        TeacherService(other, engine).hash,
    }
    assert len(hashes) == 4


def test_a_classifier_is_refused(network):
    from dataclasses import replace

    from e4_ros.vision.models.decoders.softmax import ClassDecoder
    from e4_ros.vision.models.described import DescribedModel

    model = DescribedModel(
        'dogs', 'classify', ('dog', 'cat'), network.model.preprocessing, ClassDecoder()
    )
    with pytest.raises(ValueError, match='dogs finds no boxes'):
        PictureService(replace(network, model=model), LocalEngine(network))
    with pytest.raises(ValueError, match='a live teacher needs a detector'):
        TeacherService(replace(network, model=model), LocalEngine(network))


@pytest.mark.parametrize('sessions', [1, 2])
def test_a_live_look_is_the_offline_teachers(network, frame, sessions):
    chain, look = StageChain(network.model, network.stages, OnnxRuntime(1)), TeacherLook(frame)
    while not look.done:
        part = look.part()
        chain.see(part)
        look.take(chain.detections(part.shape, LEAST_SCORE))
    service = TeacherService(network, LocalEngine(network, sessions=sessions))
    (found,) = service.run([work(frame)])
    expected = look.detections()
    assert len(found) == len(expected) > 0
    assert np.allclose(found.boxes, expected.boxes, atol=0.1)
    assert (service.looks, service.cut_short) == (1, 0)


def test_a_look_ends_before_its_deadline(network, frame):
    engine = Slow(LocalEngine(network), took_s=0.3)
    service = TeacherService(network, engine)
    begun_s = time.monotonic()
    (found,) = service.run([work(frame, left_s=0.35)])
    assert time.monotonic() - begun_s < 30
    assert len(engine.asked) < len(tiles_of(frame.shape)) / 2
    assert len(found) > 0
    assert service.cut_short == 1


def test_a_look_whose_engine_goes_away_keeps_what_it_has(network, frame):
    service = TeacherService(network, Slow(LocalEngine(network), fails_after=1))
    (found,) = service.run([work(frame)])
    assert len(found) > 0
    assert service.cut_short == 1


def test_a_look_without_a_single_pass_is_no_empty_answer(network, frame):
    service = TeacherService(network, Slow(LocalEngine(network), fails_after=0))
    with pytest.raises(EngineError, match='gone'):
        service.run([work(frame)])
