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

"""Frame records from a recorded bag of perception's topics.

The demo records every output topic; its summary, page and video are made from the recording once
the nodes have ended, so that nothing competes with what is measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from e4_ros.offload.exchange import ANSWERED
from e4_ros.offload.request import FEATURES, LEGS, LOCAL, Offload, RequestOutcome
from e4_ros.perception.audit_totals import AuditTotals
from e4_ros.perception.offload_stream import COUNTS, FrameOffload
from e4_ros.perception.records import NO_SOURCE, FrameRecord, RunInfo, StreamRisk
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.frame_result import FrameResult

_DETECTIONS, _TELEMETRY, _STATE = (
    f'e4_ros/msg/{name}' for name in ('Detections', 'ExitTelemetry', 'DvfsState')
)
_DIAGNOSTICS = 'diagnostic_msgs/msg/DiagnosticArray'
_BASELINE = '/baseline/'
_RISK = 'risk_asked', 'risk_seen', 'key_frame_rate'
# Fields that are read with a default are absent in recordings of earlier versions.


class TelemetryError(ValueError):
    """A recording that holds no run; the message says what is missing."""


@dataclass
class _Topics:
    """Messages of a recording, by the stamp of their image in nanoseconds."""

    detections: dict[int, Any] = field(default_factory=dict)
    telemetry: dict[int, Any] = field(default_factory=dict)
    full_detections: dict[int, Any] = field(default_factory=dict)
    full_telemetry: dict[int, Any] = field(default_factory=dict)
    state: Any = None
    facts: dict[str, str] = field(default_factory=dict)


def read_telemetry(
    bag: Path, *, source: str, frames: Mapping[int, int] | None = None
) -> tuple[list[FrameRecord], RunInfo]:
    """Read a run that the `recorder` node recorded.

    Args:
        bag: ``telemetry.mcap``, or any bag with perception's topics.
        source: Name of the source, for reports.
        frames: Stamp of an image in nanoseconds → its index in the source (`read_stamps`); without
            it images count in the order in which they were processed.

    Returns:
        A record for each image that was processed, and facts about the whole run.

    Raises:
        TelemetryError: the bag cannot be read, or no image was answered in it.
    """
    topics = _read(bag)
    stamps = sorted(topics.telemetry.keys() & topics.detections.keys())
    if frames is not None:
        stamps = [stamp for stamp in stamps if stamp in frames]
    if not stamps:
        raise TelemetryError(
            f'{bag.name} holds no answered image: perception published no detections with their '
            'telemetry while it was recorded'
        )
    indices = frames or {stamp: index for index, stamp in enumerate(stamps)}
    records = [_record(topics, stamp, indices[stamp]) for stamp in stamps]
    info = _info(topics, stamps, source, len(indices))
    return sorted(records, key=lambda record: record.frame), info


def read_stamps(path: Path) -> dict[int, int]:
    """Read the stamps that `video_source` wrote: ``frame,stamp_ns`` on each line.

    Returns:
        Stamp in nanoseconds → index of the frame in its source.

    Raises:
        TelemetryError: a line is not of that form.
    """
    stamps = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            frame, stamp_ns = line.split(',')
            stamps[int(stamp_ns)] = int(frame)
        except ValueError:
            raise TelemetryError(
                f'{path}, line {number}: {line!r} is no "frame,stamp_ns"'
            ) from None
    return stamps


def _read(bag: Path) -> _Topics:
    topics = _Topics()
    try:
        with AnyReader([bag], default_typestore=get_typestore(Stores.LATEST)) as reader:
            for connection, _, data in reader.messages():
                if connection.msgtype in (_DETECTIONS, _TELEMETRY, _STATE, _DIAGNOSTICS):
                    _sort_in(topics, connection, reader.deserialize(data, connection.msgtype))
    # rosbags lets what its parsers raise on broken bytes pass; see `sources.bag`.
    except Exception as error:
        raise TelemetryError(f'{bag} cannot be read as a recording: {error}') from None
    return topics


def _sort_in(topics: _Topics, connection: Any, message: Any) -> None:
    if connection.msgtype == _STATE:
        topics.state = message
        return
    if connection.msgtype == _DIAGNOSTICS:
        # The last word on each: perception's counts and what it loaded.
        topics.facts |= {pair.key: pair.value for s in message.status for pair in s.values}
        return
    full = _BASELINE in connection.topic
    if connection.msgtype == _DETECTIONS:
        group = topics.full_detections if full else topics.detections
    else:
        group = topics.full_telemetry if full else topics.telemetry
    group[_stamp_ns(message)] = message


def _record(topics: _Topics, stamp_ns: int, index: int) -> FrameRecord:
    telemetry = topics.telemetry[stamp_ns]
    full = None
    if stamp_ns in topics.full_telemetry and stamp_ns in topics.full_detections:
        full = _result(topics.full_telemetry[stamp_ns], topics.full_detections[stamp_ns])
    points = [
        dict(zip(s.point.domains, map(int, s.point.frequencies_hz), strict=True))
        for s in telemetry.segments
    ]
    known = telemetry.energy_source != NO_SOURCE
    return FrameRecord(
        frame=index,
        stamp_s=stamp_ns * 1e-9,
        result=_result(telemetry, topics.detections[stamp_ns]),
        segments=[segment.name for segment in telemetry.segments],
        devices=[segment.device for segment in telemetry.segments],
        points=points if points and all(points) else (),
        energy_j=float(telemetry.energy_j) if known else math.nan,
        energy_source=telemetry.energy_source,
        energy_shared=bool(getattr(telemetry, 'energy_shared', False)),
        full=full,
        risk=StreamRisk(*(float(getattr(telemetry, name, math.nan)) for name in _RISK)),
        end_to_end_s=float(getattr(telemetry, 'end_to_end_s', math.nan)),
        offload=_offload(getattr(telemetry, 'offload', None)),
    )


def _offload(about: Any) -> FrameOffload | None:
    """What an edge server had to do with a frame; None in recordings from before there were any."""
    if about is None:
        return None
    return FrameOffload(
        about.place,
        _asked(about),
        [_request(each) for each in about.requests],
        float(about.radio_j),
        {name: int(getattr(about, name)) for name in COUNTS},
        about.why_local,
    )


def _asked(about: Any) -> Offload:
    if not about.service:
        return LOCAL
    return Offload(about.service, about.form, about.cut if about.form == FEATURES else '')


def _request(about: Any) -> RequestOutcome:
    legs_s = {leg: float(getattr(about, f'{leg}_s')) for leg in LEGS}
    return RequestOutcome(
        _asked(about),
        about.status,
        about.status == ANSWERED and not about.late,
        int(about.sent_bytes),
        {leg: s for leg, s in legs_s.items() if math.isfinite(s)},
        float(about.total_s),
        about.stamp.sec + about.stamp.nanosec * 1e-9,
        about.reason,
    )


def _result(telemetry: Any, detections: Any) -> FrameResult:
    return FrameResult(
        detections=_answer(detections.detections),
        exit=telemetry.exit_name,
        diversity=float(telemetry.diversity),
        gate_scores=dict(zip(telemetry.gate_names, map(float, telemetry.gate_scores), strict=True)),
        segment_s=[float(segment.latency_s) for segment in telemetry.segments],
        latency_s=float(telemetry.latency_s),
    )


def _answer(found: Sequence[Any]) -> Detections:
    """The detections of a message, with their tracks where they have any."""
    plain = Detections.of(
        np.array([item.box for item in found]).reshape(-1, 4),
        np.array([item.score for item in found]),
        np.array([item.class_index for item in found], np.int64),
    )
    found = sorted(found, key=lambda item: -item.score)
    ids = np.array([getattr(item, 'track_id', 0) for item in found], np.int64)
    if not ids.all() or not len(ids):
        return plain
    velocities = np.array([item.velocity for item in found], np.float32)
    return replace(plain, ids=ids, velocities=velocities)


def _info(topics: _Topics, stamps: list[int], source: str, published: int) -> RunInfo:
    last = topics.telemetry[stamps[-1]]
    first = topics.detections[stamps[0]]
    processed = int(topics.facts.get('frames_processed', last.frames_processed))
    dropped = int(topics.facts.get('frames_dropped', last.frames_dropped))
    problems = []
    if processed > len(stamps):
        problems.append(f'{processed - len(stamps)} answers are missing from the recording')
    if published > processed + dropped:
        problems.append(
            f'{published - processed - dropped} of {published} images never reached perception'
        )
    state = topics.state
    domains = {} if state is None else {d.name: d.available_hz for d in state.domains}
    exits = topics.facts.get('exits')
    return RunInfo(
        source=source,
        model=first.model,
        task=first.task,
        class_names=_class_names(topics.detections.values()),
        exits=exits.split(', ') if exits else _exits(topics.telemetry.values()),
        controller=topics.facts.get('controller', ''),
        runtime=topics.facts.get('runtime', ''),
        device=topics.facts.get('device', ''),
        board='' if state is None else state.board,
        domain_limits_hz={n: (int(hz[0]), int(hz[-1])) for n, hz in domains.items() if len(hz)},
        frames_received=len(stamps) + dropped,
        frames_dropped=dropped,
        baseline_energy_j=_baseline_energy_j(topics),
        waits_counted=True,
        problems=problems,
        audits=AuditTotals.of_facts(topics.facts) if 'audits' in topics.facts else None,
    )


def _baseline_energy_j(topics: _Topics) -> float:
    """Mean joules of full depth at default clocks, by the full network's telemetry."""
    known = [m.energy_j for m in topics.full_telemetry.values() if m.energy_source != NO_SOURCE]
    return float(np.mean(known)) if known else math.nan


def _class_names(messages: Iterable[Any]) -> list[str]:
    """Names by index, as far as anything of the class was seen."""
    seen = {item.class_index: item.class_name for m in messages for item in m.detections}
    return [seen.get(index, str(index)) for index in range(max(seen, default=-1) + 1)]


def _exits(messages: Iterable[Any]) -> list[str]:
    """All exits that were evaluated or taken, in the order of evaluation; ``full`` is the last."""
    longest: list[str] = []
    for message in messages:
        longest = max(longest, list(message.gate_names), key=len)
    return [*(name for name in longest if name != 'full'), 'full']


def _stamp_ns(message: Any) -> int:
    stamp = message.header.stamp
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)
