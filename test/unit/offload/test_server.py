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

"""Robots and a server over loopback: order, deadlines, clocks, several cameras, refusals."""

from __future__ import annotations

import time

import numpy as np
import pytest
from edge_parts import (
    ASKED,
    OFFERS,
    PATIENT_S,
    SHAPE,
    Notes,
    answer,
    connected,
    feature_request,
    free_port,
    picture_request,
    until,
)

from e4_ros.offload.client import EdgeClient
from e4_ros.offload.exchange import EdgeConfig, Offers, Request
from e4_ros.offload.request import FRAME, NETWORK, REGION, TEACHER, Offload


def test_what_is_expired_is_never_run(serve, ask):
    service = Notes()
    server, endpoint = serve({NETWORK: service})
    client = ask(endpoint, OFFERS)
    connected(client, ASKED)
    service.go.clear()
    assert client.send(picture_request(1.0, camera='a'))
    until(lambda: service.asked)
    assert client.send(picture_request(2.0, deadline_s=0.4, camera='b'))
    until(lambda: server.waiting)
    time.sleep(0.45)  # its deadline passes while it waits
    service.go.set()
    assert answer(client, 'a').status == 'answered'
    assert answer(client, 'b').status in ('expired', 'lost')
    until(lambda: server.metrics.snapshot()['expired'] == 1)
    assert len(service.asked) == 1


def test_the_earliest_deadline_is_answered_first_and_answers_find_their_frame(serve, ask):
    service = Notes()
    server, endpoint = serve({NETWORK: service})
    client = ask(endpoint, OFFERS)
    connected(client, ASKED)
    service.go.clear()
    assert client.send(picture_request(1.0, camera='first'))
    until(lambda: service.asked)
    for count, (camera, deadline_s) in enumerate({'late': 50.0, 'early': 20.0}.items(), 1):
        assert client.send(picture_request(2.0 + count, deadline_s, camera))
        until(lambda count=count: server.waiting == count)
    service.go.set()
    stamps = {camera: answer(client, camera) for camera in ('first', 'late', 'early')}
    assert {name: found.stamp_s for name, found in stamps.items()} == {
        'first': 1.0,
        'late': 3.0,
        'early': 4.0,
    }
    assert stamps['early'].arrived_s < stamps['late'].arrived_s
    assert all(found.camera == camera for camera, found in stamps.items())


def test_one_request_of_a_camera_is_on_its_way(serve, ask):
    service = Notes()
    _, endpoint = serve({NETWORK: service})
    client = ask(endpoint, OFFERS)
    connected(client, ASKED)
    service.go.clear()
    assert client.send(picture_request(1.0, camera='a'))
    assert not client.send(picture_request(2.0, camera='a'))
    assert 'on its way' in client.refusal(ASKED, 'a')
    assert not client.refusal(ASKED, 'b')
    service.go.set()
    assert answer(client, 'a').stamp_s == 1.0
    assert client.send(picture_request(3.0, camera='a'))
    assert answer(client, 'a').stamp_s == 3.0


def test_two_robots_with_two_cameras_each(serve, ask):
    server, endpoint = serve({NETWORK: Notes()}, workers=2)
    robots = [ask(endpoint, OFFERS) for _ in range(2)]
    for robot in robots:
        connected(robot, ASKED)
    for turn in range(3):
        for index, robot in enumerate(robots):
            for camera in ('left', 'right'):
                assert robot.send(picture_request(10.0 * turn + index, camera=camera))
        for index, robot in enumerate(robots):
            for camera in ('left', 'right'):
                found = answer(robot, camera)
                assert (found.stamp_s, found.status) == (10.0 * turn + index, 'answered')
    figures = server.metrics.snapshot()
    assert (figures['answered'], figures['robots'], figures['cameras']) == (12, 2, 4)


@pytest.mark.parametrize('offset_s', [3600.0, -3600.0])
def test_clocks_an_hour_apart_change_nothing(serve, ask, offset_s):
    service = Notes()
    _, endpoint = serve({NETWORK: service}, now=lambda: time.monotonic() + offset_s)
    client = ask(endpoint, OFFERS)
    connected(client, ASKED)
    assert client.send(picture_request(1.0, deadline_s=20.0))
    found = answer(client)
    assert (found.status, found.late) == ('answered', False)
    assert all(0 <= seconds < 20 for seconds in found.legs_s.values())
    assert sum(found.legs_s.values()) < 20


def test_a_late_answer_is_delivered_and_said_to_be_late(serve, ask):
    service = Notes()
    _, endpoint = serve({NETWORK: service})
    client = ask(endpoint, OFFERS, patience_s=PATIENT_S)
    connected(client, ASKED)
    service.go.clear()
    request = picture_request(1.0, deadline_s=2.0)
    assert client.send(request)
    until(lambda: service.asked)
    until(lambda: time.monotonic() > request.deadline_s)
    service.go.set()
    found = answer(client)
    assert (found.status, found.late) == ('answered', True)
    assert client.counts['late'] == 1


def test_what_took_too_long_to_send_is_not_sent(serve, ask):
    _, endpoint = serve({NETWORK: Notes()})
    client = ask(endpoint, OFFERS)
    connected(client, ASKED)
    old = picture_request(1.0, deadline_s=0.1)
    old = Request(1.0, old.offload, time.monotonic() - 1.0, SHAPE, frame=old.frame)
    assert client.send(old)
    assert answer(client).status == 'expired'
    assert client.counts['sent'] == 0


def test_boxes_of_a_region_lie_where_the_region_lies(serve, ask):
    _, endpoint = serve({NETWORK: Notes()})
    client = ask(endpoint, OFFERS)
    offload = Offload(NETWORK, REGION, deadline_s=30.0)
    connected(client, offload)
    frame = np.zeros(SHAPE, np.uint8)
    region = (20, 10, 100, 90)
    asked = Request(1.0, offload, time.monotonic(), SHAPE, frame=frame, region=region)
    assert client.send(asked)
    np.testing.assert_allclose(answer(client).detections.boxes, [[21, 12, 50, 50]])


def test_a_service_that_fails_is_said_and_the_server_goes_on(serve, ask):
    class Broken(Notes):
        def run(self, batch):
            if not self.asked:
                self.asked += batch
                raise RuntimeError('out of memory')
            return super().run(batch)

    _, endpoint = serve({NETWORK: Broken()})
    client = ask(endpoint, OFFERS)
    connected(client, ASKED)
    assert client.send(picture_request(1.0))
    found = answer(client)
    assert (found.status, found.detections) == ('refused', None)
    assert 'out of memory' in found.reason
    assert client.send(picture_request(2.0))
    assert answer(client).status == 'answered'


@pytest.mark.parametrize('given', [[], [None], ['x']])
def test_a_service_that_answers_nonsense_is_said(serve, ask, given):
    service = Notes()
    _, endpoint = serve({NETWORK: service})
    client = ask(endpoint, OFFERS)
    connected(client, ASKED)
    service.run = lambda batch: given
    for _ in range(2):  # the thread that computes lives on
        assert client.send(picture_request())
        found = answer(client)
        assert (found.status, 'network failed' in found.reason) == ('refused', True)


def test_no_more_wait_than_may(serve, ask):
    service = Notes()
    server, endpoint = serve({NETWORK: service}, most_waiting=1)
    client = ask(endpoint, OFFERS)
    connected(client, ASKED)
    service.go.clear()
    assert client.send(picture_request(camera='0'))
    until(lambda: service.asked)
    assert client.send(picture_request(camera='1'))
    until(lambda: server.waiting == 1)
    assert client.send(picture_request(camera='2'))
    found = answer(client, '2')
    assert (found.status, 'busy' in found.reason) == ('refused', True)
    service.go.set()


def test_another_bundle_is_said_and_nothing_is_sent(serve, ask):
    _, endpoint = serve({NETWORK: Notes()})
    client = ask(endpoint, Offers('other', ('person',)))
    until(lambda: client.link.up)
    reason = client.refusal(ASKED)
    assert 'another network' in reason
    assert 'same bundle' in reason
    assert not client.send(picture_request())
    assert client.facts()['not network'] == reason
    assert client.server.services == {}


def test_a_bundle_that_is_swapped_on_the_server_is_noticed(serve, ask):
    port = free_port()
    first, endpoint = serve({NETWORK: Notes()}, port)
    client = ask(endpoint, OFFERS)
    connected(client, ASKED)
    first.close()
    until(lambda: client.refusal(ASKED))
    second, _ = serve({NETWORK: Notes(hash='another')}, port)
    until(lambda: 'another network' in client.refusal(ASKED))
    second.close()
    serve({NETWORK: Notes()}, port)
    connected(client, ASKED)
    assert client.send(picture_request())
    assert answer(client).status == 'answered'


def test_a_teachers_classes_are_matched_by_name(serve, ask):
    teacher = Notes(name=TEACHER, hash='t', class_names=('cat', 'person', 'dog'))
    labels = iter([0, 1, 2])
    teacher.run = lambda batch: [
        type(found)(found.boxes, found.scores, np.array([next(labels)]))
        for found in Notes.run(teacher, batch)
    ]
    _, endpoint = serve({TEACHER: teacher})
    client = ask(endpoint, Offers('h', ('dog', 'person')))
    offload = Offload(TEACHER, FRAME, deadline_s=30.0)
    connected(client, offload)
    found = []
    for _ in range(3):
        assert client.send(picture_request(service=TEACHER))
        found.append(list(answer(client).detections.labels))
    assert found == [[], [1], [0]]


def test_a_service_that_knows_none_of_the_classes_is_refused(serve, ask):
    _, endpoint = serve({TEACHER: Notes(name=TEACHER, class_names=('cat',))})
    client = ask(endpoint, OFFERS)
    until(lambda: client.link.up)
    assert 'none of the classes' in client.refusal(Offload(TEACHER))


def test_other_cuts_and_other_tensors_are_refused(services, offers, cuts, serve, ask):
    _, endpoint = serve(services)
    cut = cuts[-1]
    other = dict.fromkeys(cut.tensors, (1, 2, 3))
    for own, said in (({}, 'cannot take features'), ({cut.cut: other}, 'are others')):
        client = ask(endpoint, Offers(offers.network, offers.class_names, own))
        until(lambda client=client: client.link.up)
        request = feature_request(cut.cut, {'a': np.zeros(1, np.float32)})
        assert said in client.refusal(request.offload)
    plain = ask(endpoint, offers)
    until(lambda: plain.link.up)
    assert 'no tail from' in plain.refusal(feature_request('x', {'x': np.ones(1)}).offload)
    asked = feature_request(cut.cut, {'wrong': np.ones((1, 2), np.float32)})
    assert plain.send(asked)
    found = answer(plain)
    assert (found.status, 'not those of the cut' in found.reason) == ('refused', True)


def test_features_that_are_no_numbers_stay_here(services, offers, cuts, serve, ask):
    _, endpoint = serve(services)
    client = ask(endpoint, offers)
    nan = {name: np.full(shape, np.nan, np.float32) for name, shape in cuts[-1].tensors.items()}
    request = feature_request(cuts[-1].cut, nan)
    connected(client, request.offload)
    assert client.send(request)
    found = answer(client)
    assert (found.status, 'no numbers' in found.reason) == ('refused', True)
    assert client.counts['sent'] == 0


def test_what_the_server_does_not_take_is_not_sent(serve, ask):
    _, endpoint = serve({NETWORK: Notes()}, most_bytes=1000)
    client = ask(endpoint, OFFERS)
    connected(client, ASKED)
    assert client.send(picture_request())
    found = answer(client)
    assert (found.status, '1000 may be sent' in found.reason) == ('refused', True)
    assert client.counts['sent'] == 0


def test_a_server_that_comes_later_is_found_and_one_that_goes_is_missed(serve, ask):
    port = free_port()
    client = ask(f'tcp/127.0.0.1:{port}', OFFERS)
    assert client.refusal(ASKED)
    assert not client.send(picture_request())
    server, _ = serve({NETWORK: Notes()}, port)
    connected(client, ASKED)
    server.close()
    until(lambda: client.refusal(ASKED))
    assert client.server.services == {}
    serve({NETWORK: Notes()}, port)
    connected(client, ASKED)
    assert client.send(picture_request(5.0))
    assert answer(client).status == 'answered'


def test_what_was_on_its_way_is_lost_when_the_server_goes(serve, ask):
    service = Notes()
    server, endpoint = serve({NETWORK: service})
    client = ask(endpoint, OFFERS)
    connected(client, ASKED)
    service.go.clear()
    assert client.send(picture_request(1.0))
    until(lambda: service.asked)
    server._session.close()  # as if its machine were gone
    found = answer(client)
    assert (found.status, found.detections) == ('lost', None)
    service.go.set()


def test_a_closed_client_says_so(serve, ask):
    _, endpoint = serve({NETWORK: Notes()})
    client = EdgeClient(EdgeConfig(endpoint), OFFERS)
    assert 'not started' in client.refusal(ASKED)
    client.start()
    connected(client, ASKED)
    client.close()
    assert 'closed' in client.refusal(ASKED)
    assert not client.send(picture_request())
    assert not client.link.up
