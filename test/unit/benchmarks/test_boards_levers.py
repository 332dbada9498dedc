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

import numpy as np
import pytest

from e4_ros.benchmarks.boards import levers
from e4_ros.evaluation.exit_record import SHIPPED, load_exits


@pytest.fixture(scope='module')
def network():
    return load_exits(SHIPPED)[0]


def frames(network, lever, rate_hz=10.0):
    return levers._frames(network, rate_hz, levers._given('jetson_orin_nano', lever))


def test_pairs_start_together_at_the_second_ones_image(network):
    paired, came_s = frames(network, 'pairs')
    alone, _ = frames(network, 'none')
    starts = [frame.arrival_s for frame in paired]
    assert starts[0::2] == starts[1::2] == [frame.arrival_s for frame in alone][1::2]
    assert [frame.exit for frame in paired] == [frame.exit for frame in alone]
    assert np.all(np.array(starts) >= came_s)


def test_half_of_the_images_are_every_second_one(network):
    half, came_s = frames(network, 'half_rate')
    assert [f.exit for f in half] == list(network.e4.exits[::2])
    assert np.allclose(np.diff(came_s), 0.2)


def test_fewer_cpus_and_fewer_images_draw_less(network):
    watts = {row['lever']: row['power_w'] for row in levers._rows('jetson_nano', 15.0, network)}
    assert set(watts) == set(levers.LEVERS)
    assert watts['half_rate'] < watts['none']
    assert watts['two_cpus'] < watts['none']
