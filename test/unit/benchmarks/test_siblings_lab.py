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

"""The laboratory: what a link passes on, how fast, and that nothing of it stays behind."""

import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from e4_ros.benchmarks.node_processes import StartError, cpu_s
from e4_ros.benchmarks.siblings.lab import (
    LinkShape,
    Place,
    Running,
    cpu_share,
    open_room,
)
from e4_ros.benchmarks.siblings.lab.rooms import NamespaceRoom, free_port


def may_have_namespaces():
    try:
        NamespaceRoom().close()
    except OSError:
        return False
    return True


ROOMS = [
    pytest.param(
        'namespaces',
        marks=pytest.mark.skipif(not may_have_namespaces(), reason='no network namespaces here'),
    ),
    'relay',
]

COUNT = """
import json, socket, sys, time
host, port = sys.argv[1].rsplit(':', 1)
listener = socket.create_server((host, int(port)))
print(json.dumps({'event': 'listening'}), flush=True)
while True:
    connection = listener.accept()[0]
    with connection:
        while head := connection.recv(8, socket.MSG_WAITALL):
            left = int(head)
            while left:
                left -= len(connection.recv(min(left, 65536)))
            connection.sendall(b'.')
"""
ASK = """
import json, socket, sys, time
host, port = sys.argv[1].rsplit(':', 1)
link = socket.create_connection((host, int(port)), 10)
link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
print(json.dumps({'event': 'connected'}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    began = time.monotonic()
    link.settimeout(asked['patience_s'])
    try:
        link.sendall(b'%8d' % asked['size'] + b'x' * asked['size'])
        came = link.recv(1) == b'.'
    except OSError:
        came = False
    told = {'event': asked['name'], 's': time.monotonic() - began, 'came': came}
    print(json.dumps(told), flush=True)
"""


class Ask:
    """Sends bytes through a room, and says how long it took until they were there."""

    def __init__(self, room, running):
        self.room, self.running, self.count = room, running, 0

    def __call__(self, size, patience_s=20.0):
        self.count += 1
        name = f'sent {self.count}'
        self.running.tell({'name': name, 'size': size, 'patience_s': patience_s})
        said = self.running.wait_for(name).said
        return said['s'] if said['came'] else math.inf


@pytest.fixture
def ask(request):
    with open_room(request.param, delays=True) as room:
        port = free_port(room.server)
        there = [sys.executable, '-c', COUNT, room.listen(port)]
        with Running(room.server, there) as server:
            server.wait_for('listening')
            here = [sys.executable, '-c', ASK, room.address(port)]
            with Running(room.robot, here) as robot:
                robot.wait_for('connected')
                yield Ask(room, robot)


@pytest.mark.parametrize('ask', ROOMS, indirect=True)
def test_a_rate_takes_its_time(ask):
    ask(10_000)
    ask.room.shape(LinkShape(2e6))
    assert 0.2 < ask(100_000) < 2  # 0.4 s, less what waits on the way and goes at once
    ask.room.shape(LinkShape())
    assert ask(100_000) < 0.2


@pytest.mark.parametrize('ask', ROOMS, indirect=True)
def test_nothing_passes_a_link_that_is_down_and_it_comes_back(ask):
    ask(1000)
    ask.room.shape(LinkShape(up=False))
    assert ask(1000, patience_s=0.3) == math.inf
    ask.room.shape(LinkShape())
    assert ask(1000) < 5


@pytest.mark.parametrize('ask', ROOMS, indirect=True)
def test_a_delay_is_waited_for(ask):
    ask(1000)
    ask.room.shape(LinkShape(delay_s=0.05))
    assert ask(1000) > 0.09


@pytest.mark.parametrize('ask', ROOMS, indirect=True)
def test_lost_packets_are_sent_again(ask):
    ask(1000)
    ask.room.shape(LinkShape(every=3))
    assert max(ask(3000) for _ in range(6)) > 0.1
    ask.room.shape(LinkShape())
    assert min(ask(3000) for _ in range(3)) < 0.1


@pytest.mark.skipif(not may_have_namespaces(), reason='no network namespaces here')
def test_nothing_stays_of_a_room_whose_maker_is_killed():
    script = (
        'import time\n'
        'from e4_ros.benchmarks.siblings.lab import open_room\n'
        'with open_room("namespaces") as room:\n'
        '    print(room.robot.pid, room.server.pid, flush=True)\n'
        '    time.sleep(60)\n'
    )
    maker = subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.PIPE, text=True)
    keepers = [int(pid) for pid in maker.stdout.readline().split()]
    assert all(Path('/proc', str(pid)).exists() for pid in keepers)
    maker.kill()
    maker.communicate()
    until_s = time.monotonic() + 20
    while any(Path('/proc', str(pid)).exists() for pid in keepers):
        assert time.monotonic() < until_s
        time.sleep(0.05)


@pytest.mark.parametrize('kind', ['group', 'neighbours'])
def test_a_share_of_a_core_is_a_share(kind):
    spin = [sys.executable, '-c', 'print(\'{"event": "spins"}\', flush=True)\nwhile True: pass']
    try:
        slow = cpu_share(0.2, kind)
        with slow as share, Running(Place(), spin) as running:
            running.wait_for('spins')
            share.add(running.pid)
            before_s, began_s = cpu_s(running.pid), time.monotonic()
            time.sleep(1.5)
            had = (cpu_s(running.pid) - before_s) / (time.monotonic() - began_s)
            assert had < 0.4
            assert '20%' in share.means
    except OSError as error:
        if kind == 'group':
            pytest.skip(f'no control groups here: {error}')
        raise


def test_groups_of_makers_that_are_gone_are_removed():
    try:
        with cpu_share(0.5, 'group'):
            made = next(iter(Path('/sys/fs/cgroup').rglob(f'e4-lab-{os.getpid()}-*')))
    except OSError as error:
        pytest.skip(f'no control groups here: {error}')
    assert not made.exists()
    gone = subprocess.Popen(['true'])
    gone.wait()
    left = made.parent / f'e4-lab-{gone.pid}-1'
    left.mkdir()
    with cpu_share(0.5, 'group'):
        assert not left.exists()


def test_a_process_that_ends_early_says_its_last_words():
    dies = [sys.executable, '-c', 'import sys; sys.exit("no luck today")']
    with Running(Place(), dies) as running, pytest.raises(StartError, match='no luck today'):
        running.wait_for('ready')


def test_what_is_no_link_or_share_is_refused():
    for given in (
        {'rate_bps': 0},
        {'loss': 1.5},
        {'every': 1},
        {'delay_s': -1},
        {'delay_s': math.inf},
    ):
        with pytest.raises(ValueError, match=r'rate|loss|every|delay'):
            LinkShape(**given)
    with pytest.raises(ValueError, match='no share'), cpu_share(0):
        pass
    with pytest.raises(ValueError, match='no room'), open_room('cupboard'):
        pass
    assert str(LinkShape(5e6, 0.01)) == '5 Mbit/s, 1% lost'
    assert str(LinkShape(up=False)) == 'down'
