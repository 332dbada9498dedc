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

"""The offline teacher on real frames: finds more, remembers, survives interruptions and damage."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from e4_ros.vision import zoo
from e4_ros.vision.export.assemble import assemble
from e4_ros.vision.teacher.offline_teacher import OfflineTeacher

FIXTURE = Path(__file__).parents[3] / 'fixtures' / 'detector'


@pytest.fixture(scope='module')
def network():
    return assemble(zoo.load_model('pedestrian_ssdlite'))


@pytest.fixture(scope='module')
def frame():
    """A frame of vtest.avi in its own proportions: seven tiles and the whole."""
    small = cv2.cvtColor(cv2.imread(str(FIXTURE / 'vtest_0621.webp')), cv2.COLOR_BGR2RGB)
    return cv2.resize(small, (640, 480))


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp('teacher')


@pytest.fixture
def teacher(network, cache):
    return OfflineTeacher(network, threads=1, cache=cache)


def break_network(teacher, monkeypatch):
    def fail():
        raise AssertionError('the network was asked')

    for chain in teacher._chains.copies:
        monkeypatch.setattr(chain, 'see', lambda _: fail())


def test_it_finds_at_least_what_one_pass_finds(teacher, frame):
    (chain,) = teacher._chains.copies
    chain.see(frame)
    once = chain.detections(frame.shape, 0.5)
    assert len(teacher.look(frame).above(0.5)) >= len(once) >= 1


def test_a_still_scene_is_answered_the_same_in_every_frame(teacher, frame):
    counts = []
    pseudo_labels = teacher.pseudo_label([(i / 10, frame) for i in range(6)], counts.append)
    assert counts == [1, 2, 3, 4, 5, 6]
    sure = teacher.look(frame).above(0.5)
    for detections in pseudo_labels:
        np.testing.assert_allclose(detections.boxes[: len(sure)], sure.boxes, atol=0.01)


def test_a_known_frame_is_not_computed_again(network, cache, frame, monkeypatch):
    before = OfflineTeacher(network, threads=1, cache=cache).look(frame)
    another = OfflineTeacher(network, threads=1, cache=cache)
    break_network(another, monkeypatch)
    np.testing.assert_array_equal(another.look(frame).boxes, before.boxes)
    with pytest.raises(AssertionError, match='was asked'):
        another.look(frame[:, ::-1])


def test_other_weights_do_not_use_these_answers(cache, teacher, frame, monkeypatch):
    teacher.look(frame)
    stranger = OfflineTeacher(assemble(zoo.load_model('pedestrian_ssdlite', 'random')), 1, cache)
    break_network(stranger, monkeypatch)
    with pytest.raises(AssertionError, match='was asked'):
        stranger.look(frame)


def test_an_interrupted_run_keeps_what_it_did(network, tmp_path, frame, monkeypatch):
    def interrupted():
        yield 0.0, frame
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        OfflineTeacher(network, 1, tmp_path).pseudo_label(interrupted())
    again = OfflineTeacher(network, 1, tmp_path)
    break_network(again, monkeypatch)
    again.look(frame)


def test_a_damaged_memory_is_made_anew(network, tmp_path, frame):
    first = OfflineTeacher(network, 1, tmp_path)
    before = first.look(frame)
    del first
    (file,) = tmp_path.glob('*.sqlite')
    for leftover in tmp_path.glob('*.sqlite-*'):
        leftover.unlink()
    file.write_bytes(b'not a database ' * 1000)
    np.testing.assert_array_equal(
        OfflineTeacher(network, 1, tmp_path).look(frame).boxes, before.boxes
    )


def test_a_change_of_size_or_a_time_that_falls_back_begins_a_new_scene(teacher, frame):
    small = frame[:240, :320]
    stream = [(0.0, frame), (0.1, frame), (0.2, small), (0.3, small), (0.0, small)]
    assert len(teacher.pseudo_label(stream)) == 5


def test_no_frames_no_answers(teacher):
    assert teacher.pseudo_label([]) == []


def test_a_classifier_is_refused(cache):
    with pytest.raises(ValueError, match='for detectors'):
        OfflineTeacher(assemble(zoo.load_model('efficientnet_lite0')), cache=cache)


class Looks:
    """Counts the looks of a teacher at frames, each known by its first pixel."""

    def __init__(self, teacher, monkeypatch):
        self.at = []
        look = teacher._look

        def counted(chain, frame):
            self.at.append(int(frame[0, 0, 0]))
            return look(chain, frame)

        monkeypatch.setattr(teacher, '_look', counted)


def numbered(frame, count):
    frames = [frame.copy() for _ in range(count)]
    for number, each in enumerate(frames):
        each[0, 0] = number
    return frames


def test_frames_in_quick_succession_are_not_all_looked_at_but_all_answered(
    network, tmp_path, frame, monkeypatch
):
    teacher = OfflineTeacher(network, 1, tmp_path, apart_s=0.06)
    looks = Looks(teacher, monkeypatch)
    told = []
    stream = [(i / 30, each) for i, each in enumerate(numbered(frame, 8))]
    answers = teacher.pseudo_label(stream, told.append)
    assert looks.at == [0, 2, 4, 6, 7]  # the last one, too: a track ends where it was last seen
    assert told == [1, 3, 5, 7, 8]
    assert len({len(answer.above(0.5)) for answer in answers}) == 1
    assert len(answers[0].above(0.5)) >= 1


def test_each_scene_is_looked_at_where_it_begins_and_ends(network, tmp_path, frame, monkeypatch):
    teacher = OfflineTeacher(network, 1, tmp_path, apart_s=10.0)
    looks = Looks(teacher, monkeypatch)
    first, second = numbered(frame, 4), numbered(frame[:240, :320], 7)[4:]
    stream = [(i / 10, each) for i, each in enumerate([*first, *second])]
    assert len(teacher.pseudo_label(stream)) == 7
    assert looks.at == [0, 3, 4, 6]


def test_several_threads_give_the_same_answers(network, cache, tmp_path, frame):
    stream = [(i / 10, each) for i, each in enumerate(numbered(frame[:320, :320], 6))]
    alone = OfflineTeacher(network, 1, tmp_path / 'alone').pseudo_label(stream)
    together = OfflineTeacher(network, 3, tmp_path / 'together').pseudo_label(stream)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
