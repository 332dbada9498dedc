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

import math
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from e4_ros.evaluation.report.summary import summarise
from e4_ros.evaluation.telemetry import TelemetryError, read_stamps, read_telemetry
from e4_ros.perception.offload_stream import COUNTS

MESSAGES = Path(__file__).parents[3] / 'msg'


@pytest.fixture(scope='module')
def store():
    """The common interfaces and our own, from their .msg files."""
    return store_without()


def store_without(*fields: str):
    """The interfaces as they were before they had these fields."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict = {}
    for path in MESSAGES.glob('*.msg'):
        lines = path.read_text().splitlines()
        kept = [line for line in lines if line.split()[1:2] not in [[field] for field in fields]]
        types |= get_types_from_msg('\n'.join(kept), f'e4_ros/msg/{path.stem}')
    store.register(types)
    return store


class Recording:
    """Writes the messages of a run as the recorder does."""

    def __init__(self, store, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
        self.writer.open()
        self.topics: dict = {}
        self.processed = 0

    def make(self, message_kind: str, **fields):
        kind = self.store.types[f'e4_ros/msg/{message_kind}']
        known = kind.__dataclass_fields__
        return kind(**{name: value for name, value in fields.items() if name in known})

    def header(self, stamp_ns: int):
        types = self.store.types
        stamp = types['builtin_interfaces/msg/Time'](stamp_ns // 10**9, stamp_ns % 10**9)
        return types['std_msgs/msg/Header'](stamp=stamp, frame_id='camera')

    def write(self, topic: str, message) -> None:
        kind = message.__msgtype__
        if topic not in self.topics:
            self.topics[topic] = self.writer.add_connection(topic, kind, typestore=self.store)
        self.writer.write(self.topics[topic], 1, self.store.serialize_cdr(message, kind))

    def detections(
        self,
        stamp_ns: int,
        exit_name: str,
        prefix: str = '',
        known: bool = True,
        track: tuple[int, float, float] = (0, math.nan, math.nan),
        **more,
    ):
        self.processed += not prefix
        found = self.make(
            'Detection', class_name='person', class_index=0, score=0.75,
            box=np.array([1, 2, 30, 40], np.float32),
            track_id=track[0], velocity=np.array(track[1:], np.float32),
        )  # fmt: skip
        header = self.header(stamp_ns)
        self.write(f'/perception/{prefix}detections', self.make(
            'Detections', header=header, model='walkers', task='detect', detections=[found],
            image_width=640, image_height=480,
        ))  # fmt: skip
        point = self.make(
            'OperatingPoint', domains=['cpu', 'gpu'] if known else [],
            frequencies_hz=np.array([10**9, 5 * 10**8] if known else [], np.uint64),
        )  # fmt: skip
        segments = [
            self.make('SegmentTelemetry', name=name, device='cpu', latency_s=0.002, point=point)
            for name in ('prepare', 'stage0')
        ]
        fields = {
            'model': 'walkers', 'exit_name': exit_name, 'diversity': 0.5,
            'gate_names': ['temporal', 'exit1'], 'gate_scores': np.array([0.1, 0.8], np.float32),
            'risk_asked': math.nan, 'risk_seen': math.nan, 'key_frame_rate': math.nan,
            'segments': segments, 'latency_s': 0.02 if prefix else 0.004,
            'end_to_end_s': 0.05, 'energy_shared': exit_name == 'exit1',
            'energy_j': 0.01 if known else math.nan,
            'energy_source': 'modelled' if known else 'none',
            'frames_received': self.processed + 2, 'frames_processed': self.processed,
            'frames_dropped': 2, 'plan_id': '', 'version': '', 'offload': self.offload(),
        }  # fmt: skip
        self.write(
            f'/perception/{prefix}exit_telemetry',
            self.make('ExitTelemetry', header=header, **(fields | more)),
        )

    def offload(self, service: str = '', **more):
        if 'e4_ros/msg/OffloadTelemetry' not in self.store.types:
            return None
        fields = {
            'place': 'edge' if service else 'robot', 'service': service,
            'form': 'frame' if service else '', 'cut': '', 'requests': [], 'radio_j': 0.0,
            'why_local': '', **dict.fromkeys(COUNTS, 0),
        }  # fmt: skip
        return self.make('OffloadTelemetry', **(fields | more))

    def request(self, **more):
        stamp = self.store.types['builtin_interfaces/msg/Time'](5, 0)
        legs = {f'{leg}_s': 0.002 for leg in ('encode', 'send', 'queue', 'run')}
        fields = {
            'stamp': stamp, 'service': 'teacher', 'form': 'frame', 'cut': '', 'status': 'answered',
            'late': False, 'sent_bytes': 12_000, 'total_s': 0.05, 'reason': '', **legs,
            'return_s': math.nan,
        }  # fmt: skip
        return self.make('RequestTelemetry', **(fields | more))

    def state(self) -> None:
        domain = self.make(
            'DomainState', name='gpu', frequency_hz=10**9,
            available_hz=np.array([3 * 10**8, 10**9], np.uint64),
        )  # fmt: skip
        lease = self.make(
            'LeaseState', client='perception', pid=1, uid=2, exclusive=False, plan='plan',
            awake=True, steps_received=1,
        )  # fmt: skip
        self.write('/dvfs_helper/state', self.make(
            'DvfsState', header=self.header(1), board='jetson_orin_nano', simulated=True,
            leases=[lease], domains=[domain],
            steps_received=1, steps_applied=1, steps_skipped=0, writes_failed=0,
        ))  # fmt: skip

    def close(self) -> Path:
        self.writer.close()
        return self.folder


@pytest.fixture
def recording(store, tmp_path):
    return Recording(store, tmp_path / 'telemetry')


def test_a_recording_becomes_records(recording):
    recording.state()
    recording.detections(5_000_000_000, 'exit1')
    recording.detections(5_100_000_000, 'full')
    recording.detections(5_100_000_000, 'full', prefix='baseline/', energy_j=0.04)
    records, info = read_telemetry(recording.close(), source='bikes')
    first, second = records
    assert [record.frame for record in records] == [0, 1]
    assert first.stamp_s == pytest.approx(5.0)
    assert first.result.exit == 'exit1'
    assert first.result.gate_scores == pytest.approx({'temporal': 0.1, 'exit1': 0.8})
    assert list(first.segments) == ['prepare', 'stage0']
    assert first.points == [{'cpu': 10**9, 'gpu': 5 * 10**8}] * 2
    assert first.energy_j == pytest.approx(0.01)
    assert (first.end_to_end_s, first.energy_shared) == (0.05, True)
    np.testing.assert_array_equal(first.result.detections.boxes, [[1, 2, 30, 40]])
    assert first.full is None
    assert second.full.latency_s == pytest.approx(0.02)
    assert (info.model, info.task, info.board) == ('walkers', 'detect', 'jetson_orin_nano')
    assert list(info.exits) == ['temporal', 'exit1', 'full']
    assert list(info.class_names) == ['person']
    assert info.domain_limits_hz == {'gpu': (3 * 10**8, 10**9)}
    assert info.baseline_energy_j == pytest.approx(0.04)
    summary = summarise(records, info)
    assert (summary.frames_received, summary.frames_dropped) == (4, 2)
    assert summary.f1_vs_full == 1.0


def test_tracks_and_their_risk_are_kept(recording):
    risk = {'risk_asked': 0.125, 'risk_seen': 0.0625, 'key_frame_rate': 0.25}
    recording.detections(1, 'full', track=(7, 0.0, 0.0), risk_asked=0.125)
    recording.detections(2, 'track', track=(7, 12.5, -3.0), **risk)
    records, info = read_telemetry(recording.close(), source='bikes')
    assert [record.result.detections.ids.tolist() for record in records] == [[7], [7]]
    np.testing.assert_array_equal(records[1].result.detections.velocities, [[12.5, -3.0]])
    assert records[1].risk == (0.125, 0.0625, 0.25)
    assert math.isnan(records[0].risk.seen)
    summary = summarise(records, info)
    assert (summary.risk.asked, summary.risk.seen) == (0.125, 0.0625)
    assert summary.risk.key_frames == 0.5


def test_what_an_edge_server_did_is_kept(recording):
    counts = {'sent': 2, 'answered': 1, 'lost': 1, 'taken': 1}
    about = recording.offload('teacher', requests=[recording.request()], radio_j=0.004, **counts)
    recording.detections(5_000_000_000, 'edge', offload=about)
    recording.detections(6_000_000_000, 'track', offload=recording.offload(**counts))
    records, info = read_telemetry(recording.close(), source='bikes')
    first, second = (record.offload for record in records)
    assert (first.place, first.asked.service, second.place) == ('edge', 'teacher', 'robot')
    [request] = first.requests
    assert (request.in_time, request.stamp_s, request.sent_bytes) == (True, 5.0, 12_000)
    assert request.legs_s == dict.fromkeys(('encode', 'send', 'queue', 'run'), 0.002)
    edge = summarise(records, info).edge
    assert (edge.sent, edge.answered, edge.lost, edge.taken) == (2, 1, 1, 1)
    assert (edge.bytes_per_frame, edge.radio_j_per_frame) == (6000, 0.002)
    assert edge.answer_ms.mean == pytest.approx(50)


def test_without_tracks_there_are_no_ids_and_no_risk(recording):
    recording.detections(1, 'full')
    (record,), info = read_telemetry(recording.close(), source='bikes')
    assert record.result.detections.ids is None
    assert record.result.detections.velocities is None
    assert summarise([record], info).risk is None


def test_a_recording_from_before_there_were_tracks_is_read(tmp_path):
    newer = ('end_to_end_s', 'energy_shared', 'offload', 'version')
    old = store_without('track_id', 'velocity', 'risk_asked', 'risk_seen', 'key_frame_rate', *newer)
    recording = Recording(old, tmp_path / 'old')
    recording.detections(1, 'temporal')
    (record,), _ = read_telemetry(recording.close(), source='bikes')
    assert record.result.detections.ids is None
    assert math.isnan(record.risk.asked)
    assert math.isnan(record.end_to_end_s)
    assert not record.energy_shared
    np.testing.assert_array_equal(record.result.detections.boxes, [[1, 2, 30, 40]])


def test_stamps_tell_which_frame_of_the_source_it_was(recording, tmp_path):
    for stamp_ns in (7, 8, 9):
        recording.detections(stamp_ns, 'full')
    file = tmp_path / 'stamps.csv'
    file.write_text('10,7\n11,8\n13,9\n')
    records, _ = read_telemetry(recording.close(), source='bikes', frames=read_stamps(file))
    assert [record.frame for record in records] == [10, 11, 13]


def test_without_a_daemon_nothing_is_known_of_clocks_and_joules(recording):
    recording.detections(1, 'full', known=False)
    (record,), info = read_telemetry(recording.close(), source='bikes')
    assert record.points == ()
    assert math.isnan(record.energy_j)
    assert math.isnan(info.baseline_energy_j)
    assert info.board == ''


def test_answers_that_were_not_recorded_are_reported(recording):
    recording.detections(1, 'full')
    recording.detections(2, 'full', frames_processed=9)
    records, info = read_telemetry(recording.close(), source='bikes')
    assert info.problems == ['7 answers are missing from the recording']
    assert info.frames_received == len(records) + info.frames_dropped


def test_a_recording_without_answers_says_so(recording):
    recording.state()
    with pytest.raises(TelemetryError, match='no answered image'):
        read_telemetry(recording.close(), source='bikes')


def test_what_is_no_recording_says_so(tmp_path):
    path = tmp_path / 'telemetry.mcap'
    path.write_bytes(b'noise')
    with pytest.raises(TelemetryError, match='cannot be read as a recording'):
        read_telemetry(path, source='bikes')


def test_stamps_that_are_none_are_refused(tmp_path):
    path = tmp_path / 'stamps.csv'
    path.write_text('0,5\n1\n')
    with pytest.raises(TelemetryError, match='line 2'):
        read_stamps(path)
