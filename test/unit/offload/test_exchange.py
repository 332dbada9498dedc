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
from edge_parts import SHAPE, answer, connected, feature_request, picture_request

from e4_ros.offload.request import LEGS, Offload
from e4_ros.vision.inference.stage_chain import StageChain
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime


def _features(model, cut, frame):
    """The tensors at a cut, and what the network says of the frame."""
    head, tail = model.network.stages([cut])
    chain = StageChain(model, [head, tail], OnnxRuntime(1))
    chain.see(frame)
    tensors = {name: buffer.read() for name, buffer in chain.inputs[1].items()}
    return tensors, chain.detections(frame.shape, 0.1)


def test_a_tail_answers_as_the_robot_would(model, cuts, services, offers, serve, ask):
    _, endpoint = serve(services)
    client = ask(endpoint, offers)
    frame = picture_request(seed=3).frame
    tensors, own = _features(model, cuts[-1].cut, frame)
    request = feature_request(cuts[-1].cut, tensors, stamp_s=7.5)
    connected(client, request.offload)
    assert client.send(request)
    found = answer(client)
    assert (found.stamp_s, found.status, found.late, found.reason) == (7.5, 'answered', False, '')
    assert list(found.legs_s) == list(LEGS)
    assert all(seconds >= 0 for seconds in found.legs_s.values())
    assert 0 < found.sent_bytes < 4 * cuts[-1].values
    top = min(len(own), len(found.detections), 5)
    assert abs(len(own) - len(found.detections)) <= 3
    np.testing.assert_allclose(found.detections.scores[:top], own.scores[:top], atol=0.1)


def test_a_picture_is_answered_in_pixels_of_the_frame(services, offers, serve, ask):
    server, endpoint = serve(services)
    client = ask(endpoint, offers)
    connected(client, Offload('network'))
    assert client.send(picture_request(stamp_s=1.0))
    found = answer(client)
    assert found.status == 'answered'
    assert (found.detections.boxes[:, 2] <= SHAPE[1] + 1).all()
    assert client.counts['answered'] == server.metrics.snapshot()['answered'] == 1
    assert client.link.up
    assert client.server.run_s['network'] > 0
