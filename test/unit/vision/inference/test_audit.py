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

import itertools

import numpy as np
import pytest

from e4_ros.vision.inference.audit import Auditor, BettingTest
from e4_ros.vision.inference.audit_record import AuditRecord


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))


ANSWER_S, PASSES, PASS_S = 0.005, 13, 0.02


def watch(auditor, losses, name='temporal'):
    """Give an exit's answers in order; how many it gave until it was switched off.

    Each takes a quarter of a pass of the network, and an audit takes 13 passes.
    """
    for count, x in enumerate(losses, start=1):
        auditor.budget.earn(ANSWER_S)
        if auditor.is_due(name):
            for number in range(1, PASSES + 1):
                auditor.budget.spend(PASS_S, number == PASSES)
            if auditor.judge(name, x):
                return count
    return None


@pytest.mark.parametrize('bound', [0.05, 0.3, 0.5])
def test_wager_is_fair_where_the_exit_is_as_bad_as_allowed(bound):
    """Over every possible outcome of eight audits the capital stays 1 on average, exactly."""
    mean = 0.0
    for outcome in itertools.product([0, 1], repeat=8):
        wager = BettingTest(bound)
        for x in outcome:
            wager.update(x)
        mean += np.prod([bound if x else 1 - bound for x in outcome]) * wager.capital
    assert mean == pytest.approx(1.0)


@pytest.mark.parametrize(('at', 'most'), [(0.25, 0), (0.3, 3)])
def test_good_exit_is_switched_off_no_more_often_than_promised(at, most):
    """Ten thousand audits, twenty times; one in twenty may be lost, at the very bound."""
    rng = np.random.default_rng(0)
    lost = 0
    for _ in range(20):
        wager = BettingTest(0.3, confidence=0.95)
        lost += any(wager.update(x) for x in rng.beta(2 * at, 2 * (1 - at), 10_000).tolist())
    assert lost <= most


@pytest.mark.parametrize('bound', [0.1, 0.15, 0.3])
def test_broken_exit_is_off_after_a_few_audits_on_credit(bound):
    assert watch(Auditor({'temporal': bound}), itertools.repeat(1.0)) <= 8


@pytest.mark.parametrize('bound', [0.1, 0.15, 0.3])
def test_exit_that_breaks_after_long_is_found(bound):
    rng = np.random.default_rng(1)
    auditor = Auditor({'temporal': bound})
    assert watch(auditor, rng.beta(bound, 2 - bound, 100_000)) is None
    one = PASSES * PASS_S / ANSWER_S / auditor.budget.share  # answers that pay for an audit
    assert watch(auditor, itertools.repeat(1.0)) < 5 * one


def test_uncalibrated_exit_that_answers_badly_is_switched_off():
    """F1 .60 where the full network has .80, from frame to frame as frames are."""
    rng = np.random.default_rng(2)
    full, own = rng.beta(16, 4, 200_000), rng.beta(6, 4, 200_000)
    assert np.mean(own) == pytest.approx(0.6, abs=0.01)
    auditor = Auditor()
    assert watch(auditor, np.maximum(full - own, 0.0)) is not None
    assert 'less (F1) of what a close look finds' in auditor.off['temporal']


def test_uncalibrated_exit_that_answers_well_is_not_switched_off():
    """Better than the full network on average; only its bad frames are counted."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        full, own = rng.beta(16, 4, 100_000), rng.beta(17, 3, 100_000)
        auditor = Auditor()
        assert watch(auditor, np.maximum(full - own, 0.0)) is None


def test_audits_keep_to_their_share_but_for_the_credit():
    rng = np.random.default_rng(3)
    for losses in (np.zeros(100_000), rng.uniform(0, 0.3, 100_000)):
        auditor = Auditor({'temporal': 0.5}, share=0.05)
        audits = 0
        judge = auditor.judge

        def counted(name, loss, judge=judge):
            nonlocal audits
            audits += 1
            return judge(name, loss)

        auditor.judge = counted
        assert watch(auditor, losses) is None
        share = audits * PASSES * PASS_S / (len(losses) * ANSWER_S)
        assert 0.8 * 0.05 < share <= 0.05 + 8 * PASSES * PASS_S / (len(losses) * ANSWER_S)


def test_audited_answers_are_chosen_at_uneven_gaps():
    auditor, due = Auditor(share=1.0), []
    for index in range(2_000):
        auditor.budget.earn(ANSWER_S)
        if auditor.is_due('exit1'):
            due.append(index)
            auditor.budget.spend(4 * ANSWER_S, True)
            auditor.judge('exit1', 0.0)
    assert due[0] == 0
    assert len(set(np.diff(due))) > 5


def test_an_audit_that_is_given_up_is_paid_for_all_the_same():
    auditor = Auditor(share=0.5)
    assert auditor.is_due('exit1')
    auditor.budget.spend(PASS_S, False)
    auditor.budget.drop()
    assert not auditor.is_due('exit1')
    auditor.budget.earn(2 * PASS_S)
    assert auditor.is_due('exit1')


def test_share_of_zero_audits_nothing():
    auditor = Auditor(share=0)
    assert not any(auditor.is_due('exit1') for _ in range(100))


def test_exits_are_judged_apart():
    auditor = Auditor({'temporal': 0.3, 'exit1': 0.3})
    watch(auditor, [1.0] * 50, 'temporal')
    assert watch(auditor, [0.1] * 500, 'exit1') is None
    assert list(auditor.off) == ['temporal']
    assert not auditor.is_due('temporal')


def test_reason_gives_the_figures():
    auditor = Auditor({'temporal': 0.25})
    watch(auditor, [0.9] * 50)
    assert 'found 0.90 less (F1)' in auditor.off['temporal']
    assert '0.25 is allowed' in auditor.off['temporal']


def test_reason_for_classes_names_the_full_network():
    auditor = Auditor({'exit1': 0.25})
    reason = next(filter(None, (auditor.judge('exit1', 1.0, 'classify') for _ in range(50))))
    assert "differed from the full network's by 100% on average, where 25% is allowed" in reason


def test_switched_off_exit_stays_off_until_it_is_calibrated_anew():
    watch(Auditor({'temporal': 0.3}, record=AuditRecord('old')), [1.0] * 50)
    assert 'temporal' in Auditor({'temporal': 0.3}, record=AuditRecord('old')).off
    assert not Auditor({'temporal': 0.3}, record=AuditRecord('new')).off


def test_second_exit_joins_the_first_in_the_record():
    for name in ('temporal', 'exit1'):
        watch(Auditor({name: 0.3}, record=AuditRecord('x')), [1.0] * 50, name)
    assert set(AuditRecord('x').read()) == {'temporal', 'exit1'}


@pytest.mark.parametrize('text', ['', '{"temporal"', '[1]', '{"temporal": 3}', '\x00' * 40])
def test_damaged_record_is_put_aside_and_exits_are_audited_again(text, caplog):
    record = AuditRecord('x')
    record.path.parent.mkdir(parents=True)
    record.path.write_text(text)
    auditor = Auditor({'temporal': 0.3}, record=record)
    assert auditor.off == {}
    assert 'cannot be read' in caplog.text
    assert record.path.with_suffix('.damaged').read_text() == text
    watch(auditor, [1.0] * 50)
    assert 'temporal' in AuditRecord('x').read()


def test_record_that_cannot_be_kept_still_switches_off(tmp_path, caplog):
    (tmp_path / 'audit').write_text('a file where the folder should be')
    auditor = Auditor({'temporal': 0.3}, record=AuditRecord('x'))
    watch(auditor, [1.0] * 50)
    assert 'temporal' in auditor.off
    assert 'until the next start' in caplog.text


@pytest.mark.parametrize('share', [-0.1, 1.5, float('nan')])
def test_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match='share'):
        Auditor(share=share)


@pytest.mark.parametrize(('bound', 'confidence'), [(0, 0.9), (1, 0.9), (0.3, 0), (0.3, 1)])
def test_senseless_promise_is_refused(bound, confidence):
    with pytest.raises(ValueError, match='in \\(0, 1\\)'):
        BettingTest(bound, confidence)
