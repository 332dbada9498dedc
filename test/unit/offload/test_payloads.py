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

import json
import math

import pytest

from e4_ros.offload.cuts import best_cuts, offload_cuts
from e4_ros.offload.payloads import (
    Payload,
    PayloadTable,
    read_tables,
    shipped_tables,
    table_for,
)
from e4_ros.vision.bundle import load_bundle, shipped_bundle
from e4_ros.vision.networks.from_bundle import reopened

CUT = 'add_5'


def way(size, f1, form='frame', **about):
    return Payload(form, bytes=size, f1=f1, **({'quality': 75} | about))


def table(*ways, network='net', stream='street'):
    return PayloadTable(network, stream, 10, ways)


def features(size, f1, bits=8):
    return Payload('features', CUT, bits, bytes=size, f1=f1, share=0.6)


def test_the_front_has_what_nothing_smaller_is_as_good_as():
    small, large = features(10, 0.9, 4), features(20, 1.0)
    worse, same = way(15, 0.85, quality=30), way(30, 1.0, quality=90)
    unknown = way(5, math.nan, quality=10)
    found = table(large, worse, same, small, unknown)
    assert found.front() == [small, large]
    assert found.front(['frame']) == [worse, same]
    assert found.smallest(0.95) == large
    assert found.smallest(0.95, ['frame']) == same
    assert table(small).smallest(0.95) is None


def test_a_table_for_all_footage_is_the_worst_of_each_way():
    here = table(features(10, 0.9), way(50, 0.99))
    there = table(features(11, 1.0), way(20, math.nan), stream='yard')
    other = table(features(1, 1.0), network='other')
    found = table_for([here, there, other], 'net')
    assert found.stream == 'street, yard'
    assert found.frames == 20
    assert [(each.bytes, each.f1) for each in found.ways] == [(11, 0.9), (50, 0.99)]
    assert table_for([other], 'net') is None


def test_a_way_that_one_stream_lacks_is_left_out():
    found = table_for([table(features(10, 0.9), way(50, 1.0)), table(way(20, 1.0))], 'net')
    assert [each.form for each in found.ways] == ['frame']


def test_names_tell_ways_apart():
    assert features(1, 1.0, 4).name == 'features add_5 4 bit'
    assert way(1, 1.0).name == 'frame q75'


@pytest.mark.parametrize(
    ('about', 'words'),
    [
        ({'form': 'thoughts'}, 'no form'),
        ({'form': 'features'}, 'taken at a cut'),
        ({'form': 'frame', 'cut': CUT}, 'taken at a cut'),
        ({'form': 'frame', 'bytes': -1}, 'cannot be'),
        ({'form': 'frame', 'bytes': math.nan}, 'cannot be'),
        ({'form': 'frame', 'f1': 1.5}, 'not within'),
    ],
)
def test_what_cannot_be_is_refused(about, words):
    with pytest.raises(ValueError, match=words):
        Payload(**about)


def test_tables_come_back_from_a_file_of_figures(tmp_path):
    path = tmp_path / 'siblings.json'
    found = table(features(10, 0.9), way(50, 0.99, people=0.7))
    path.write_text(json.dumps({'sent': {'tables': [found.to_json()]}}))
    (back,) = read_tables(path)
    assert back.front() == found.front()
    assert math.isnan(back.ways[0].people)
    assert back.ways[1].people == 0.7


@pytest.mark.parametrize(
    'text', ['', '{}', '{"sent": 1}', '[1]', '[{"network": "n", "stream": "s", "frames": 1}]',
             '[{"network": "n", "stream": "s", "frames": 1, "ways": [{"form": "x"}]}]']
)  # fmt: skip
def test_a_file_of_something_else_says_how_to_make_one(tmp_path, text):
    path = tmp_path / 'other.json'
    path.write_text(text)
    with pytest.raises(ValueError, match='e4 bench siblings --part sent'):
        read_tables(path)


def test_the_shipped_tables_are_of_the_shipped_network():
    folder = shipped_bundle('pedestrian_ssdlite')
    found = table_for(shipped_tables(), load_bundle(folder).network.weights)
    assert found.smallest(0.9, ['features']).bytes < found.smallest(0.9, ['frame']).bytes
    offered = {cut.cut for cut in best_cuts(offload_cuts(reopened(folder).network))}
    assert offered <= {each.cut for each in found.ways}
