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

"""Mutual TLS: who is let in, who is not, and that nothing falls back to plain TCP."""

from __future__ import annotations

import datetime
import ipaddress
import re
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from edge_parts import ASKED, OFFERS, Notes, answer, connected, free_port, picture_request, until

from e4_ros.offload.exchange import EdgeConfig, TlsFiles
from e4_ros.offload.request import NETWORK
from e4_ros.offload.server.core import ServerConfig
from e4_ros.offload.tls_check import handshake_problem
from e4_ros.vision.bundle import shipped_bundle

_DAY = datetime.timedelta(days=1)
_NOW = datetime.datetime.now(datetime.timezone.utc)
_USES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


def _certificate(folder, name, by=None, end=_DAY):
    """A certificate and its key: an authority's own where nobody else signs it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = (subject, key) if by is None else by
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOW - 2 * _DAY)
        .not_valid_after(_NOW + end)
        .add_extension(x509.BasicConstraints(by is None, None), critical=True)
    )
    if by is not None:
        address = x509.IPAddress(ipaddress.ip_address('127.0.0.1'))
        names = x509.SubjectAlternativeName([x509.DNSName('localhost'), address])
        made = made.add_extension(names, critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage(_USES), critical=False)
    signed = made.sign(signer, hashes.SHA256())
    (folder / f'{name}.pem').write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / f'{name}.key').write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return subject, key


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Files of somebody, by his name and that of the authority that he trusts."""
    folder = tmp_path_factory.mktemp('tls')
    ours, theirs = (_certificate(folder, name) for name in ('ca', 'other_ca'))
    for name in ('server', 'robot'):
        _certificate(folder, name, ours)
        _certificate(folder, f'old_{name}', ours, -_DAY / 24)
        _certificate(folder, f'strange_{name}', theirs)

    def of(name: str, ca: str = 'ca') -> TlsFiles:
        return TlsFiles(*(folder / file for file in (f'{ca}.pem', f'{name}.pem', f'{name}.key')))

    return of


def test_both_sides_show_a_certificate_and_talk(files, serve, ask):
    _, endpoint = serve({NETWORK: Notes()}, tls=files('server'))
    client = ask(endpoint, OFFERS, tls=files('robot'))
    connected(client, ASKED)
    assert client.send(picture_request())
    assert answer(client).status == 'answered'


@pytest.mark.parametrize(
    ('server', 'robot', 'authority', 'said'),
    [
        ('server', 'old_robot', 'ca', 'of this robot has expired'),
        ('old_server', 'robot', 'ca', 'certificate has expired'),
        ('server', 'strange_robot', 'ca', 'another authority'),
        ('strange_server', 'robot', 'ca', 'issuer'),
        ('server', 'robot', 'other_ca', 'issuer'),
    ],
)
def test_who_is_not_to_be_trusted_is_refused_and_told(
    files, serve, ask, server, robot, authority, said
):
    _, endpoint = serve({NETWORK: Notes()}, tls=files(server))
    client = ask(endpoint, OFFERS, tls=files(robot, authority))
    until(lambda: said in client.refusal(ASKED))
    assert not client.link.up
    assert client.counts['sent'] == 0


def test_a_connection_ends_when_its_certificate_does(files, serve, ask, tmp_path):
    ours = _certificate(tmp_path, 'ca')
    soon = datetime.datetime.now(datetime.timezone.utc) - _NOW + datetime.timedelta(seconds=5)
    _certificate(tmp_path, 'server', ours)
    _certificate(tmp_path, 'robot', ours, soon)

    def of(name):
        return TlsFiles(*(tmp_path / file for file in ('ca.pem', f'{name}.pem', f'{name}.key')))

    _, endpoint = serve({NETWORK: Notes()}, tls=of('server'))
    client = ask(endpoint, OFFERS, tls=of('robot'))
    connected(client, ASKED)
    assert client.send(picture_request())
    assert answer(client).status == 'answered'
    until(lambda: client.refusal(ASKED))
    until(lambda: 'of this robot has expired' in client.refusal(ASKED))
    assert not client.link.up


def test_no_certificate_no_answer(files, serve, tmp_path):
    """Not by Zenoh alone: whoever opens a connection by hand is asked for a certificate, too."""
    import socket
    import ssl

    _, endpoint = serve({NETWORK: Notes()}, tls=files('server'))
    host, port = endpoint.removeprefix('tls/').split(':')
    anybody = ssl.create_default_context(cafile=str(files('server').ca))
    with (
        socket.create_connection((host, int(port)), 30) as raw,
        anybody.wrap_socket(raw, server_hostname=host) as safe,
        pytest.raises(ssl.SSLError, match=r'(?i)certificate.required'),
    ):
        safe.recv(1)


@pytest.mark.parametrize('encrypted', ['server', 'robot'])
def test_nothing_falls_back_to_plain_tcp(files, serve, ask, encrypted):
    port = free_port()
    server_tls = files('server') if encrypted == 'server' else None
    robot_tls = files('robot') if encrypted == 'robot' else None
    server, _ = serve({NETWORK: Notes()}, port, tls=server_tls)
    client = ask(f'{"tls" if robot_tls else "tcp"}/127.0.0.1:{port}', OFFERS, tls=robot_tls)
    if robot_tls:
        until(lambda: 'does not speak TLS' in client.refusal(ASKED))
    else:
        time.sleep(2.0)
    assert client.refusal(ASKED)
    assert not client.link.up
    assert server.metrics.snapshot()['robots'] == 0


def test_a_sound_handshake_has_no_problem_and_a_closed_port_has(files, serve):
    _, endpoint = serve({NETWORK: Notes()}, tls=files('server'))
    assert handshake_problem(endpoint, files('robot'), 1.0) == ''
    assert 'refused' in handshake_problem(f'tls/127.0.0.1:{free_port()}', files('robot'), 1.0)


@pytest.mark.parametrize(
    ('endpoints', 'with_files', 'said'),
    [
        (('tls/h:1', 'tcp/h:1'), True, 'cannot be mixed'),
        (('tls/h:1',), False, 'needs the files'),
        (('tcp/h:1',), True, 'plain'),
        (('udp/h:1',), False, 'no endpoint'),
        (('tcp/h',), False, 'no endpoint'),
        (('tcp/h:99999',), False, '65535'),
        (('tls/h:1#enable_mtls=false',), True, 'no endpoint'),
        ((), False, 'needs an endpoint'),
    ],
)
def test_endpoints_that_do_not_fit_are_refused_on_both_sides(files, endpoints, with_files, said):
    tls = files('robot') if with_files else None
    for config in (EdgeConfig, ServerConfig):
        with pytest.raises(ValueError, match=said):
            config(endpoints, tls=tls)


def test_files_that_are_none_are_said(files, serve, tmp_path):
    good = files('server')
    with pytest.raises(FileNotFoundError, match='for TLS'):
        TlsFiles(tmp_path / 'nowhere', good.certificate, good.key)
    (tmp_path / 'text').write_text('hello')
    for tls, said in (
        (TlsFiles(tmp_path / 'text', good.certificate, good.key), 'no certificate of an authority'),
        (TlsFiles(good.ca, tmp_path / 'text', good.key), 'no certificate and its key'),
        (TlsFiles(good.ca, good.certificate, files('robot').key), 'no certificate and its key'),
    ):
        with pytest.raises(OSError, match=said):
            serve({NETWORK: Notes()}, tls=tls)


def test_the_recipe_of_the_documentation_works(tmp_path, serve, ask):
    page = (Path(__file__).parents[3] / 'docs' / 'offload.md').read_text()
    [recipe] = re.findall(r'```bash\n(SERVER_IP=.*?)```', page, re.S)
    recipe = recipe.replace('192.168.1.7', '127.0.0.1')
    subprocess.run(['bash', '-euc', recipe], cwd=tmp_path, check=True, capture_output=True)

    def of(name):
        return TlsFiles(*(tmp_path / file for file in ('ca.pem', f'{name}.pem', f'{name}.key')))

    _, endpoint = serve({NETWORK: Notes()}, tls=of('server'))
    client = ask(endpoint, OFFERS, tls=of('robot'))
    connected(client, ASKED)
    assert client.send(picture_request())
    assert answer(client).status == 'answered'


def test_the_example_of_the_documentation_works(services, serve, files):
    page = (Path(__file__).parents[3] / 'docs' / 'offload.md').read_text()
    [example] = re.findall(r'```python\n(.*?)```', page, re.S)
    _, endpoint = serve(services, tls=files('server'))
    example = example.replace('tls/192.168.1.7:7447', endpoint)
    for name, file in zip(('ca', 'robot', 'robot'), ('pem', 'pem', 'key'), strict=True):
        whole = f'{name}.{file}'
        example = example.replace(f"'{whole}'", f"'{files('robot').ca.parent / whole}'")
    seen = []
    example = example.replace('print(', 'note(').replace('deadline_s=0.1', 'deadline_s=30.0')

    def frames():
        request, end_s = picture_request(), time.monotonic() + 60
        while not any(each[1] == 'answered' for each in seen):
            assert time.monotonic() < end_s
            time.sleep(0.01)
            yield time.monotonic(), request.frame

    room = {'folder': shipped_bundle('pedestrian_ssdlite'), 'frames': frames()}
    exec(example, room | {'note': lambda *said: seen.append(said)})
    assert seen
