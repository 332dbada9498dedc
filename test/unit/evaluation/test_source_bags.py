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

import shlex
import shutil
import sqlite3
import struct
import subprocess
import sys
from binascii import crc32
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import cv2
import lz4.frame
import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from e4_ros.evaluation.sources import SourceError, open_source

STORE = get_typestore(Stores.ROS2_JAZZY)
STORE1 = get_typestore(Stores.ROS1_NOETIC)
IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
PLUGINS = [StoragePlugin.SQLITE3, StoragePlugin.MCAP]


def header(stamp_s: float, store=STORE):
    time = store.types['builtin_interfaces/msg/Time'](int(stamp_s), round(stamp_s % 1 * 1e9))
    extra = {'seq': 0} if store is STORE1 else {}
    return store.types['std_msgs/msg/Header'](stamp=time, frame_id='camera', **extra)


def picture(value: int) -> np.ndarray:
    return np.full((8, 10, 3), (value, 100, 200), np.uint8)


def image(stamp_s: float, value: int, store=STORE, **changes):
    fields = {
        'height': 8, 'width': 10, 'encoding': 'rgb8', 'is_bigendian': 0, 'step': 30,
        'data': picture(value).reshape(-1),
    }  # fmt: skip
    return store.types[IMAGE](header=header(stamp_s, store), **(fields | changes))


def compressed(stamp_s: float, value: int):
    png = cv2.imencode('.png', picture(value)[..., ::-1])[1].reshape(-1)
    return STORE.types[COMPRESSED](header=header(stamp_s), format='png', data=png)


def text(value: str):
    return STORE.types['std_msgs/msg/String'](data=value)


def write_bag(
    path: Path, topics: dict[str, list], plugin=StoragePlugin.MCAP, begin_s: int = 5
) -> Path:
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        for topic, messages in topics.items():
            kind = messages[0].__msgtype__
            connection = writer.add_connection(topic, kind, typestore=STORE)
            for index, message in enumerate(messages):
                data = STORE.serialize_cdr(message, kind)
                writer.write(connection, begin_s * 10**9 + index * 100_000_000, data)
    return path


@pytest.mark.parametrize('plugin', PLUGINS)
@pytest.mark.parametrize('make', [image, compressed])
def test_a_bag_gives_its_images_with_their_stamps(tmp_path, plugin, make):
    images = [make(7 + i / 4, 10 * i) for i in range(5)]
    bag = write_bag(tmp_path / 'bag', {'/camera': images, '/said': [text('hi')]}, plugin)
    source = open_source(str(bag))
    stamped = list(source)
    assert [stamp for stamp, _ in stamped] == [7.0, 7.25, 7.5, 7.75, 8.0]
    assert [frame[0, 0].tolist() for _, frame in stamped] == [[10 * i, 100, 200] for i in range(5)]
    assert (source.size, source.frame_count) == ((8, 10), 5)
    assert source.fps == 4.0  # by the stamps
    assert source.name == 'bag /camera'


@pytest.mark.parametrize('suffix', ['.mcap', '.db3'])
def test_the_file_inside_a_bag_is_a_bag(tmp_path, suffix):
    plugin = PLUGINS[suffix == '.mcap']
    bag = write_bag(tmp_path / 'bag', {'/camera': [image(1, 1)]}, plugin)
    (file,) = bag.glob(f'*{suffix}')
    assert len(list(open_source(str(file)))) == 1


def test_a_bag_without_its_metadata_is_read_from_its_files(tmp_path):
    bag = write_bag(tmp_path / 'bag', {'/camera': [image(1, 1), image(2, 2)]})
    (bag / 'metadata.yaml').unlink()
    assert len(list(open_source(str(bag)))) == 2


def test_a_ros_1_bag(tmp_path):
    with Writer1(tmp_path / 'old.bag') as writer:
        connection = writer.add_connection('/camera', IMAGE, typestore=STORE1)
        message = image(3.5, 50, STORE1)
        writer.write(connection, 1, STORE1.serialize_ros1(message, IMAGE))
    ((stamp, frame),) = open_source(str(tmp_path / 'old.bag'))
    assert stamp == 3.5
    assert frame[0, 0, 0] == 50


def test_an_unstamped_image_has_the_time_of_recording(tmp_path):
    bag = write_bag(tmp_path / 'bag', {'/camera': [image(0, 1), image(0, 2)]})
    assert [stamp for stamp, _ in open_source(str(bag))] == pytest.approx([5.0, 5.1])


@pytest.mark.parametrize('step', [0.0, 1e-9, 1000.0])
def test_stamps_that_do_not_advance_as_the_recording_does_are_left_out(tmp_path, step):
    images = [image(50 + step * i, i) for i in range(10)]
    source = open_source(str(write_bag(tmp_path / 'bag', {'/camera': images})))
    stamps = [stamp for stamp, _ in source]
    assert stamps == pytest.approx([5 + i / 10 for i in range(10)])
    assert source.fps == pytest.approx(10)
    assert 'times of recording' in source.problems[0]


PACKET = 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket'
FOXGLOVE = 'foxglove_msgs/msg/CompressedVideo'
DEFINITIONS = {
    PACKET: 'std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\n'
    'uint8 flags\nbool is_bigendian\nuint8[] data\n',
    FOXGLOVE: 'builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n',
}


def video_bag(path: Path, kind: str, count: int, first: int = 0) -> Path:
    """A bag of the packets of a video, from packet ``first`` on; b-frames are out of order."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, text in DEFINITIONS.items():
        store.register(get_types_from_msg(text, name))
    encoder = av.CodecContext.create('libx264', 'w')
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, 'yuv420p'
    encoder.time_base, encoder.options = Fraction(1, 10), {'tune': 'zerolatency', 'g': '5'}
    frames = [np.full((48, 64, 3), (20 * i, 100, 200), np.uint8) for i in range(count)]
    packets = []
    for frame in frames:
        packets += encoder.encode(av.VideoFrame.from_ndarray(frame, format='rgb24'))
    packets += encoder.encode(None)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/camera', kind, typestore=store)
        for index, packet in enumerate(packets[first:], first):
            stamped = header(7 + index / 10, store)
            data = np.frombuffer(bytes(packet), np.uint8)
            if kind == PACKET:
                message = store.types[kind](
                    stamped, 64, 48, 'libx264;yuv420p', index, 0, False, data
                )
            elif kind == FOXGLOVE:
                message = store.types[kind](stamped.stamp, 'camera', data, 'h264')
            else:
                message = store.types[kind](stamped, 'h264', data)
            writer.write(connection, index * 100_000_000, store.serialize_cdr(message, kind))
    return path


@pytest.mark.parametrize('kind', [PACKET, FOXGLOVE, COMPRESSED])
def test_packets_of_a_video_stream_are_decoded(tmp_path, kind):
    source = open_source(str(video_bag(tmp_path / 'bag', kind, 12)))
    stamped = list(source)
    assert [stamp for stamp, _ in stamped] == pytest.approx([7 + i / 10 for i in range(12)])
    reds = [int(frame[24, 32, 0]) for _, frame in stamped]
    assert np.abs(np.subtract(reds, [20 * i for i in range(12)])).max() < 8
    assert (source.frame_count, source.fps, source.problems) == (12, pytest.approx(10), [])


def test_packets_before_the_first_key_frame_are_counted(tmp_path):
    source = open_source(str(video_bag(tmp_path / 'bag', PACKET, 12, first=2)))
    frames = list(source)
    assert len(frames) + source.dropped == 10
    assert len(frames) >= 7


def test_several_image_topics_need_a_choice(tmp_path):
    bag = write_bag(tmp_path / 'bag', {'/left': [image(1, 1)], '/right': [image(1, 2)]})
    with pytest.raises(SourceError, match=r'2 image topics.*/left, /right'):
        open_source(str(bag))
    ((_, frame),) = open_source(str(bag), topic='/right')
    assert frame[0, 0, 0] == 2
    with pytest.raises(SourceError, match="no image topic '/rear'"):
        open_source(str(bag), topic='/rear')


def test_a_bag_without_images_lists_what_it_has(tmp_path):
    bag = write_bag(tmp_path / 'bag', {'/said': [text('hi')]})
    with pytest.raises(SourceError, match=r'no topic of.*/said \(std_msgs/msg/String\)'):
        open_source(str(bag))


def test_bad_images_are_dropped_with_the_reason_and_the_others_kept(tmp_path):
    images = [image(1, 1), image(2, 2, encoding='32FC1'), image(3, 3, step=5), image(4, 4)]
    bag = write_bag(tmp_path / 'bag', {'/camera': images})
    source = open_source(str(bag))
    assert [stamp for stamp, _ in source] == [1.0, 4.0]
    assert source.dropped == 2
    assert 'depth' in source.problems[0]
    assert 'step is 5 bytes' in source.problems[1]


def test_a_bag_of_bad_images_only_is_an_error(tmp_path):
    bag = write_bag(tmp_path / 'bag', {'/camera': [image(1, 1, encoding='32FC1')]})
    with pytest.raises(SourceError, match=r'not one frame.*depth'):
        list(open_source(str(bag)))


def test_a_message_that_is_no_image_inside_is_dropped(tmp_path):
    good = STORE.serialize_cdr(image(1, 1), IMAGE)
    with Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/camera', IMAGE, typestore=STORE)
        for index, data in enumerate([good, bytes(good)[:40], good]):
            writer.write(connection, index + 1, data)
    source = open_source(str(tmp_path / 'bag'))
    assert len(list(source)) == 2
    assert source.dropped == 1


def noise(count: int, store=STORE) -> list:
    """Images of 30 kB that no codec makes smaller."""
    data = np.random.default_rng(0).integers(0, 255, (count, 30_000), np.uint8)
    shape = {'height': 100, 'width': 100, 'step': 300}
    return [image(i + 1, 0, store, **shape, data=row) for i, row in enumerate(data)]


def cut(file: Path, share: float) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])


@pytest.mark.parametrize('share', [0.0, 0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_sqlite_bag_ends_in_a_sentence(tmp_path, share):
    images = [image(i, i) for i in range(1, 60)]
    bag = write_bag(tmp_path / 'bag', {'/camera': images}, StoragePlugin.SQLITE3)
    (file,) = bag.glob('*.db3')
    cut(file, share)
    problem, count = '', 0
    try:
        source = open_source(str(bag))
        count = len(list(source))
        problem = source.problems[-1]
    except SourceError as error:
        problem = str(error)
    assert count < 59
    assert any(words in problem for words in ('cannot be read', 'not one frame', 'stopped'))


@pytest.mark.parametrize(('share', 'least'), [(0.3, 14), (0.6, 28), (0.9, 44), (0.999, 59)])
@pytest.mark.parametrize('zeros', [0, 5000])
def test_a_cut_mcap_gives_what_was_written_before(tmp_path, share, least, zeros):
    images = [image(i, i) for i in range(1, 60)]
    bag = write_bag(tmp_path / 'bag', {'/camera': images})
    (file,) = bag.glob('*.mcap')
    cut(file, share)
    file.write_bytes(file.read_bytes() + bytes(zeros))
    source = open_source(str(bag))
    stamps = [stamp for stamp, _ in source]
    assert least <= len(stamps) <= 59
    assert stamps == [float(i) for i in range(1, len(stamps) + 1)]
    assert source.frame_count == len(stamps)
    if len(stamps) < 59:
        assert 'bag.mcap is cut off' in source.problems[0]


@pytest.mark.parametrize('share', [0.0, 0.01])
def test_an_mcap_of_which_nothing_is_left_is_an_error_with_advice(tmp_path, share):
    bag = write_bag(tmp_path / 'bag', {'/camera': [image(1, 1)]})
    (file,) = bag.glob('*.mcap')
    cut(file, share)
    with pytest.raises(SourceError, match='mcap recover'):
        open_source(str(bag))


def test_intact_pieces_of_a_split_bag_are_read_and_the_others_named(tmp_path):
    folder = tmp_path / 'split'
    folder.mkdir()
    for piece in range(3):
        images = [image(10 * piece + i, i) for i in range(1, 6)]
        written = write_bag(tmp_path / f's{piece}', {'/camera': images}, begin_s=piece)
        (written / f's{piece}.mcap').rename(folder / f's_{piece}.mcap')
    cut(folder / 's_1.mcap', 0.0)
    cut(folder / 's_2.mcap', 0.5)
    source = open_source(str(folder))
    stamps = [stamp for stamp, _ in source]
    assert stamps[:5] == [1, 2, 3, 4, 5]
    assert {21, 22} <= set(stamps[5:]) < {21, 22, 23, 24, 25}
    assert 's_1.mcap cannot be read: it is empty' in source.problems
    assert any('s_2.mcap is cut off' in problem for problem in source.problems)


def test_metadata_that_do_not_fit_the_files_are_passed_over(tmp_path):
    bag = write_bag(tmp_path / 'bag', {'/camera': [image(1, 1), image(2, 2)]})
    (file,) = bag.glob('*.mcap')
    file.rename(bag / 'renamed.mcap')
    source = open_source(str(bag))
    assert len(list(source)) == 2
    assert 'metadata.yaml does not fit' in source.problems[0]


def mcap_record(kind: int, *parts: bytes) -> bytes:
    content = b''.join(parts)
    return bytes([kind]) + struct.pack('<Q', len(content)) + content


def mcap_text(value: str) -> bytes:
    return struct.pack('<I', len(value.encode())) + value.encode()


def mcap_without_index(
    path: Path, images: list, compression: str | None, profile: str = 'ros2', encoding: str = 'cdr'
) -> Path:
    """An MCAP file as the preset ``fastwrite`` makes it, or of one chunk that nothing points at."""
    definition, _ = STORE.generate_msgdef(IMAGE, ros_version=2)
    schema = mcap_record(
        3, struct.pack('<H', 1), mcap_text(IMAGE), mcap_text('ros2msg'), mcap_text(definition)
    )
    channel = mcap_record(
        4, struct.pack('<HH', 1, 1), mcap_text('/camera'), mcap_text(encoding), struct.pack('<I', 0)
    )
    records = schema + channel
    for index, message in enumerate(images):
        time_ns = 5_000_000_000 + index * 100_000_000
        head = struct.pack('<HIQQ', 1, index, time_ns, time_ns)
        records += mcap_record(5, head, bytes(STORE.serialize_cdr(message, IMAGE)))
    if compression is not None:
        pack = {'': bytes, 'lz4': lz4.frame.compress, 'zstd': zstd.compress}[compression]
        packed = pack(records)
        head = struct.pack('<QQQI', 0, 1, len(records), crc32(records)) + mcap_text(compression)
        records = mcap_record(6, head, struct.pack('<Q', len(packed)), packed)
    magic = b'\x89MCAP0\r\n'
    end = mcap_record(15, bytes(4)) + mcap_record(2, bytes(20))
    header = mcap_record(1, mcap_text(profile), mcap_text('test'))
    path.write_bytes(magic + header + records + end + magic)
    return path


@pytest.mark.parametrize('compression', [None, '', 'lz4', 'zstd'])
def test_an_mcap_without_chunks_or_index_is_read(tmp_path, compression):
    images = [image(7 + i / 4, 10 * i) for i in range(5)]
    path = mcap_without_index(tmp_path / 'fast.mcap', images, compression)
    source = open_source(str(path))
    stamped = list(source)
    assert [stamp for stamp, _ in stamped] == [7.0, 7.25, 7.5, 7.75, 8.0]
    assert [frame[0, 0].tolist() for _, frame in stamped] == [[10 * i, 100, 200] for i in range(5)]
    assert (source.size, source.frame_count, source.problems) == ((8, 10), 5, [])


def test_an_mcap_that_does_not_say_to_be_of_ros_is_read_where_its_messages_are(tmp_path):
    path = mcap_without_index(tmp_path / 'other.mcap', [image(1, 1), image(2, 2)], '', profile='')
    assert len(list(open_source(str(path)))) == 2


def test_an_mcap_of_other_messages_says_how_they_are_encoded(tmp_path):
    path = mcap_without_index(tmp_path / 'web.mcap', [image(1, 1)], '', encoding='json')
    with pytest.raises(SourceError, match=r'/camera is encoded as json, not as ROS 2 does'):
        open_source(str(path))


@pytest.mark.parametrize('compression', ['', 'lz4', 'zstd'])
def test_a_chunk_that_was_cut_gives_its_first_messages(tmp_path, compression):
    images = noise(30)
    path = mcap_without_index(tmp_path / 'fast.mcap', images, compression)
    cut(path, 0.7)
    frames = [frame for _, frame in open_source(str(path))]
    assert len(frames) > 10
    for frame, sent in zip(frames, images, strict=False):
        np.testing.assert_array_equal(frame.reshape(-1), sent.data)


def test_a_damaged_chunk_is_left_out_and_named(tmp_path):
    path = mcap_without_index(tmp_path / 'fast.mcap', [image(1, 1), image(2, 2)], '')
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(SourceError, match='1 of its chunks are damaged'):
        open_source(str(path))


def rosbag1(path: Path, images: list, compression=None) -> Path:
    writer = Writer1(path)
    if compression is not None:
        writer.set_compression(compression)
    with writer:
        connection = writer.add_connection('/camera', IMAGE, typestore=STORE1)
        for index, message in enumerate(images):
            writer.write(connection, index + 1, STORE1.serialize_ros1(message, IMAGE))
    return path


@pytest.mark.parametrize('compression', [None, *Writer1.CompressionFormat])
@pytest.mark.parametrize('name', ['cut.bag', 'live.bag.active', 'LIVE.BAG'])
def test_a_cut_ros_1_bag_gives_what_was_written_before(tmp_path, name, compression):
    images = noise(80, STORE1)
    path = rosbag1(tmp_path / 'whole.bag', images, compression).rename(tmp_path / name)
    cut(path, 0.8)
    source = open_source(str(path))
    frames = [frame for _, frame in source]
    assert len(frames) > 30
    for frame, sent in zip(frames, images, strict=False):
        np.testing.assert_array_equal(frame.reshape(-1), sent.data)
    assert f'{name} is cut off' in source.problems[0]


def test_what_is_left_of_a_ros_1_bag_gets_the_advice_for_one(tmp_path):
    path = rosbag1(tmp_path / 'old.bag', noise(1, STORE1))
    cut(path, 0.01)
    with pytest.raises(SourceError, match=r'rosbag reindex') as caught:
        open_source(str(path))
    assert 'mcap' not in str(caught.value)


@pytest.mark.parametrize(('plugin', 'name'), [(PLUGINS[1], 'X.MCAP'), (PLUGINS[0], 'x.Db3')])
def test_suffixes_may_be_upper_case(tmp_path, plugin, name):
    bag = write_bag(tmp_path / 'bag', {'/camera': [image(1, 1)]}, plugin)
    (file,) = (path for path in bag.iterdir() if path.suffix != '.yaml')
    path = file.rename(tmp_path / name)
    assert len(list(open_source(str(path)))) == 1


def test_what_a_dead_recorder_left_in_the_write_ahead_log_is_said(tmp_path):
    bag = write_bag(tmp_path / 'bag', {'/camera': [image(1, 1)]}, StoragePlugin.SQLITE3)
    (file,) = bag.glob('*.db3')
    with closing(sqlite3.connect(file)) as recorder:
        recorder.execute('PRAGMA journal_mode=WAL')
        data = bytes(STORE.serialize_cdr(image(2, 2), IMAGE))
        insert = 'INSERT INTO messages (topic_id, timestamp, data) VALUES(1, 6000000000, ?)'
        recorder.execute(insert, (data,))
        recorder.commit()
        left = shutil.copytree(bag, tmp_path / 'left')  # as it lies there after power loss
    source = open_source(str(left))
    assert len(list(source)) == 1
    (problem,) = source.problems
    command = shlex.split(problem.partition(': ')[2].replace('python3', sys.executable))
    subprocess.run(command, cwd=left, check=True)
    assert len(list(open_source(str(left)))) == 2


def test_the_frame_rate_of_a_camera_that_sent_for_a_part_of_the_bag(tmp_path):
    images = [image(1 + i / 10, i) for i in range(8)]
    path = tmp_path / 'bag'
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        camera = writer.add_connection('/camera', IMAGE, typestore=STORE)
        other = writer.add_connection('/said', 'std_msgs/msg/String', typestore=STORE)
        for index, message in enumerate(images):
            writer.write(camera, index * 100_000_000, STORE.serialize_cdr(message, IMAGE))
        said = STORE.serialize_cdr(text('late'), 'std_msgs/msg/String')
        writer.write(other, 120_000_000_000, said)
    assert open_source(str(path)).fps == pytest.approx(10)


def test_a_file_with_the_name_of_a_bag_only(tmp_path):
    path = tmp_path / 'noise.mcap'
    path.write_bytes(b'not a bag')
    with pytest.raises(SourceError, match=r'the bag noise\.mcap cannot be read'):
        open_source(str(path))
