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

import pytest

from e4_ros.perception.audit_totals import AuditTotals
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.audit import Audit
from e4_ros.vision.inference.frame_result import FrameResult


def audit(name, loss, switched_off=''):
    passed = FrameResult(Detections.empty(), 'full', 0.0, {}, [0.01], 0.01)
    return Audit(name, passed, loss, switched_off)


@pytest.fixture
def totals():
    made = AuditTotals()
    made.add(audit('temporal', None), 0.5)
    made.add(audit('temporal', 0.2), 0.5)
    made.add(audit('temporal', 0.4), 0.5)
    made.add(audit('exit1', 1.0, 'it is broken'), 0.25)
    return made


def test_sums(totals):
    assert totals.count == 3
    assert totals.passes == 4
    assert totals.means == pytest.approx({'temporal': 0.3, 'exit1': 1.0})
    assert totals.switched_off == {'exit1': 'it is broken'}
    assert totals.seconds == pytest.approx(0.04)
    assert totals.energy_j == pytest.approx(1.75)


def test_facts_are_restored(totals):
    again = AuditTotals.of_facts(totals.facts() | {'frames_processed': '7', 'exits': 'a, b'})
    assert again.count == 3
    assert again.passes == totals.passes
    assert again.means == pytest.approx(totals.means)
    assert again.switched_off == totals.switched_off
    assert again.seconds == pytest.approx(totals.seconds)
    assert again.energy_j == pytest.approx(totals.energy_j)


def test_unknown_joules_stay_unknown():
    totals = AuditTotals()
    totals.add(audit('temporal', 0.0), math.nan)
    assert math.isnan(AuditTotals.of_facts(totals.facts()).energy_j)


def test_exit_that_was_off_before_is_said_to_be():
    totals = AuditTotals(switched_off={'temporal': 'since Tuesday'})
    assert AuditTotals.of_facts(totals.facts()).switched_off == {'temporal': 'since Tuesday'}
