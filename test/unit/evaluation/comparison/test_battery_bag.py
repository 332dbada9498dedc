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

"""What a bag's sensor_msgs/BatteryState says of the battery."""

from __future__ import annotations

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from e4_ros.evaluation.comparison.battery_bag import battery_of_bag
from e4_ros.evaluation.sources import SourceError

STORE = get_typestore(Stores.ROS2_JAZZY)
KIND = 'sensor_msgs/msg/BatteryState'
NAN = float('nan')


def state(**values):
    known = {'voltage': 24.0, 'current': -2.0, 'capacity': 10.0, 'design_capacity': 12.0}
    time = STORE.types['builtin_interfaces/msg/Time'](sec=1, nanosec=0)
    header = STORE.types['std_msgs/msg/Header'](stamp=time, frame_id='')
    return STORE.types[KIND](
        header=header, temperature=NAN, charge=NAN, percentage=0.5, power_supply_status=2,
        power_supply_health=0, power_supply_technology=0, present=True,
        cell_voltage=np.zeros(0, np.float32), cell_temperature=np.zeros(0, np.float32),
        location='', serial_number='', **(known | values),
    )  # fmt: skip


def bag(path, **topics):
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, messages in topics.items():
            kind = messages[0].__msgtype__
            connection = writer.add_connection(f'/{topic}', kind, typestore=STORE)
            for index, message in enumerate(messages):
                writer.write(connection, index, STORE.serialize_cdr(message, kind))
    return path


def test_size_and_draw_are_read(tmp_path):
    found = battery_of_bag(bag(tmp_path / 'drive', battery=[state(), state(current=-4.0)]))
    assert found.name == '/battery'
    assert found.full_wh == pytest.approx(240.0)
    assert found.draw_w == pytest.approx(72.0)


def test_the_designed_capacity_counts_where_the_present_one_is_not_said(tmp_path):
    found = battery_of_bag(bag(tmp_path / 'drive', battery=[state(capacity=NAN)]))
    assert found.full_wh == pytest.approx(288.0)


def test_a_battery_that_charges_draws_nothing_that_is_known(tmp_path):
    assert battery_of_bag(bag(tmp_path / 'drive', battery=[state(current=3.0)])).draw_w is None


def test_of_several_the_largest_counts(tmp_path):
    path = bag(tmp_path / 'drive', small=[state(capacity=1.0)], large=[state(capacity=20.0)])
    assert battery_of_bag(path).name == '/large'


@pytest.mark.parametrize(
    'silent',
    [
        {'capacity': NAN, 'design_capacity': NAN},
        {'capacity': 0.0, 'design_capacity': 0.0},
        {'voltage': NAN},
        {'capacity': -3.0, 'design_capacity': float('inf')},
    ],
)
def test_a_battery_that_says_nothing_is_none(tmp_path, silent):
    assert battery_of_bag(bag(tmp_path / 'drive', battery=[state(**silent)])) is None


def test_a_bag_without_such_a_topic_and_no_bag_are_errors(tmp_path):
    text = STORE.types['std_msgs/msg/String'](data='full')
    with pytest.raises(SourceError, match='BatteryState'):
        battery_of_bag(bag(tmp_path / 'drive', battery=[text]))
    with pytest.raises(SourceError, match='no bag'):
        battery_of_bag(tmp_path / 'none.mp4')
