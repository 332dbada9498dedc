from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

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


def write_bag(path: Path, topics: dict[str, list], plugin=StoragePlugin.MCAP) -> Path:
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        for topic, messages in topics.items():
            kind = messages[0].__msgtype__
            connection = writer.add_connection(topic, kind, typestore=STORE)
            for index, message in enumerate(messages):
                data = STORE.serialize_cdr(message, kind)
                writer.write(connection, 5_000_000_000 + index * 100_000_000, data)
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
    assert source.fps == pytest.approx(12.5, rel=1e-3)  # 5 images in 0.4 s of recording
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


@pytest.mark.parametrize('plugin', PLUGINS)
@pytest.mark.parametrize('share', [0.0, 0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_bag_ends_in_a_sentence(tmp_path, plugin, share):
    bag = write_bag(tmp_path / 'bag', {'/camera': [image(i, i) for i in range(1, 60)]}, plugin)
    (file,) = (path for path in bag.iterdir() if path.suffix != '.yaml')
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    problem, count = '', 0
    try:
        source = open_source(str(bag))
        count = len(list(source))
        problem = source.problems[-1]
    except SourceError as error:
        problem = str(error)
    assert count < 59
    assert any(words in problem for words in ('cannot be read', 'not one frame', 'stopped'))


def test_a_file_with_the_name_of_a_bag_only(tmp_path):
    path = tmp_path / 'noise.mcap'
    path.write_bytes(b'not a bag')
    with pytest.raises(SourceError, match=r'the bag noise\.mcap cannot be read'):
        open_source(str(path))
