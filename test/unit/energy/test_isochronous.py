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

"""The memory's clock stays up while a display or a camera must be served on time."""

from __future__ import annotations

import pytest

from e4_ros.energy.client.status_page import PageWriter
from e4_ros.energy.daemon.core import DaemonCore
from e4_ros.energy.daemon.lease import Lease, Peer
from e4_ros.energy.daemon.undo_log import UndoLog
from e4_ros.energy.domains.discovery import discover
from e4_ros.energy.domains.isochronous import isochronous_clients
from e4_ros.energy.plan import PlanError


def put(root, **texts):
    for name, text in texts.items():
        path = root / 'sys/class' / name.replace('__', '/')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def display(root, on=True):
    folder = 'drm__card0-HDMI-A-1__'
    put(root, **{f'{folder}enabled': 'enabled' if on else 'disabled', f'{folder}dpms': 'On\n'})


def camera(root, streams=True, usb=False):
    folder = 'video4linux__video0__device__'
    put(root, **{f'{folder}power__runtime_status': 'active\n' if streams else 'suspended\n'})
    if usb:
        put(root, **{f'{folder}bInterfaceClass': '0e\n'})


@pytest.fixture
def make_core(board_root, short_dir):
    pages = []

    def make(floor):
        pages.append(PageWriter())
        log, domains = UndoLog(short_dir / 'state'), discover(board_root)
        return DaemonCore(
            'jetson_orin_nano', board_root, domains, log, pages[-1], isochronous_floor=floor
        )

    yield make
    for page in pages:
        page.close()


def leased(core):
    lease = Lease('robot', Peer(1, 2, 3))
    core.begin(lease)
    return lease


@pytest.mark.parametrize(
    ('on', 'found'),
    [
        ([], []),
        ([display], ['card0-HDMI-A-1']),
        ([camera], ['video0']),
        ([display, camera], ['card0-HDMI-A-1', 'video0']),
        ([lambda root: display(root, on=False)], []),
        ([lambda root: camera(root, streams=False)], []),
        ([lambda root: camera(root, usb=True)], []),
    ],
)
def test_clients_are_found_by_what_sysfs_says(board_root, on, found):
    for switch_on in on:
        switch_on(board_root)
    assert list(isochronous_clients(board_root)) == found


def test_what_cannot_be_read_is_no_client(board_root):
    put(board_root, **{'drm__card0-DP-1__enabled': '\xff\x00garbage'})
    (board_root / 'sys/class/video4linux/video7/device/power/runtime_status').mkdir(parents=True)
    assert list(isochronous_clients(board_root)) == []


def test_a_display_that_comes_on_raises_the_memory_at_once_and_off_lets_it_go(
    make_core, board_root, sweep, files
):
    core = make_core(1.0)
    before = files(board_root)
    lease = leased(core)
    plan = sweep(core.frequencies_hz)
    core.set_plan(lease, plan)
    core.step(lease, 0, 0)
    emc = core.domains['emc']
    assert emc.current_hz() == emc.frequencies_hz[0]
    display(board_root)
    core.follow()
    assert emc.current_hz() == emc.frequencies_hz[-1]
    core.step(lease, 0, 1)
    assert emc.current_hz() == emc.frequencies_hz[-1], 'steps do not go around it'
    assert core.domains['gpu'].current_hz() == plan.point('full', 1)['gpu'], 'others go on'
    display(board_root, on=False)
    core.follow()
    core.step(lease, 0, 0)
    assert emc.current_hz() == emc.frequencies_hz[0]
    assert core.end(lease) == []
    left = {name: text for name, text in files(board_root).items() if 'drm' not in name}
    assert left == before


def test_a_plan_that_is_too_slow_for_a_camera_is_refused_with_the_limits(
    make_core, board_root, sweep
):
    camera(board_root)
    core = make_core(1.0)
    everything = {name: domain.frequencies_hz for name, domain in core.domains.items()}
    lease = leased(core)
    assert core.frequencies_hz['emc'] == everything['emc'][-1:]
    with pytest.raises(PlanError, match='emc'):
        core.set_plan(lease, sweep({'emc': everything['emc']}))
    core.set_plan(lease, sweep(core.frequencies_hz))
    core.end(lease)


@pytest.mark.parametrize(('floor', 'kept'), [(0.0, 0), (0.5, 2), (0.9, 3), (1.0, 3)])
def test_the_floor_is_a_share_of_the_highest_clock(make_core, board_root, floor, kept):
    display(board_root)
    core = make_core(floor)
    leased(core)
    table = core.domains['emc'].frequencies_hz
    assert core.frequencies_hz['emc'][0] == table[kept]
    if floor:
        assert table[kept] >= floor * table[-1]
