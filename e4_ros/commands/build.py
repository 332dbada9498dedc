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

"""`e4 build`: everything that a robot needs to run a model, in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from e4_ros import console, extras
from e4_ros.commands.own_weights import Weights, load_own, size_of

if TYPE_CHECKING:
    from e4_ros.vision.networks.trainable import TrainableModel


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('build')(build)


def build(
    model: Annotated[str, typer.Argument(help='An ONNX file, or a network by its name.')],
    out: Annotated[Path, typer.Option(help='The bundle to write, a folder.')],
    names: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help='Names of its classes: a file with one a line, data.yaml, or COCO’s JSON. For a '
            'file that has none, or for your own --weights.'
        ),
    ] = None,
    classes: Annotated[
        str, typer.Option(help='Only these of its classes, with commas: person,car.')
    ] = '',
    family: Annotated[
        str,
        typer.Option(help='What the file is (yolox, yolov8, rtdetr …), where it cannot be known.'),
    ] = '',
    input_size: Annotated[
        str,
        typer.Option(
            '--input',
            metavar='SIZE',
            help='Height and width of its input in pixels, 480x640, or one number for both: where '
            'the file leaves them open, and for detectors by name.',
        ),
    ] = '',
    weights: Weights = None,
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
) -> None:
    """Write the bundle of a model: what perception, `e4 run` and `e4 profile` load.

    \b
        e4 build best.onnx --out ours
        e4 build best.onnx --names coco.txt --classes person,car --out ours
        e4 build torchvision/mobilenet_v3_small --out mobilenet
        e4 build pedestrian_ssdlite --input 220 --device cpu --out small

    An ONNX file is read for what it is, and what was recognised is printed; what cannot be known
    is asked for. docs/models.md says how to export one. A network by its name needs torch (the
    extra `train`); a file does not, and running what was built never does. `e4 fit` writes a bundle
    with exits, `e4 calibrate` sets its thresholds, `e4 precision` adds stages in fewer bits.
    """  # noqa: D301
    if device and device != 'auto':
        from e4_ros.vision.runtime.devices import find

        find(device)  # before minutes of work
    from e4_ros.commands.bundle_text import table_of
    from e4_ros.vision.networks.to_bundle import build_plain
    from e4_ros.vision.onnx_file import is_onnx_file

    size = size_of(input_size)
    wanted = tuple(filter(None, map(str.strip, classes.split(','))))
    if classes and not wanted:
        raise typer.BadParameter('no class is left', param_hint='--classes')
    with console.STDERR.status(f'reading {model}'):
        if is_onnx_file(model):
            _refuse(model, weights=weights)
            network = _from_file(Path(model), family, names, wanted, size)
        else:
            _refuse(model, family=family)
            network = _by_name(model, weights, names, wanted, size)
    if exits is None:
        manifest = build_plain(network, out)
    else:
        extras.require('train', '`e4 build --exits`')
        from e4_ros.vision.exit_checkpoint import load
        from e4_ros.vision.export.build import build_bundle

        manifest = build_bundle(network, out, load(exits, network))
    if device:
        from e4_ros.perception.segment_costs import measure_costs

        manifest = measure_costs(out, device)
    console.stdout().print(table_of(manifest))
    typer.echo(f'wrote {out}')
    if device:
        typer.echo(f'runs on {", ".join(manifest.costs_s)}')
    typer.echo(f'next: e4 run FOOTAGE --model {out}')


def _from_file(
    path: Path,
    family: str,
    names: Path | None,
    classes: tuple[str, ...],
    size: tuple[int, int] | None,
) -> TrainableModel:
    """The model of an ONNX file; what was recognised is printed."""
    from e4_ros.vision.onnx_file.facts import Wishes
    from e4_ros.vision.onnx_file.load import model_of, understand

    found = understand(path.expanduser(), Wishes(family, names, classes, size))
    return model_of(found, path.expanduser())


def _by_name(
    name: str,
    weights: Path | None,
    names: Path | None,
    classes: tuple[str, ...],
    size: tuple[int, int] | None,
) -> TrainableModel:
    """A network of the zoo, with its own weights or with somebody's."""
    extras.require('train', f'`e4 build {name}`, a network by its name,')
    network = load_own(name, weights, names, size)
    return network.narrowed(classes) if classes else network


def _refuse(model: str, **options: object) -> None:
    """Refuse options that mean nothing for a model.

    Raises:
        BadParameter: says which.
    """
    for name, value in options.items():
        if value:
            why = {
                'weights': f'{model} is an ONNX file, which has its weights in it',
                'family': f'only an ONNX file is to be recognised; {model} is a name',
            }
            raise typer.BadParameter(why[name], param_hint=f'--{name}')
