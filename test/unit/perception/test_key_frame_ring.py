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

"""The ring on disk: bounded, whole entries only, one writer, and no frame that waits for it."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from e4_ros.perception import key_frame_ring, ring_writer
from e4_ros.perception.image_file import ImageError
from e4_ros.perception.key_frame_ring import (
    KeyFrameRing,
    RingError,
    is_ring,
    is_written,
    ring_files,
)
from e4_ros.perception.records import FrameRecord
from e4_ros.perception.ring_entry import RingEntry, decode_entry, encode_entry
from e4_ros.perception.ring_schedule import RunSchedule
from e4_ros.perception.ring_writer import RingWriter
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.frame_result import FrameResult

ANSWER = Detections.of(np.array([[1, 2, 30.5, 40.25], [5, 6, 7, 8]]), np.array([0.9, 0.3]))


def picture(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def record(stamp_s: float, exit_name: str = 'full') -> FrameRecord:
    return FrameRecord(0, stamp_s, FrameResult(ANSWER, exit_name, 0.0, {}, [0.01], 0.01))


def entry(stamp_s: float = 1.0, detections: Detections = ANSWER) -> RingEntry:
    return RingEntry(stamp_s, 'full', detections, 'front')


class TestEntry:
    @pytest.mark.parametrize('size', [(1, 1), (1, 64), (37, 53), (576, 768)])
    def test_what_is_read_is_what_was_written(self, size):
        frame = picture(*size)
        seen, found = decode_entry(encode_entry(frame, entry(1234567890.125)))
        assert seen.shape == frame.shape
        assert np.abs(seen.astype(int) - frame).mean() < 4
        assert (found.stamp_s, found.exit, found.frame_id) == (1234567890.125, 'full', 'front')
        np.testing.assert_allclose(found.detections.boxes, ANSWER.boxes, atol=0.01)
        np.testing.assert_array_equal(found.detections.labels, ANSWER.labels)

    def test_any_viewer_opens_it(self):
        data = encode_entry(picture(), entry())
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (48, 64, 3)

    def test_an_answer_longer_than_a_jpegs_comment_fits(self):
        many = Detections.of(np.full((5000, 4), 1234.56), np.linspace(0, 1, 5000))
        _, found = decode_entry(encode_entry(picture(), entry(detections=many)))
        assert len(found.detections) == 5000

    def test_an_answer_without_boxes_fits(self):
        _, found = decode_entry(encode_entry(picture(), entry(detections=Detections.empty())))
        assert found.detections.boxes.shape == (0, 4)

    def test_every_cut_is_noticed(self):
        data = encode_entry(picture(), entry())
        for length in range(0, len(data) - 2, 7):
            with pytest.raises(ImageError):
                decode_entry(data[:length])

    def test_another_jpeg_is_no_entry(self):
        _, data = cv2.imencode('.jpg', picture())
        with pytest.raises(ImageError, match='no entry of a ring'):
            decode_entry(data.tobytes())


class TestRing:
    def test_it_never_takes_more_than_its_limit_and_loses_the_oldest(self, tmp_path):
        ring = KeyFrameRing(tmp_path / 'ring', 8)
        for number in range(30):
            ring.put(number // 10, number % 10, bytes(700_000))
            there = ring_files(ring.folder)
            assert sum(file.bytes for file in there) == ring.bytes <= 8_000_000
        kept = [(file.run, file.place) for file in there]
        assert kept == [(n // 10, n % 10) for n in range(30)][-len(kept) :]
        assert len(kept) == 8_000_000 // 700_416

    def test_a_lower_limit_holds_for_what_is_there(self, tmp_path):
        ring = KeyFrameRing(tmp_path, 20)
        for place in range(20):
            ring.put(0, place, bytes(900_000))
        ring.close()
        assert KeyFrameRing(tmp_path, 8).bytes <= 8_000_000

    def test_the_next_process_goes_on_with_a_run_of_its_own(self, tmp_path):
        ring = KeyFrameRing(tmp_path, 8)
        ring.put(4, 0, b'x')
        ring.close()
        assert KeyFrameRing(tmp_path, 8).next_run == 5

    def test_a_second_process_is_refused(self, tmp_path):
        ring = KeyFrameRing(tmp_path, 8)
        code = (
            f'from e4_ros.perception.key_frame_ring import *; from pathlib import Path; '
            f'KeyFrameRing(Path({str(tmp_path)!r}), 8)'
        )
        run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
        assert 'another process writes to the ring' in run.stderr
        assert is_written(tmp_path)
        ring.close()
        assert not is_written(tmp_path)

    def test_a_folder_of_something_else_is_refused(self, tmp_path):
        (tmp_path / 'holiday.jpg').write_bytes(b'')
        with pytest.raises(RingError, match='name an empty folder'):
            KeyFrameRing(tmp_path, 8)
        assert not is_ring(tmp_path)
        with pytest.raises(RingError, match='no ring'):
            ring_files(tmp_path)

    def test_too_small_a_ring_is_refused(self, tmp_path):
        with pytest.raises(RingError, match='8 or more'):
            KeyFrameRing(tmp_path, 7)

    def test_killed_while_it_writes_it_leaves_whole_entries(self, tmp_path):
        code = (
            'import sys; sys.path.insert(0, sys.argv[2])\n'
            'from test_key_frame_ring import *\n'
            'ring = KeyFrameRing(Path(sys.argv[1]), 8)\n'
            'data = encode_entry(picture(576, 768), entry())\n'
            'print("begun", flush=True)\n'
            'n = 0\n'
            'while True: ring.put(n // 20, n % 20, data); n += 1\n'
        )
        for delay_s in (0.05, 0.11, 0.17):
            child = subprocess.Popen(
                [sys.executable, '-c', code, str(tmp_path), str(Path(__file__).parent)],
                stdout=subprocess.PIPE,
            )
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(delay_s)
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
            files = ring_files(tmp_path)
            assert files
            for file in files:
                decode_entry(file.path.read_bytes())
        ring = KeyFrameRing(tmp_path, 8)
        assert not list(tmp_path.glob('*.part'))
        assert len(ring) == len(files)


class TestSchedule:
    def test_a_quarter_of_the_time_is_kept_in_runs_of_two_seconds(self):
        schedule = RunSchedule(0.25)
        kept = [schedule.keeps(n / 10, (1, 1, 3)) for n in range(160)]
        assert [n for n, (yes, _) in enumerate(kept) if yes] == [*range(20), *range(80, 100)]
        assert [n for n, (_, begins) in enumerate(kept) if begins] == [0, 80]

    def test_all_of_it_is_kept_on_request(self):
        schedule = RunSchedule(1.0)
        assert all(schedule.keeps(n / 30, (1, 1, 3))[0] for n in range(300))

    @pytest.mark.parametrize('second', [(0.5, (1, 1, 3)), (1.0, (1, 1, 3)), (1.1, (2, 1, 3))])
    def test_a_new_stream_or_size_begins_a_run(self, second):
        schedule = RunSchedule(0.25)
        schedule.keeps(1.0, (1, 1, 3))
        assert schedule.keeps(*second) == (True, True)

    @pytest.mark.parametrize('share', [0.0, -1.0, 1.1])
    def test_a_share_out_of_range_is_refused(self, share):
        with pytest.raises(ValueError, match='share'):
            RunSchedule(share)


class TestWriter:
    def test_frames_of_a_run_are_neighbours(self, tmp_path):
        writer = RingWriter(KeyFrameRing(tmp_path, 8), 0.5)
        for number in range(100):
            writer.offer(picture(), record(number / 10), wait=True)
        writer.close()
        files = ring_files(tmp_path)
        assert [(f.run, f.place) for f in files] == [(r, p) for r in range(3) for p in range(20)]
        stamps = [decode_entry(file.path.read_bytes())[1].stamp_s for file in files]
        assert stamps[:20] == [n / 10 for n in range(20)]
        assert stamps[20] == 4.0

    def test_a_disk_that_hangs_makes_no_frame_wait(self, tmp_path, monkeypatch):
        monkeypatch.setattr(KeyFrameRing, 'put', lambda *_: time.sleep(0.4))
        writer = RingWriter(KeyFrameRing(tmp_path, 8), 1.0)
        begin_s = time.perf_counter()
        for number in range(50):
            writer.offer(picture(), record(number / 10))
        assert time.perf_counter() - begin_s < 0.3
        assert writer.lost >= 40
        assert 'slower than the camera' in writer.problem
        writer.close(timeout_s=10)

    def test_frames_after_its_end_are_not_kept_and_do_not_wait(self, tmp_path):
        writer = RingWriter(KeyFrameRing(tmp_path, 8), 1.0)
        writer.offer(picture(), record(0.0), wait=True)
        writer.close()
        for number in range(1, 30):
            writer.offer(picture(), record(number / 10), wait=True)
        writer.close()
        assert len(ring_files(tmp_path)) == writer.kept == 1

    def test_what_is_lost_leaves_a_gap_in_its_run(self, tmp_path, monkeypatch):
        put, calls = KeyFrameRing.put, []

        def sometimes(self, run, place, data):
            calls.append(place)
            if place == 2:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            put(self, run, place, data)

        monkeypatch.setattr(KeyFrameRing, 'put', sometimes)
        writer = RingWriter(KeyFrameRing(tmp_path, 8), 1.0)
        for number in range(5):
            writer.offer(picture(), record(number / 10), wait=True)
        writer.close()
        assert [file.place for file in ring_files(tmp_path)] == [0, 1, 3, 4]
        assert (writer.kept, writer.lost) == (4, 1)

    @pytest.mark.skipif(os.geteuid() != 0, reason='mounting needs root')
    def test_a_full_disk_loses_entries_and_says_so_once(self, tmp_path, caplog):
        small = tmp_path / 'small'
        small.mkdir()
        mount = ['mount', '-t', 'tmpfs', '-o', 'size=200k', 'tmpfs', str(small)]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip('mounting is not allowed here')
        try:
            writer = RingWriter(KeyFrameRing(small / 'ring', 8), 1.0)
            with caplog.at_level(logging.WARNING):
                for number in range(30):
                    writer.offer(picture(480, 640, number), record(number / 10), wait=True)
                writer.flush()
            assert writer.kept > 0
            assert writer.lost > 0
            assert writer.kept + writer.lost == 30
            assert 'No space left' in writer.problem
            assert sum('No space left' in text for text in caplog.messages) == 1
            writer.close()
            for file in ring_files(small / 'ring'):
                decode_entry(file.path.read_bytes())
        finally:
            subprocess.run(['umount', str(small)], check=True)

    @pytest.mark.skipif(os.geteuid() != 0, reason='mounting needs root')
    def test_a_disk_that_becomes_read_only_is_told_once(self, tmp_path, caplog):
        disk = tmp_path / 'disk'
        disk.mkdir()
        if subprocess.run(
            ['mount', '-t', 'tmpfs', 'tmpfs', str(disk)], capture_output=True
        ).returncode:
            pytest.skip('mounting is not allowed here')
        try:
            writer = RingWriter(KeyFrameRing(disk / 'ring', 8), 1.0)
            subprocess.run(['mount', '-o', 'remount,ro', str(disk)], check=True)
            with caplog.at_level(logging.WARNING):
                for number in range(20):
                    writer.offer(picture(), record(number / 10), wait=True)
                writer.flush()
            assert writer.lost == 20
            assert sum('Read-only file system' in text for text in caplog.messages) == 1
            writer.close()
            with pytest.raises(OSError, match='Read-only'):
                KeyFrameRing(disk / 'other', 8)
        finally:
            subprocess.run(['umount', str(disk)], check=True)

    def test_a_frame_that_no_jpeg_holds_is_lost_not_fatal(self, tmp_path):
        writer = RingWriter(KeyFrameRing(tmp_path, 8), 1.0)
        writer.offer(np.zeros((1, 70_000, 3), np.uint8), record(0.0), wait=True)
        writer.offer(picture(), record(0.1), wait=True)
        writer.close()
        assert (writer.kept, writer.lost) == (1, 1)


def test_the_ring_is_written_by_a_thread_that_makes_way(tmp_path):
    writer = RingWriter(KeyFrameRing(tmp_path, 8), 1.0)
    writer.offer(picture(), record(0.0), wait=True)
    writer.flush()
    number = writer._thread.native_id
    assert os.getpriority(os.PRIO_PROCESS, number) == ring_writer._NICENESS
    assert os.getpriority(os.PRIO_PROCESS, 0) < ring_writer._NICENESS
    writer.close()


def test_a_ring_of_another_version_is_refused(tmp_path):
    KeyFrameRing(tmp_path, 8).close()
    (tmp_path / 'ring.json').write_text('{"format": "e4_ros.ring/9"}')
    with pytest.raises(RingError, match=key_frame_ring.FORMAT):
        ring_files(tmp_path)
    with pytest.raises(RingError):
        KeyFrameRing(tmp_path, 8)
