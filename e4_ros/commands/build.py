"""`e4 build`: everything that a robot needs to run a model, in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e4_ros import console, extras


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('build')(build)


def build(
    model: Annotated[str, typer.Argument(help='A network of the zoo.')],
    out: Annotated[Path, typer.Option(help='The bundle to write, a folder.')],
    exits: Annotated[
        Path | None, typer.Option(help='Exits, a .safetensors file; without it: none.')
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            help='Also load it on a device, which compares every part with the CPU and, for '
            'tensorrt, compiles the engines that perception will find in the cache; what each '
            'segment takes is measured there and written into the bundle.'
        ),
    ] = '',
    size: Annotated[
        int | None, typer.Option(min=16, help="Side of a detector's square input, pixels.")
    ] = None,
) -> None:
    """Write the bundle of a model: what perception, `e4 run` and `e4 profile` load without torch.

    \b
        e4 build torchvision/mobilenet_v3_small --out mobilenet
        e4 build pedestrian_ssdlite --size 220 --device cpu --out small

    Building needs torch (the extra `train`); running what was built does not. `e4 fit` writes a
    bundle with exits, `e4 calibrate` sets its thresholds, `e4 precision` adds stages in fewer bits.
    """  # noqa: D301
    extras.require('train', '`e4 build`')
    if device and device != 'auto':
        from e4_ros.vision.runtime.devices import find

        find(device)  # before minutes of work
    from e4_ros.commands.bundle_text import table_of
    from e4_ros.vision.exit_checkpoint import load
    from e4_ros.vision.export.build import build_bundle
    from e4_ros.vision.zoo import load_model

    network = load_model(model, input_size=None if size is None else (size, size))
    checkpoint = None if exits is None else load(exits, network)
    manifest = build_bundle(network, out, checkpoint)
    if device:
        from e4_ros.perception.segment_costs import measure_costs

        manifest = measure_costs(out, device)
    console.stdout().print(table_of(manifest))
    typer.echo(f'wrote {out}')
    if device:
        typer.echo(f'runs on {", ".join(manifest.costs_s)}')
