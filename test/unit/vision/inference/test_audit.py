from __future__ import annotations

import itertools

import numpy as np
import pytest

from e4_ros.vision.inference.audit import Auditor, BettingTest
from e4_ros.vision.inference.audit_record import AuditRecord


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('E4_CACHE', str(tmp_path))


def watch(auditor, disagreements, name='temporal'):
    """Give an exit's answers in order; how many it gave until it was switched off."""
    for count, x in enumerate(disagreements, start=1):
        if auditor.is_due(name) and auditor.judge(name, x):
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


@pytest.mark.parametrize('bound', [0.1, 0.3, 0.5])
@pytest.mark.parametrize('good', [0, 1000, 20_000])
def test_broken_exit_is_off_within_fifty_answers(bound, good):
    rng = np.random.default_rng(1)
    auditor = Auditor({'temporal': bound})
    assert watch(auditor, rng.beta(bound, 2 - bound, good)) is None
    assert watch(auditor, itertools.repeat(1.0)) <= 50


def test_exit_that_got_somewhat_worse_is_found_in_time():
    rng = np.random.default_rng(2)
    auditor = Auditor({'temporal': 0.2})
    assert watch(auditor, rng.beta(1, 9, 5000)) is None
    assert watch(auditor, rng.beta(4, 6, 5000)) < 1000


def test_a_share_of_answers_is_audited_at_uneven_gaps():
    auditor = Auditor(share=0.04)
    due = []
    for index in range(10_000):
        if auditor.is_due('exit1'):
            due.append(index)
            auditor.judge('exit1', 0.0)
    assert due[0] == 0
    assert len(due) == pytest.approx(400, rel=0.05)
    assert len(set(np.diff(due))) > 5
    assert max(np.diff(due)) <= 30


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
    assert '90%' in auditor.off['temporal']
    assert 'allows 25%' in auditor.off['temporal']


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
