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

import numpy as np
import pytest

from e4_ros.benchmarks.exits import tables
from e4_ros.benchmarks.exits.footage import Judged
from e4_ros.benchmarks.exits.risk import Setting, closed_after, row_of
from e4_ros.benchmarks.exits.ways import Said
from e4_ros.vision.bundle import load_bundle, shipped_bundle
from e4_ros.vision.detections import Detections

FRAME = np.zeros((8, 8, 3), np.uint8)
BOX = Detections.of(np.array([[0, 0, 10, 20]]), np.array([0.9]))
NONE = Detections.empty()
EXITS = load_bundle(shipped_bundle('pedestrian_ssdlite')).network


class Scripted:
    """Answers as it is told, and may have been switched off."""

    def __init__(self, answers: list[Detections], exits: list[str], off_at: int | None):
        self.off_at = off_at
        self._said = iter([Said(a, e) for a, e in zip(answers, exits, strict=True)])

    def answer(self, frame: np.ndarray, stamp_s: float) -> Said:
        return next(self._said)


def row(answers, exits, off_at=None, change=2, setting=None):
    clip = [(index / 10, FRAME) for index in range(len(answers))]
    full = [BOX] * len(answers)
    stream = Judged('a stream', clip, full, change)
    return row_of(Scripted(answers, exits, off_at), setting or Setting(0.1, EXITS), stream, full)


def test_only_what_comes_after_the_change_counts():
    found = row([NONE, NONE, BOX, BOX], ['temporal', 'temporal', 'temporal', 'full'])
    assert (found['observed'], found['early_share_before'], found['early_share']) == (0, 1, 0.5)
    assert found['kept']
    assert not found['tripped']


def test_a_promise_that_is_exceeded_is_broken():
    found = row([BOX, BOX, NONE, BOX], ['temporal'] * 4)
    assert found['observed'] == found['loss_of_early'] == 0.5
    assert not found['kept']
    assert tables.risk_rows({'risk': [found]})[0][-1] == 'BROKEN'


@pytest.mark.parametrize(('off_at', 'kept'), [(51, True), (52, False)])
def test_unless_the_audit_closed_the_exit_within_fifty_frames(off_at, kept):
    found = row([BOX] * 2 + [NONE] * 60, ['temporal'] * 62, off_at)
    assert found['tripped_after'] == off_at - 1
    assert found['kept'] is kept


def test_what_promises_nothing_is_not_judged():
    found = row([NONE] * 4, ['temporal'] * 4, setting=Setting(None, EXITS))
    assert found['kept'] is None
    assert tables.risk_rows({'risk': [found]})[0][-1] == 'nothing promised'


def test_none_certified_is_said_once():
    nothing = Setting(0.05, EXITS, 'too few blocks')
    found = row([BOX] * 4, ['full'] * 4, setting=nothing, change=0)
    assert not found['certified']
    assert found['observed'] == 0
    changed = row([BOX] * 4, ['full'] * 4, setting=nothing)
    (listed,) = tables.risk_rows({'risk': [found, changed]})
    assert listed[-1] == 'none certified'


@pytest.mark.parametrize(
    ('early', 'closed'),
    [
        ('0' * 60, 0),
        ('1' * 12 + '0' * 48, 12),
        ('10' * 5 + '0' * 25, 9),
        ('0' * 40 + '1' + '0' * 19, None),
    ],
)
def test_closed_after_the_last_early_answer(early, closed):
    assert closed_after(np.array([letter == '1' for letter in early])) == closed
