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

from pathlib import Path

import cv2
import numpy as np
import pytest

from e4_ros.benchmarks.exits import streams
from e4_ros.benchmarks.exits.streams import NIGHT_AND_DAY, Stream, camera_moves, places, windowed
from e4_ros.evaluation.metrics import FrameLabels, Labels
from e4_ros.evaluation.sources import SourceError

RNG = np.random.default_rng(0)
PICTURE = cv2.GaussianBlur(RNG.integers(0, 255, (288, 384, 3), np.uint8), (0, 0), 2)


@pytest.fixture
def no_vtest(monkeypatch):
    """A machine that has only the video of the Python package."""
    real = streams.open_source

    def opened(text):
        if text == 'vtest':
            raise SourceError('vtest cannot be fetched here')
        return real(text)

    monkeypatch.setattr(streams, 'open_source', opened)


def video(path: Path, frames: int = 12) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, (384, 288))
    for index in range(frames):
        writer.write(np.roll(PICTURE, 4 * index, 1))
    writer.release()
    return path


def test_without_footage_and_vtest_there_is_still_something_and_it_is_said(no_vtest):
    found, missing = places(None, frames=6)
    assert [place.name for place in found] == ['bikes', 'moving window', *NIGHT_AND_DAY]
    assert [place.perturbed for place in found] == [False, False] + [True] * 5
    assert any('vtest cannot be fetched here' in words for words in missing)
    assert any('E4_FOOTAGE' in words for words in missing)
    window = found[1].open()
    assert window.moving
    assert window.clip[0][1].shape == (round(272 * 2 / 3), round(640 * 2 / 3), 3)


@pytest.mark.parametrize('name', NIGHT_AND_DAY)
def test_something_happens_to_the_camera(no_vtest, name):
    found, _ = places(None, frames=9)
    plain = found[0].open()
    stream = next(place for place in found if place.name == name).open()
    assert len(stream.clip) == 9
    if name == 'half rate':
        assert stream.clip[1][0] == pytest.approx(plain.clip[2][0])
        return
    assert stream.change == 3
    assert np.array_equal(stream.clip[2][1], plain.clip[2][1])
    assert not np.array_equal(stream.clip[4][1], plain.clip[4][1])


def test_videos_and_labels_of_a_folder_are_found(no_vtest, tmp_path):
    video(tmp_path / 'yard.mp4')
    (tmp_path / 'yard_labels.txt').write_text('1,1,50,50,20,40,1\n')
    (tmp_path / 'street').mkdir()
    video(tmp_path / 'street' / 'street.mp4')
    (tmp_path / 'street' / 'gt.txt').write_text('2,7,50,50,20,40,1\n')
    video(tmp_path / 'bare.mp4')
    found, _ = places(tmp_path)
    own = {place.name: place.open() for place in found if place.name in ('yard', 'street', 'bare')}
    assert own['yard'].labels.span == range(1)
    assert own['street'].labels.span == range(1, 2)
    assert own['bare'].labels is None
    assert all(stream.moving for stream in own.values())


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SourceError, match='no such folder'):
        places(tmp_path / 'nowhere')


def test_whether_a_camera_moves():
    still = [(i / 10, PICTURE) for i in range(8)]
    turning = [(i / 10, np.roll(PICTURE, 4 * i, 1)) for i in range(8)]
    walker = [(i / 10, PICTURE.copy()) for i in range(8)]
    for index, (_, frame) in enumerate(walker):
        frame[100:200, 40 + 8 * index : 90 + 8 * index] = 0
    assert [camera_moves(clip) for clip in (still, turning, walker)] == [False, True, False]


def test_labels_go_with_the_window():
    frames = []
    for index in range(12):
        picture = np.zeros((300, 300, 3), np.uint8)
        picture[140:180, 130 + index : 150 + index] = 255
        frames.append((index / 10, picture))
    boxes = [np.array([[130 + i, 140, 150 + i, 180]], float) for i in range(12)]
    labels = Labels('drawn', [FrameLabels.of(box) for box in boxes])
    stream = windowed(Stream('a stream', frames, moving=False, labels=labels))
    seen = 0
    for (_, frame), drawn in zip(stream.clip, stream.labels.frames, strict=True):
        if drawn.counted.any() and len(drawn.boxes):
            x0, y0, x1, y1 = drawn.boxes[0].astype(int)
            assert frame[y0:y1, x0:x1].mean() == 255
            assert frame.sum() == frame[y0:y1, x0:x1].sum()
            seen += 1
    assert seen
