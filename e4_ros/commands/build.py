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
    size: Annotated[
        int | None, typer.Option(min=16, help="Side of a detector's square input, pixels.")
    ] = None,
) -> None:
    """Write the bundle of a model: what perception, `e4 run` and `e4 profile` load without torch.

    \b
        e4 build torchvision/mobilenet_v3_small --out mobilenet
        e4 build pedestrian_ssdlite --size 220 --out small

    Building needs torch (the extra `train`); running what was built does not. `e4 fit` writes a
    bundle with exits, `e4 calibrate` sets its thresholds, `e4 precision` adds stages in fewer bits.
    """  # noqa: D301
    extras.require('train', '`e4 build`')
    from e4_ros.commands.bundle_text import table_of
    from e4_ros.vision.exit_checkpoint import load
    from e4_ros.vision.export.build import build_bundle
    from e4_ros.vision.models import load_model

    network = load_model(model, input_size=None if size is None else (size, size))
    checkpoint = None if exits is None else load(exits, network)
    manifest = build_bundle(network, out, checkpoint)
    console.stdout().print(table_of(manifest))
    typer.echo(f'wrote {out}')
