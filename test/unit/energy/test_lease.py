from __future__ import annotations

import pytest

from e4_ros.energy.daemon import lease
from e4_ros.energy.daemon.lease import LeaseBook, LeaseError, Peer

PEER = Peer(1, 2, 3)


def test_one_at_a_time():
    book = LeaseBook()
    first = book.claim('first', PEER)
    with pytest.raises(LeaseError, match='held by first'):
        book.claim('second', PEER)
    with pytest.raises(LeaseError, match='held by first'):
        book.reserve('second')
    book.end(first, 'done')
    second = book.claim('second', PEER)
    book.end(first, 'again')
    assert book.holder is second
    assert first.reason == 'done'


def test_reservation_is_for_its_token_only():
    book = LeaseBook()
    token = book.reserve('robot')
    with pytest.raises(LeaseError, match='reserved for robot'):
        book.claim('thief', PEER)
    with pytest.raises(LeaseError, match='reserved for robot'):
        book.claim('thief', PEER, 'guess')
    with pytest.raises(LeaseError, match='reserved for robot'):
        book.reserve('robot')
    assert book.claim('robot', PEER, token).token == token


def test_token_is_good_once():
    book = LeaseBook()
    token = book.reserve('robot')
    book.end(book.claim('robot', PEER, token), 'done')
    with pytest.raises(LeaseError, match='unknown or too old'):
        book.claim('robot', PEER, token)


def test_reservation_runs_out(monkeypatch):
    monkeypatch.setattr(lease, 'RESERVATION_S', 0.0)
    book = LeaseBook()
    token = book.reserve('late')
    book.end(book.claim('prompt', PEER), 'done')
    with pytest.raises(LeaseError, match='unknown or too old'):
        book.claim('late', PEER, token)


def test_token_proves_the_lease():
    book = LeaseBook()
    with pytest.raises(LeaseError, match='no lease is held'):
        book.check('')
    held = book.claim('robot', PEER)
    assert book.check(held.token) is held
    for wrong in ('', 'wrong', held.token[:-1], 'ü'):
        with pytest.raises(LeaseError, match='held by robot'):
            book.check(wrong)


def test_refusal_has_its_reason():
    book = LeaseBook()
    book.refuse('too hot')
    with pytest.raises(LeaseError, match='too hot'):
        book.claim('robot', PEER)
    book.refuse('')
    assert book.claim('robot', PEER)


@pytest.mark.parametrize('name', ['', 'two\nlines', 'x' * 201, '\x1b[2J'])
def test_names_that_would_spoil_a_log(name):
    with pytest.raises(LeaseError, match='printable'):
        LeaseBook().claim(name, PEER)
