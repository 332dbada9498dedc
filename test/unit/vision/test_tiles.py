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

"""Tiles cover the frame; merging drops what borders cut and what is found twice."""

import numpy as np
import pytest

from e4_ros.vision.detections import Detections
from e4_ros.vision.tiles import Tile, in_frame, inner_part, merge, suppress, tiles_of


def test_vtests_frame_has_the_whole_and_twelve_tiles():
    whole, *tiles = tiles_of((576, 768, 3))
    assert whole == Tile(0, 0, 768, 576)
    assert len(tiles) == 12
    assert {(t.width, t.height) for t in tiles} == {(320, 320)}


@pytest.mark.parametrize(
    'size', [(272, 640), (480, 640), (1080, 1920), (1920, 1080), (200, 900), (321, 321)]
)
def test_tiles_cover_every_pixel_and_overlap_by_half(size):
    frame = np.zeros(size, int)
    tiles = tiles_of(size)[1:]
    for tile in tiles:
        part = tile.crop(frame)
        assert part.shape == (tile.height, tile.width)
        part += 1
    assert frame.min() >= 1
    for starts, side in (({t.x for t in tiles}, 'width'), ({t.y for t in tiles}, 'height')):
        steps = np.diff(sorted(starts))
        assert all(steps <= getattr(tiles[0], side) / 2 + 1)


@pytest.mark.parametrize('size', [(300, 300), (100, 100), (1, 1)])
def test_a_small_frame_is_only_the_whole(size):
    assert tiles_of(size) == [Tile(0, 0, size[1], size[0])]


def test_a_box_cut_by_an_inner_border_is_dropped_but_not_one_at_the_frames_edge():
    left, right = Tile(0, 0, 320, 320), Tile(280, 0, 320, 320)
    cut = Detections.of([[250, 100, 320, 200]], [0.9])
    at_the_edge = Detections.of([[280, 0, 320, 100]], [0.8])
    merged = merge([cut, at_the_edge], [left, right], (320, 600, 3))
    assert merged.boxes.tolist() == [[560, 0, 600, 100]]


def test_an_object_found_in_two_tiles_is_kept_once_with_the_higher_score():
    tiles = [Tile(0, 0, 320, 320), Tile(160, 0, 320, 320)]
    first, second = (
        Detections.of([[200, 50, 240, 150]], [0.6]),
        Detections.of([[42, 50, 82, 150]], [0.9]),
    )
    merged = merge([first, second], tiles, (320, 480, 3))
    assert merged.boxes.tolist() == [[202, 50, 242, 150]]
    assert merged.scores.tolist() == [np.float32(0.9)]


def test_classes_do_not_suppress_each_other():
    box = [10, 10, 20, 20]
    assert len(suppress(Detections.of([box, box], [0.9, 0.8], [0, 1]), 0.45)) == 2


def test_nothing_found_merges_to_nothing():
    tiles = tiles_of((576, 768))
    assert len(merge([Detections.empty()] * len(tiles), tiles, (576, 768))) == 0


def test_a_box_seen_in_a_part_is_kept_where_its_inner_part_holds_it():
    tile, shape = Tile(280, 0, 320, 320), (320, 600, 3)
    assert inner_part(tile, shape).tolist() == [286.4, -np.inf, np.inf, np.inf]
    found = Detections.of([[2, 50, 40, 90], [10, 0, 50, 90], [280, 50, 320, 90]], [0.9, 0.8, 0.7])
    kept = in_frame(found, tile, shape)
    assert kept.boxes.tolist() == [[290, 0, 330, 90], [560, 50, 600, 90]]
    assert kept.scores.tolist() == [np.float32(0.8), np.float32(0.7)]
