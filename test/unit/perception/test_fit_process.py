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

"""A fit beside perception: of the lowest priority, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip('torch')

from e4_ros.evaluation.sources import open_source
from e4_ros.perception import fit_process
from e4_ros.perception.fit_process import FitFailed, FitProcess, FitRequest
from e4_ros.perception.key_frame_ring import KeyFrameRing
from e4_ros.perception.records import FrameRecord
from e4_ros.perception.ring_writer import RingWriter
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.frame_result import FrameResult

PATIENCE_S = 60.0


@pytest.fixture(scope='module')
def ring(tmp_path_factory):
    """Sixty frames of `vtest`, a third as large."""
    import cv2

    folder = tmp_path_factory.mktemp('ring')
    writer = RingWriter(KeyFrameRing(folder, 8), 1.0)
    for number, (stamp_s, frame) in enumerate(open_source('vtest')):
        if number == 60:
            break
        small = cv2.resize(frame, (256, 192), interpolation=cv2.INTER_AREA)
        result = FrameResult(Detections.empty(), 'full', 0.0, {}, [0.01], 0.01)
        writer.offer(small, FrameRecord(number, stamp_s, result), wait=True)
    writer.close()
    return folder


def request(ring: Path, out: Path, **changes) -> FitRequest:
    return FitRequest(**{'ring': ring, 'model': 'pedestrian_ssdlite', 'out': out, 'frames': 600,
                         'risk': 0.9, 'confidence': 0.5, **changes})  # fmt: skip


def children() -> set[int]:
    """Processes that this one has started and not waited for."""
    task = Path('/proc/self/task')
    found = ' '.join((thread / 'children').read_text() for thread in task.iterdir())
    return {int(pid) for pid in found.split()}


def is_gone(pid: int) -> bool:
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == 'Z'


def until(condition) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, 'it never came to that'
        time.sleep(0.02)


def run_in_thread(process: FitProcess) -> tuple[threading.Thread, list[BaseException]]:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            process.run()
        except FitFailed as failure:
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, failures


def test_it_gets_what_others_leave_idle_and_ends_when_it_is_cancelled(ring, tmp_path):
    before = children()
    process = FitProcess(request(ring, tmp_path / 'b'), lambda *_: None)
    thread, failures = run_in_thread(process)
    until(lambda: children() - before)
    (pid,) = children() - before
    until(lambda: os.sched_getscheduler(pid) == os.SCHED_IDLE)
    until(lambda: os.getpriority(os.PRIO_PROCESS, pid) == 19)
    process.cancel()
    thread.join(PATIENCE_S)
    assert [str(failure) for failure in failures] == ['cancelled']
    assert is_gone(pid)


def test_one_that_takes_too_long_is_ended(ring, tmp_path):
    process = FitProcess(request(ring, tmp_path / 'b'), lambda *_: None, limit_s=0.5)
    with pytest.raises(FitFailed, match=r'not done in 0\.5 s'):
        process.run()


def test_one_cancelled_before_it_begins_never_does(ring, tmp_path):
    process = FitProcess(request(ring, tmp_path / 'b'), lambda *_: None)
    process.cancel()
    with pytest.raises(FitFailed, match='cancelled'):
        process.run()


def test_a_failure_is_told_in_its_own_words(tmp_path, monkeypatch):
    # On a machine that is busy with other tests, idle time may never come.
    monkeypatch.setattr(fit_process, '_in_background', list)
    process = FitProcess(request(tmp_path / 'nowhere', tmp_path / 'b'), lambda *_: None)
    with pytest.raises(FitFailed, match='is no ring of key frames'):
        process.run()


def test_it_dies_with_whoever_started_it(ring, tmp_path):
    code = (
        'import sys; from pathlib import Path\n'
        'from e4_ros.perception.fit_process import *\n'
        'r = FitRequest(Path(sys.argv[1]), "pedestrian_ssdlite", Path(sys.argv[2]), 600)\n'
        'FitProcess(r, lambda *_: None).run()\n'
    )
    parent = subprocess.Popen([sys.executable, '-c', code, str(ring), str(tmp_path / 'b')])
    listing = Path(f'/proc/{parent.pid}/task/{parent.pid}/children')
    until(lambda: listing.read_text().split())
    child = int(listing.read_text())
    time.sleep(0.3)  # until it has asked to be told
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until(lambda: is_gone(child))
