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

"""`e4 bundle`: look into a bundle, and change its thresholds; neither needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from e4_ros import console

if TYPE_CHECKING:
    from e4_ros.vision.bundle import Manifest


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help='Look into a bundle, and change its thresholds.', no_args_is_help=True)
    group.command('show')(show)
    group.command('set')(change)
    app.add_typer(group, name='bundle')


def show(
    bundle: Annotated[str, typer.Argument(help='A bundle that ships, or a folder.')],
) -> None:
    """Check a bundle whole, and say what it holds.

    \b
        e4 bundle show pedestrian_ssdlite
    """  # noqa: D301
    from e4_ros.commands.bundle_text import table_of
    from e4_ros.vision.bundle.folder import read_file

    folder, manifest = _open(bundle)
    for entry in manifest.files:
        read_file(folder, entry)
    console.stdout().print(table_of(manifest))


def change(
    bundle: Annotated[str, typer.Argument(help='A bundle that ships, or a folder.')],
    threshold: Annotated[
        list[str],
        typer.Option(help='EXIT=NUMBER, or EXIT=off; may be repeated.', metavar='EXIT=NUMBER'),
    ],
    out: Annotated[
        Path | None, typer.Option(help='Bundle to write. [default: that one, in place]')
    ] = None,
) -> None:
    """Set thresholds by hand.

    \b
        e4 bundle set street --threshold exit1=0.7 --threshold temporal=off
        e4 bundle set street --threshold temporal=0.9 --out careful

    What `e4 calibrate` promised held for its own thresholds: the promise is taken out. The bounds
    of its audits stay.
    """  # noqa: D301
    from e4_ros.commands.bundle_text import table_of
    from e4_ros.vision.bundle.folder import save_changed

    folder, manifest = _open(bundle)
    changed = manifest.with_thresholds(dict(map(_threshold, threshold)))
    saved = save_changed(folder, changed, {}, out)
    console.stdout().print(table_of(changed))
    if manifest.calibration.risk is not None:
        typer.echo('the promise of `e4 calibrate` is gone: it held for the thresholds before')
    typer.echo(f'wrote {saved}')


def _open(bundle: str) -> tuple[Path, Manifest]:
    from e4_ros.vision.bundle import BundleError, find_bundle, read_manifest

    folder = find_bundle(bundle)
    if folder is None:
        raise BundleError(f'{bundle} is neither a bundle that ships nor a folder')
    return folder, read_manifest(folder)


def _threshold(text: str) -> tuple[str, float | None]:
    name, _, number = text.partition('=')
    try:
        return name, None if number == 'off' else float(number)
    except ValueError:
        raise ValueError(f'{text!r} is not EXIT=NUMBER, like exit1=0.7, or EXIT=off') from None
