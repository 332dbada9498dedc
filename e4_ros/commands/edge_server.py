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

"""`e4 edge-server`: compute for robots that ask."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from e4_ros import console, extras
from e4_ros.commands import options
from e4_ros.commands.edge_server_text import cut_table, figures_line, service_table

if TYPE_CHECKING:
    from e4_ros.offload.exchange import TlsFiles
    from e4_ros.offload.server.core import EdgeServer, ServerConfig
    from e4_ros.offload.server.service import Service

_EVERY_S = 1.0
_TLS = 'Encryption (tls/ endpoints)'
_MORE = 'Bigger models, a live teacher, and where networks on pictures run'

_File = Optional[Path]  # noqa: UP045


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('edge-server')(edge_server)


def edge_server(
    model: options.Model = options.DEFAULTS['model'],
    listen: Annotated[
        list[str],
        typer.Option(help='Endpoint: tcp/HOST:PORT, or tls/HOST:PORT; may be given again.'),
    ] = ['tcp/0.0.0.0:7447'],  # noqa: B006
    name: Annotated[
        str, typer.Option(help='Name that robots ask for; two servers at a router differ in it.')
    ] = 'e4',
    services: Annotated[
        str, typer.Option(help='What is offered, with commas: tail, network, teacher.')
    ] = 'tail,network',
    cuts: Annotated[
        str,
        typer.Option(
            help='Cuts whose tails are offered, with commas; `best` for those worth to choose '
            'from and those of the bundle’s own exits, `all` for every one.'
        ),
    ] = 'best',
    list_cuts: Annotated[
        bool, typer.Option('--list-cuts', help='Show where the network can be cut, and end.')
    ] = False,
    bigger: Annotated[
        str,
        typer.Option(
            help='Another detector to offer as `model`: a bundle, an ONNX file or a name.',
            rich_help_panel=_MORE,
        ),
    ] = '',
    teacher: Annotated[
        bool,
        typer.Option(
            '--teacher',
            help='Offer the offline teacher’s look, too: the frame and overlapping tiles of it.',
            rich_help_panel=_MORE,
        ),
    ] = False,
    sessions: Annotated[
        int,
        typer.Option(
            min=1,
            help='Copies of a network side by side here; the teacher’s tiles are spread over them.',
            rich_help_panel=_MORE,
        ),
    ] = 1,
    batch: Annotated[
        int,
        typer.Option(
            min=1,
            max=8,
            help='Pictures that a copy takes at once; on a CPU more than one gains nothing.',
            rich_help_panel=_MORE,
        ),
    ] = 1,
    on: Annotated[
        str,
        typer.Option(
            help='Where networks on pictures run: here, or in replicas on a Ray cluster (ray); '
            'here, too, while that is gone. Tails always run here.',
            rich_help_panel=_MORE,
        ),
    ] = 'here',
    replicas: Annotated[
        int, typer.Option(min=1, help='Replicas on Ray, a core each.', rich_help_panel=_MORE)
    ] = 2,
    ray_address: Annotated[
        str,
        typer.Option(
            help='A running cluster, such as 10.0.0.5:6379 or auto; empty starts one here.',
            rich_help_panel=_MORE,
        ),
    ] = '',
    triton: Annotated[
        str,
        typer.Option(
            metavar='HOST:PORT',
            help='gRPC port of a Triton server that has the networks on pictures.',
            rich_help_panel=_MORE,
        ),
    ] = '',
    write_triton: Annotated[
        _File,
        typer.Option(
            metavar='DIR',
            help='Write the networks on pictures as a model repository for Triton, and end.',
            rich_help_panel=_MORE,
        ),
    ] = None,
    threads: Annotated[int, options.parameter('threads')] = 0,
    workers: Annotated[
        int, typer.Option(min=1, help='Requests that are computed at the same time.')
    ] = 1,
    device: options.Device = options.DEFAULTS['device'],
    max_mb: Annotated[float, typer.Option(min=0.01, help='Largest request, megabytes.')] = 8.0,
    max_waiting: Annotated[
        int, typer.Option(min=1, help='Requests that may wait; further ones are refused.')
    ] = 64,
    tls_ca: Annotated[
        _File,
        typer.Option(
            help='Authority that has signed the robots’ certificates.', rich_help_panel=_TLS
        ),
    ] = None,
    tls_certificate: Annotated[
        _File, typer.Option(help='Certificate of this server.', rich_help_panel=_TLS)
    ] = None,
    tls_key: Annotated[
        _File, typer.Option(help='Private key of that certificate.', rich_help_panel=_TLS)
    ] = None,
    json_status: Annotated[
        bool,
        typer.Option(
            '--json-status', help='Print a line of JSON when it listens, each second, at the end.'
        ),
    ] = False,
) -> None:
    """Compute for robots: the same network from a cut on or from a picture, or something better.

    \b
        e4 edge-server                                 # the shipped network, port 7447
        e4 edge-server --model street --list-cuts      # where robots may cut it, and what they send
        e4 edge-server --model street --listen tls/0.0.0.0:7447 \\
            --tls-ca ca.pem --tls-certificate server.pem --tls-key server.key
        e4 edge-server --services tail --teacher --sessions 4          # better answers, 4 cores
        e4 edge-server --bigger yolox_l.onnx --on ray --replicas 8 --ray-address auto
        e4 edge-server --bigger yolox_l.onnx --write-triton models     # for tritonserver
        e4 edge-server --bigger yolox_l.onnx --triton gpu.local:8001

    A robot with the same bundle asks it with `edge_server:=tcp/HOST:7447`. Answers go to the
    earliest deadline first, and what nobody waits for any more is not computed. A robot with
    another network is told so and goes on alone. Plain TCP is open to everybody who reaches the
    port: beyond a network of your own use tls/, where both sides show a certificate
    (docs/offload.md). Ctrl-C or SIGTERM ends it.
    """  # noqa: D301
    from e4_ros.offload.server.bundle_services import cuts_of_bundle, own_services
    from e4_ros.offload.server.core import EdgeServer, ServerConfig
    from e4_ros.offload.server.engine_services import EngineOptions, picture_services
    from e4_ros.perception.bundle_cache import open_bundle
    from e4_ros.vision.bundle import load_bundle
    from e4_ros.vision.networks.from_bundle import reopened
    from e4_ros.vision.runtime.devices import on_device
    from e4_ros.vision.runtime.factory import candidates, make_runtime

    folder = open_bundle(model)
    if list_cuts:
        network = reopened(folder)
        every = cuts_of_bundle(folder, network, ['all'])
        worth = {cut.cut for cut in cuts_of_bundle(folder, network, ['best'])}
        console.stdout().print(cut_table(every, worth))
        return
    if write_triton is not None:
        _write_models([folder, *([open_bundle(bigger)] if bigger else [])], write_triton, sessions)
        return
    extras.require('edge', '`e4 edge-server`')
    tls = tls_files(tls_ca, tls_certificate, tls_key)
    most_bytes = int(max_mb * (1 << 20))
    config = ServerConfig(tuple(listen), name, tls, most_bytes, max_waiting, workers)

    if triton and on != 'here':
        raise typer.BadParameter('give one of --on ray and --triton', param_hint='--triton')
    wanted = _words(services)
    elsewhere = bool(triton) or on != 'here' or sessions > 1 or batch > 1

    def offer(name: str) -> tuple[dict[str, Service], Callable[[], None]]:
        runtime = make_runtime('onnxruntime', threads or None, name)
        own = [e for e in wanted if e != 'teacher' and not (e == 'network' and elsewhere)]
        found = own_services(folder, runtime, own, _words(cuts))
        more, close = picture_services(
            load_bundle(folder).network,
            EngineOptions(
                on='triton' if triton else on,
                address=triton or ray_address,
                replicas=replicas,
                sessions=sessions,
                threads=threads or (None if sessions == 1 else 1),
                device=name,
                batch=batch,
            ),
            network='network' in wanted and elsewhere,
            bigger=load_bundle(open_bundle(bigger)).network if bigger else None,
            teacher=teacher or 'teacher' in wanted,
        )
        return found | more, close

    offered, close = on_device(device, offer, candidates('onnxruntime'))
    try:
        if not offered:
            raise typer.BadParameter('nothing is offered', param_hint='--services')
        _serve(EdgeServer(offered, config), config, offered, json_status)
    finally:
        close()


def _write_models(folders: list[Path], repository: Path, instances: int) -> None:
    from e4_ros.offload.engines.triton_repository import write_model
    from e4_ros.vision.bundle import load_bundle

    for folder in folders:
        written = write_model(load_bundle(folder).network, repository, instances)
        console.note(f'wrote {written}')
    console.note(f'tritonserver --model-repository {repository} loads them')


def tls_files(ca: Path | None, certificate: Path | None, key: Path | None) -> TlsFiles | None:
    """The three files of TLS; None where there is none of them.

    Raises:
        ValueError: some are given and some are not.
        OSError: one of them cannot be used.
    """
    from e4_ros.offload.exchange import TlsFiles

    given = (ca, certificate, key)
    if ca is None and certificate is None and key is None:
        return None
    if ca is None or certificate is None or key is None:
        names = ('--tls-ca', '--tls-certificate', '--tls-key')
        lack = [name for name, file in zip(names, given, strict=True) if file is None]
        raise ValueError(f'{" and ".join(lack)} is missing: both sides show a certificate')
    return TlsFiles(ca, certificate, key)


def _serve(
    server: EdgeServer, config: ServerConfig, offered: dict[str, Service], json_status: bool
) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with server:
        where = ', '.join(config.listen)
        if json_status:
            _json('ready', server, listen=list(config.listen), name=config.name)
        else:
            console.stdout().print(service_table(offered))
            console.note(f'{config.name} listens at {where}; Ctrl-C ends it')
            if config.tls is None:
                console.warn('plain TCP: whoever reaches this port can ask, and can listen in')
        with console.STDERR.status('') as line:
            while not stop.wait(_EVERY_S):
                if json_status:
                    _json('running', server)
                line.update(figures_line(server.metrics.snapshot(), server.waiting))
    if json_status:
        _json('ended', server)
    else:
        console.note(f'ended: {figures_line(server.metrics.snapshot(), 0)}')


def _json(state: str, server: EdgeServer, **more: Any) -> None:
    about = {'state': state, 'incarnation': server.incarnation, 'waiting': server.waiting}
    print(json.dumps(about | more | server.metrics.snapshot()), flush=True)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(',') if word.strip()]
