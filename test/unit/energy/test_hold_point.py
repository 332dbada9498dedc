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

from e4_ros.energy.client.client import DaemonError, DvfsClient
from e4_ros.energy.daemon.daemon import Daemon
from e4_ros.energy.daemon.hold_point import hold, parse_hz, parse_point
from e4_ros.energy.domains.discovery import discover

POINT = {'gpu': 612_000_000, 'emc': 665_600_000}


def clocks(root):
    return {domain.name: domain.current_hz() for domain in discover(root)}


@pytest.mark.parametrize(
    ('text', 'hertz'),
    [('612MHz', 612_000_000), ('1.02 GHz', 1_020_000_000), ('665600 khz', 665_600_000), ('5', 5)],
)
def test_frequencies_as_people_write_them(text, hertz):
    assert parse_hz(text) == hertz


@pytest.mark.parametrize('text', ['', 'fast', '-1', '0', 'nan', 'inf', '1e999', 'MHz'])
def test_what_is_no_frequency(text):
    with pytest.raises(ValueError, match='is not a frequency'):
        parse_hz(text)


def test_points_as_people_write_them():
    assert parse_point(['gpu=612MHz', 'emc=665.6MHz']) == POINT
    for wrong in (['gpu'], ['=1'], ['gpu=1', 'gpu=2']):
        with pytest.raises(ValueError, match=r'not like|twice'):
            parse_point(wrong)


@pytest.mark.parametrize('running', [False, True])
def test_point_is_held_and_restored(config, board_root, files, running):
    before = files(board_root)
    server = Daemon(config) if running else None
    with hold(POINT, config) as held:
        assert clocks(board_root).items() >= POINT.items()
        assert held.lost_because == ''
    assert files(board_root) == before
    if server:
        server.stop()


def test_point_is_renewed_well_before_the_watchdog_of_the_daemon(config):
    hasty = config.model_copy(update={'watchdog_s': 1.0})
    with Daemon(hasty), hold(POINT, hasty) as held:
        assert held._period_s == 0.25


def test_point_that_cannot_be_held_changes_nothing(config, board_root, files):
    before = files(board_root)
    with pytest.raises(DaemonError, match='the nearest is 306000000'), hold({'gpu': 1}, config):
        pass
    assert files(board_root) == before


def test_lease_of_another_is_respected(config):
    with Daemon(config), DvfsClient(config.socket_path) as other:
        other.acquire('robot')
        with pytest.raises(DaemonError, match='needs the clocks alone, and robot'):  # noqa: SIM117
            with hold(POINT, config):
                pass


def test_losing_the_daemon_is_noticed(config):
    with Daemon(config) as daemon, pytest.raises(DaemonError), hold(POINT, config) as held:  # noqa: PT012
        daemon.stop()
        held.wait(60)
        assert 'stopped' in held.lost_because
        raise DaemonError(held.lost_because)
