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

"""What is wrong with TLS, in words: the transport itself only says that nobody is there."""

from __future__ import annotations

import socket
import ssl

from e4_ros.offload.exchange import TlsFiles

_NOT_TLS = 'what listens there does not speak TLS; nothing falls back to plain TCP'

_HINTS = {
    'WRONG_VERSION_NUMBER': _NOT_TLS,
    'RECORD_LAYER_FAILURE': _NOT_TLS,
    'CERTIFICATE_REQUIRED': 'it wants a certificate of this robot',
    'CERTIFICATE_EXPIRED': 'the certificate of this robot has expired',
    'UNKNOWN_CA': 'another authority than it trusts has signed the certificate of this robot',
}


def context(tls: TlsFiles, server: bool = False) -> ssl.SSLContext:
    """The files of one side, read and held against each other.

    Raises:
        OSError: one of them is no certificate or key, or the key is that of another certificate.
    """
    purpose = ssl.Purpose.CLIENT_AUTH if server else ssl.Purpose.SERVER_AUTH
    try:
        made = ssl.create_default_context(purpose, cafile=str(tls.ca))
    except (ssl.SSLError, OSError) as error:
        raise OSError(f'{tls.ca} holds no certificate of an authority: {_brief(error)}') from None
    try:
        made.load_cert_chain(str(tls.certificate), str(tls.key))
    except (ssl.SSLError, OSError) as error:
        raise OSError(
            f'{tls.certificate} and {tls.key} are no certificate and its key: {_brief(error)}'
        ) from None
    return made


def handshake_problem(endpoint: str, tls: TlsFiles, timeout_s: float = 0.5) -> str:
    """Why no encrypted connection to an endpoint comes about, in a sentence; empty if one does.

    Args:
        endpoint: ``tls/host:port``.
        tls: the robot's own files.
        timeout_s: seconds for each of two steps.
    """
    host, _, port = endpoint.split('/', 1)[1].rpartition(':')
    host = host.strip('[]')
    shaken = False
    try:
        with (
            socket.create_connection((host, int(port)), timeout_s) as raw,
            _shaken_hands(context(tls), raw, host) as safe,
        ):
            shaken = True
            safe.settimeout(timeout_s)
            safe.recv(1)  # a server says only now that it does not like our certificate
    except ssl.SSLCertVerificationError as error:
        return f'its certificate is refused: {error.verify_message}'
    except ssl.SSLError as error:
        reason = error.reason or str(error)
        hints = [hint for name, hint in _HINTS.items() if name in reason]
        return hints[0] if hints else f'TLS fails: {reason}'
    except _NoHandsError:
        return f'no handshake comes about; perhaps {_NOT_TLS}'
    except TimeoutError:
        return '' if shaken else 'the connection is not taken in time'
    except OSError as error:
        return f'{error.strerror or error}'
    return ''


class _NoHandsError(Exception):
    """Something took the connection and then said nothing."""


def _shaken_hands(made: ssl.SSLContext, raw: socket.socket, host: str) -> ssl.SSLSocket:
    try:
        return made.wrap_socket(raw, server_hostname=host)
    except TimeoutError:
        raise _NoHandsError from None


def _brief(error: Exception) -> str:
    return getattr(error, 'reason', None) or getattr(error, 'strerror', None) or str(error)
