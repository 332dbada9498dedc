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

"""`e4 edge-server` as a process of its own: it offers, is killed, comes back, and ends cleanly."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from typer.testing import CliRunner

from e4_ros.commands.app import app
from e4_ros.offload.client import EdgeClient
from e4_ros.offload.cuts import best_cuts, offload_cuts
from e4_ros.offload.exchange import EdgeConfig, Offers, Request
from e4_ros.offload.identity import network_hash
from e4_ros.offload.request import FEATURES, TAIL, Offload
from e4_ros.vision.bundle import shipped_bundle
from e4_ros.vision.networks.from_bundle import reopened

pytest.importorskip('zenoh')
PATIENT_S = 120.0


def until(what):
    end_s = time.monotonic() + PATIENT_S
    while not (found := what()):
        assert time.monotonic() < end_s, 'it did not happen'
        time.sleep(0.01)
    return found


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def command(*options: str) -> list[str]:
    return [sys.executable, '-m', 'e4_ros.cli', 'edge-server', *options]


@pytest.fixture
def start():
    """Starts servers, and ends those that still run."""
    started: list[subprocess.Popen] = []

    def begin(port: int, *more: str) -> tuple[subprocess.Popen, dict]:
        options = ['--listen', f'tcp/127.0.0.1:{port}', '--services', 'tail', '--threads', '1']
        process = subprocess.Popen(
            command(*options, '--json-status', *more), stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, json.loads(process.stdout.readline())

    yield begin
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_killed_server_comes_back_as_another_and_a_told_one_ends_cleanly(start):
    model = reopened(shipped_bundle('pedestrian_ssdlite'))
    cut = best_cuts(offload_cuts(model.network))[-1]
    offers = Offers(network_hash(model, model.network.fingerprint), model.class_names)
    offload = Offload(TAIL, FEATURES, cut.cut, deadline_s=60.0)
    tensors = {name: np.zeros(shape, np.float32) for name, shape in cut.tensors.items()}
    port = free_port()
    first, ready = start(port)
    assert ready['state'] == 'ready'
    with EdgeClient(EdgeConfig(f'tcp/127.0.0.1:{port}'), offers) as client:

        def answered() -> str:
            until(lambda: not client.refusal(offload))
            asked = Request(1.0, offload, time.monotonic(), (480, 640, 3), tensors=tensors)
            assert client.send(asked)
            return until(client.take)[0].status

        assert answered() == 'answered'
        first.send_signal(signal.SIGKILL)
        first.wait()
        until(lambda: not client.link.up)
        assert client.refusal(offload)
        second, again = start(port)
        assert again['incarnation'] != ready['incarnation']
        assert answered() == 'answered'
        assert client.facts()['incarnation'] == again['incarnation']
    second.send_signal(signal.SIGTERM)
    out, _ = second.communicate(timeout=PATIENT_S)
    assert second.returncode == 0
    last = json.loads(out.splitlines()[-1])
    assert (last['state'], last['answered']) == ('ended', 1)


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (['--listen', 'udp/1.2.3.4:1'], 'no endpoint'),
        (['--listen', 'tls/127.0.0.1:1'], 'needs the files'),
        (['--listen', 'tls/127.0.0.1:1', '--tls-ca', 'here'], '--tls-certificate and --tls-key'),
        (['--services', 'magic'], 'magic'),
        (['--cuts', 'nowhere', '--services', 'tail'], 'nowhere'),
        (['--name', 'a*'], 'name'),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(options, said, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'here').touch()
    done = CliRunner().invoke(app, ['edge-server', *options])
    assert done.exit_code == 2
    assert said in capfd.readouterr().err + done.output


def test_a_port_that_is_taken_is_said(start):
    port = free_port()
    start(port)
    done = subprocess.run(
        command('--listen', f'tcp/127.0.0.1:{port}', '--services', 'network'),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f'127.0.0.1:{port}' in done.stderr
    assert 'Traceback' not in done.stderr


def test_cuts_are_listed_with_what_they_send():
    done = CliRunner().invoke(app, ['edge-server', '--list-cuts'])
    [best] = [line for line in done.output.splitlines() if line.startswith(' *') and '23.1' in line]
    assert '64×19×19' in best
