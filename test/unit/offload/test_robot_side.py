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

"""The robot's side of offloading: a real server answers frames of a real stream, or does not."""

from __future__ import annotations

import threading
from itertools import islice
from types import MappingProxyType

import numpy as np
import pytest
from edge_parts import free_port, until

from e4_ros.evaluation.sources import open_source
from e4_ros.offload.codec import pack, unpack
from e4_ros.offload.request import (
    FEATURES,
    FOLLOW,
    FRAME,
    LOCAL,
    MODEL,
    NETWORK,
    REGION,
    TAIL,
    TEACHER,
    Offload,
)
from e4_ros.offload.server.service import Work
from e4_ros.perception.edge_link import EdgeLink, EdgeOptions, cuts_for
from e4_ros.perception.perceiver import Perceiver
from e4_ros.perception.setup import EngineOptions, set_up
from e4_ros.vision.agreement import matches
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.exit_thresholds import EDGE, FULL, TRACK

PATIENT_S = 30.0  # deadline where the server is to be in time on a busy machine


class Oracle:
    """A service that says what it is told, when it is let."""

    largest_batch = 1
    cuts = MappingProxyType({})
    about = 'what a test says'

    def __init__(self, name=TEACHER, found=None, class_names=('person',)):
        self.name, self.hash, self.class_names = name, 'oracle', class_names
        self.found = Detections.empty() if found is None else found
        self.let, self.fails, self.seen = threading.Event(), False, []
        self.let.set()

    def run(self, batch):
        assert self.let.wait(60)
        if self.fails:
            raise RuntimeError('out of order')
        self.seen += batch
        return [self.found for _ in batch]


@pytest.fixture(scope='module')
def street():
    return list(islice(open_source('bikes'), 110, 130))


@pytest.fixture(scope='module')
def cut(cuts):
    return cuts[-1].cut  # whose tail the fixture `services` has


@pytest.fixture(scope='module')
def robots(cut):
    """Networks that are cut for a server: `tracks` says of which kind."""
    options = EdgeOptions('tcp/127.0.0.1:1', offload=TAIL, cuts=(cut,))
    places = cuts_for(options, set_up(EngineOptions(threads=1)).path)
    assert places.features == (cut,)
    assert len(places.every) == 3
    wanted = [EngineOptions(threads=1, edge=True, cuts=places.every, tracks=t) for t in (0, 1)]
    return [set_up(each) for each in wanted], places.features


@pytest.fixture
def robot(robots):
    """Makes robots that reach a server, and lets them go."""
    links = []

    def make(endpoint, decided=LOCAL, tracks=True, **options) -> tuple[Perceiver, EdgeLink]:
        setups, features = robots
        setup = setups[tracks]
        link = EdgeLink(EdgeOptions(endpoint, **{'offload': 'none', **options}))
        links.append((link, setup.engine))
        [way] = link.attach(setup, features)
        setup.engine.reset()
        if decided.service:
            link.decide(decided)
        return Perceiver(setup.engine, edge=way), link

    yield make
    for link, engine in links:
        link.close()
        engine.reset()


def reached(link, offload):
    until(lambda: not link._client.refusal(offload, ''))


def settled(perceiver, link):
    """All that was sent has come to an end."""

    def ended() -> bool:
        perceiver.edge._collect()
        counts = link.counts
        ends = ('answered', 'expired', 'refused', 'lost')
        return counts['sent'] == sum(counts[name] for name in ends)

    until(ended)


def slowly(perceiver):
    """Let the robot wait at each segment, so that the server is the faster one."""
    before = perceiver.clocks.step

    def arrived() -> bool:
        perceiver.edge._collect()
        return not perceiver.edge._pending

    def step(segment):
        until(arrived)
        before(segment)

    perceiver.clocks.step = step


def test_a_tail_elsewhere_says_what_the_own_network_says(serve, services, robot, street, cut):
    _, endpoint = serve(services)
    offload = Offload(TAIL, FEATURES, cut, deadline_s=PATIENT_S)
    perceiver, link = robot(endpoint, offload, tracks=False)
    reached(link, offload)
    own = set_up(EngineOptions(threads=1, tracks=False)).engine
    slowly(perceiver)
    taken = {}
    send = perceiver.edge.features

    def features(tensors):
        taken.update({name: tensor.copy() for name, tensor in tensors.items()})
        return send(tensors)

    perceiver.edge.features = features
    for index, (stamp_s, frame) in enumerate(street[:4]):
        record = perceiver.process(frame, stamp_s, index)
        alone = own.process(frame, stamp_s)
        assert record.result.exit == EDGE
        assert record.offload.place == 'edge'
        [request] = record.offload.requests
        assert request.in_time
        assert request.stamp_s == stamp_s
        assert request.sent_bytes == record.offload.sent_bytes > 1000
        assert set(request.legs_s) == {'encode', 'send', 'queue', 'run', 'return'}
        # Not the whole path was run: what is behind the answer's arrival is the server's.
        assert 2 <= len(record.result.segment_s) < len(perceiver.engine.paths[FULL])
        assert len(record.segments) == len(record.devices) == len(record.result.segment_s)
        # It is what the own tail makes of the features in 8 bits a value, to the last digits.
        shapes = {name: tensor.shape for name, tensor in taken.items()}
        entries, payload = pack(taken, 8)
        rounded = unpack(entries, shapes, payload)
        [expected] = services[TAIL].run([Work(frame.shape[:2], 0.1, cut, rounded)])
        mine, expected = record.result.detections, expected.above(0.3)
        assert mine.boxes == pytest.approx(expected.boxes, abs=0.01)
        assert mine.scores == pytest.approx(expected.scores, abs=1e-4)
        # And those in full float32 have lost no object that was sure.
        assert matches(alone.detections, mine, 0.5, truth_score=0.3) == len(
            alone.detections.above(0.5)
        )
    assert link.counts['taken'] == 4


def test_a_server_that_is_not_there_changes_nothing(robot, street):
    offload = Offload(NETWORK, FRAME)
    perceiver, link = robot(f'tcp/127.0.0.1:{free_port()}', offload)
    alone = set_up(EngineOptions(threads=1)).engine
    for index, (stamp_s, frame) in enumerate(street):
        record = perceiver.process(frame, stamp_s, index)
        assert record.result.exit in (TRACK, FULL)
        assert record.offload.place == 'robot'
        if record.result.exit == FULL:
            assert record.offload.why_local
        assert (
            record.result.detections.ids.tolist()
            == alone.process(frame, stamp_s).detections.ids.tolist()
        )
    assert link.counts['sent'] == 0
    assert 'stays local because' in link.complaint()


@pytest.mark.parametrize('meanwhile', ['go_on', FOLLOW])
def test_a_server_that_never_answers_holds_nobody_up(serve, robot, street, meanwhile):
    service = Oracle()
    service.let.clear()
    _, endpoint = serve({TEACHER: service})
    offload = Offload(TEACHER, FRAME, deadline_s=0.05, meanwhile=meanwhile)
    perceiver, link = robot(endpoint, offload)
    reached(link, offload)
    exits = []
    for index, (stamp_s, frame) in enumerate(street):
        record = perceiver.process(frame, stamp_s, index)
        assert record.result.detections.ids is not None
        assert record.offload.place == 'robot'
        exits.append(record.result.exit)
    assert exits[0] == FULL
    assert exits.count(FULL) > 1
    assert EDGE not in exits
    service.let.set()
    settled(perceiver, link)
    counts = link.counts
    assert counts['sent'] >= 1
    assert counts['taken'] == 0


def test_a_server_that_fails_is_refused_and_counted(serve, robot, street):
    service = Oracle()
    service.fails = True
    _, endpoint = serve({TEACHER: service})
    offload = Offload(TEACHER, FRAME, deadline_s=PATIENT_S)
    perceiver, link = robot(endpoint, offload)
    reached(link, offload)
    records = [perceiver.process(frame, t, index) for index, (t, frame) in enumerate(street)]
    settled(perceiver, link)
    assert {record.result.exit for record in records} <= {TRACK, FULL}
    assert link.counts['refused'] == link.counts['sent'] > 0
    told = [request for record in records for request in record.offload.requests]
    assert all('out of order' in request.reason for request in told)


def test_with_a_teacher_the_robot_knows_what_it_cannot_see(serve, robot, street):
    """Key frames come from the server: what it finds is tracked, and outlives own key frames."""
    there = Detections.of(np.array([[40.0, 40, 90, 140]]), np.array([0.9]))
    _, endpoint = serve({TEACHER: Oracle(found=there)})
    offload = Offload(TEACHER, FRAME, deadline_s=PATIENT_S)
    perceiver, link = robot(endpoint, offload)
    reached(link, offload)
    still = street[0][1]
    slowly(perceiver)
    for index in range(3):
        record = perceiver.process(still, index * 0.7, index)
        assert record.result.exit == EDGE
    boxes = record.result.detections.boxes
    assert boxes == pytest.approx(np.array([[40.0, 40, 90, 140]]), abs=1)
    link.decide(LOCAL)
    record = perceiver.process(still, 2.1 + 0.7, 4)
    assert record.result.exit == FULL
    assert any(np.abs(box - [40, 40, 90, 140]).max() < 2 for box in record.result.detections.boxes)


def test_tracks_answer_until_the_teacher_does(serve, robot, street):
    service = Oracle(found=Detections.of(np.array([[40.0, 40, 90, 140]]), np.array([0.9])))
    _, endpoint = serve({TEACHER: service})
    offload = Offload(TEACHER, FRAME, deadline_s=PATIENT_S, meanwhile=FOLLOW)
    perceiver, link = robot(endpoint, offload)
    reached(link, offload)
    still = street[0][1]
    first = perceiver.process(still, 0.0, 0)
    assert first.result.exit in (FULL, EDGE)  # nobody can follow yet
    settled(perceiver, link)
    service.let.clear()
    for index in range(3):  # too old to be trusted, and still awaited
        record = perceiver.process(still, 0.65 + 0.1 * index, 1 + index)
        assert record.result.exit == TRACK
    sent = link.counts['sent']
    service.let.set()
    settled(perceiver, link)
    shares = perceiver.risk.key_frame_rate
    record = perceiver.process(still, 0.95, 4)
    assert record.result.exit == TRACK
    assert any(np.abs(box - [40, 40, 90, 140]).max() < 2 for box in record.result.detections.boxes)
    assert perceiver.risk.key_frame_rate >= shares
    assert link.counts['sent'] == sent
    assert link.counts['corrected'] >= 1


def test_behind_a_cut_the_tracks_answer_too(serve, services, robot, street, cut):
    _, endpoint = serve(services)
    offload = Offload(TAIL, FEATURES, cut, deadline_s=PATIENT_S, meanwhile=FOLLOW)
    perceiver, link = robot(endpoint, offload)
    reached(link, offload)
    still = street[0][1]
    first = perceiver.process(still, 0.0, 0)
    assert len(first.result.detections)  # the own network's: no tracks could stand in
    assert not perceiver.edge.awaits
    settled(perceiver, link)
    record = perceiver.process(still, 0.7, 1)
    assert record.result.exit == EDGE
    assert record.offload.place == 'robot'
    assert len(record.result.segment_s) < len(perceiver.engine.paths[FULL])
    assert record.result.detections.ids.tolist() == first.result.detections.ids.tolist()
    settled(perceiver, link)
    assert perceiver.process(still, 0.8, 2).result.exit == TRACK
    assert link.counts['corrected'] == 1


def test_a_doubtful_part_is_looked_at_elsewhere(serve, robot, street):
    there = Detections.of(np.array([[60.0, 60, 100, 120]]), np.array([0.9]))
    service = Oracle(name=MODEL, found=there)
    _, endpoint = serve({MODEL: service})
    offload = Offload(MODEL, REGION, deadline_s=PATIENT_S)
    perceiver, link = robot(endpoint, offload)
    reached(link, offload)
    for index, (stamp_s, frame) in enumerate(street):
        perceiver.process(frame, stamp_s, index)
        settled(perceiver, link)
    assert link.counts['sent'] > 5
    assert link.counts['corrected'] > 3
    height, width = street[0][1].shape[:2]
    assert all(work.picture.shape[:2] != (height, width) for work in service.seen)


def test_what_was_sent_before_the_stream_ended_is_dropped(serve, robot, street):
    service = Oracle(found=Detections.of(np.array([[40.0, 40, 90, 140]]), np.array([0.9])))
    service.let.clear()
    _, endpoint = serve({TEACHER: service})
    offload = Offload(TEACHER, FRAME, deadline_s=PATIENT_S)
    perceiver, link = robot(endpoint, offload)
    reached(link, offload)
    (t, frame), *_ = street
    perceiver.process(frame, t, 0)
    perceiver.engine.reset()
    service.let.set()
    settled(perceiver, link)
    record = perceiver.process(frame, t, 1)
    counts = link.counts
    assert counts['answered'] == 1 + counts['taken']
    assert counts['dropped'] == 1
    assert (
        not any(np.abs(box - [40, 40, 90, 140]).max() < 2 for box in record.result.detections.boxes)
        or counts['taken']
    )


def test_counts_add_up(serve, services, robot, street):
    _, endpoint = serve(services)
    perceiver, link = robot(endpoint, offload=NETWORK, deadline_s=0.02)
    until(lambda: link.server.services)
    for index, (stamp_s, frame) in enumerate(street):
        perceiver.process(frame, stamp_s, index)
    settled(perceiver, link)
    perceiver.engine.reset()
    counts = link.counts
    ends = ('answered', 'expired', 'refused', 'lost')
    uses = ('taken', 'corrected', 'dropped')
    assert counts['sent'] == sum(counts[name] for name in ends) > 0
    assert counts['answered'] == sum(counts[name] for name in uses)


def test_another_network_stays_local_and_says_so(serve, services, robot):
    class Other:
        def __init__(self, real):
            self.__dict__ |= {k: getattr(real, k) for k in ('name', 'cuts', 'largest_batch')}
            self.class_names, self.hash, self.about = real.class_names, 'f' * 32, 'another'

        def run(self, batch):
            raise AssertionError('nobody may ask')

    _, endpoint = serve({TAIL: Other(services[TAIL]), NETWORK: Other(services[NETWORK])})
    _, link = robot(endpoint, offload='auto')
    said = until(lambda: 'another network' in link.complaint() and link.complaint())
    assert 'stays local because the' in said
    assert link.streams[0].in_force == LOCAL


def test_auto_takes_the_best_that_the_server_has(serve, services, robot):
    _, endpoint = serve({**services, MODEL: Oracle(MODEL)})
    _, link = robot(endpoint, offload='auto')
    until(lambda: link.server.services)
    assert link.streams[0].in_force.service == MODEL
    assert link.complaint() == ''
    assert link.facts()['asked'] == 'model frame'


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'server': 'udp/1.2.3.4:5'}, 'endpoint'),
        ({'server': 'tcp/1.2.3.4:5', 'ca': '/nowhere'}, 'three files'),
        ({'server': 'tls/1.2.3.4:5'}, 'tls'),
        ({'offload': 'everything'}, 'cannot be asked'),
        ({'radio_w': -1.0}, 'radio'),
        ({'deadline_s': 0.0}, 'deadline'),
        ({'bits': 5}, 'bits'),
    ],
)
def test_bad_settings_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        EdgeOptions(**options).config  # noqa: B018
