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

from itertools import accumulate, chain

import pytest
import torchvision
from onnx_graphs import exported

from e4_ros.vision.networks import StageError
from e4_ros.vision.networks.cut_search import measure_cuts, measured_cuts
from e4_ros.vision.networks.onnx_network import OnnxNetwork
from e4_ros.vision.onnx_file.prepare import prepare
from e4_ros.vision.zoo import load_model


@pytest.fixture(scope='module')
def network():
    return load_model('pedestrian_ssdlite').network


def ticking(seconds):
    """A clock that shows, at each look, what has passed of the given steps."""
    return accumulate(chain([0.0], seconds)).__next__


def test_shares_are_those_of_the_clock(network):
    """Fifteen stages; the first takes as long as all the others together."""
    one_round = [14.0, *[1.0] * 14, 0.5]  # and half a second between rounds
    cuts = measure_cuts(network, threads=1, now=ticking(one_round * 9))
    assert [cut.cost_share for cut in cuts] == pytest.approx([(14 + i) / 28 for i in range(14)])
    assert [cut.node for cut in cuts] == measured_cuts(
        network, [cut.cost_share for cut in cuts], 1, ticking(one_round * 9)
    )


def test_a_slow_round_does_not_count(network):
    fast, slow = [1.0] * 16, [50.0, *[1.0] * 15]
    cuts = measure_cuts(network, threads=1, now=ticking([*slow, *fast * 8]))
    assert cuts[0].cost_share == pytest.approx(1 / 15)


def test_cuts_lie_between_blocks_where_maps_are_small(network):
    cuts = measure_cuts(network, threads=1)
    assert {'add', 'add_1', 'add_2', 'add_7'} <= {cut.node for cut in cuts}
    assert max(cut.shape[1] for cut in cuts) == 96  # within blocks it is up to 576


def test_real_shares_rise_from_nothing_to_the_whole(network):
    shares = [cut.cost_share for cut in measure_cuts(network, threads=1)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < 1


def test_nothing_is_measured_for_no_share(network):
    assert measured_cuts(network, [], now=ticking([])) == []


def test_more_shares_than_places_are_refused(network):
    with pytest.raises(StageError, match='cuts were asked for'):
        measured_cuts(network, [i / 20 for i in range(1, 20)], threads=1)


def test_no_exit_reads_one_branch_of_a_block():
    """Up to three tensors cross a cut of an ONNX graph, so there are some inside of blocks."""
    network = OnnxNetwork(prepare(exported(torchvision.models.resnet18(weights=None))))
    places = [cut.node.split('/', 3)[-1] for cut in measure_cuts(network, threads=1)]
    assert places == [
        'MaxPool_output_0',
        *['relu_1/Relu_output_0'] * 3,
        'GlobalAveragePool_output_0',
    ]
