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

import pytest

from e4_ros.energy.client.status_page import MAX_LEASES
from e4_ros.energy.daemon.lease import LeaseBook, LeaseError, LeaseHeld, Peer

PEER = Peer(1, 2, 3)


def test_several_hold_leases_at_the_same_time():
    book = LeaseBook()
    first, second = book.claim('first', PEER), book.claim('second', PEER)
    assert book.held == (first, second)
    book.end(first, 'done')
    book.end(first, 'again')
    assert book.held == (second,)
    assert (first.reason, second.reason) == ('done', '')


def test_who_needs_the_clocks_alone_is_told_who_holds_leases():
    book = LeaseBook()
    front = book.claim('front', PEER)
    with pytest.raises(
        LeaseHeld, match=r'e4 profile needs the clocks alone, and front \(pid 1, .* a'
    ):
        book.claim('e4 profile', PEER, exclusive=True)
    book.claim('rear', PEER)
    with pytest.raises(LeaseHeld, match=r'front \(.*\), rear \(.*\) hold a lease; end that first'):
        book.check('e4 profile', exclusive=True)
    assert front in book.held


def test_nobody_shares_with_who_needs_the_clocks_alone():
    book = LeaseBook()
    alone = book.claim('e4 profile', PEER, exclusive=True)
    for exclusive in (False, True):
        with pytest.raises(LeaseHeld, match=r'e4 profile \(.* needs the clocks alone; try again'):
            book.claim('robot', PEER, exclusive)
    book.end(alone, 'done')
    book.check('robot')
    assert book.held == ()
    assert book.claim('robot', PEER) in book.held


def test_there_is_room_for_so_many():
    book = LeaseBook()
    for number in range(MAX_LEASES):
        book.claim(f'robot {number}', Peer(number, number, number))
    with pytest.raises(LeaseHeld, match='no more can: robot 0'):
        book.claim('one more', PEER)


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
