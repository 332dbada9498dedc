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

"""Certificates of an authority of our own, good ones and one that has expired."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from e4_ros.offload.exchange import TlsFiles

_DAY = datetime.timedelta(days=1)
SERVER, ROBOT, EXPIRED = 'server', 'robot', 'expired'
NAMES = (SERVER, ROBOT, EXPIRED)


def make_certificates(folder: Path, addresses: Sequence[str]) -> dict[str, TlsFiles]:
    """Make an authority, and a certificate by it for each of `NAMES`.

    Args:
        folder: where the files go.
        addresses: IP addresses that they are good for.

    Raises:
        OSError: the package cryptography is not installed.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise OSError(
            'certificates need the package cryptography: `pip install cryptography`'
        ) from (error)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    _write(folder, 'authority', authority_key, None, authority_key, _DAY, addresses)
    made = {}
    for name in NAMES:
        key = ec.generate_private_key(ec.SECP256R1())
        end = -_DAY / 24 if name == EXPIRED else _DAY
        _write(folder, name, key, 'authority', authority_key, end, addresses)
        files = (folder / file for file in ('authority.pem', f'{name}.pem', f'{name}.key'))
        made[name] = TlsFiles(*files)
    return made


def _write(
    folder: Path,
    name: str,
    key: Any,
    by: str | None,
    signer: Any,
    end: datetime.timedelta,
    addresses: Sequence[str],
) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.datetime.now(datetime.timezone.utc)

    def called(who: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who)])

    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    names = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(called(name))
        .issuer_name(called(by or name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * _DAY)
        .not_valid_after(now + end)
        .add_extension(x509.BasicConstraints(by is None, None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    if by is not None:
        certificate = certificate.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    signed = certificate.sign(signer, hashes.SHA256())
    (folder / f'{name}.pem').write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / f'{name}.key').write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
