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

"""`e4 calibrate`: how boldly may the exits answer, with a promise."""

from __future__ import annotations

from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from e4_ros import console
from e4_ros.commands import options

if TYPE_CHECKING:
    from e4_ros.vision.calibration.calibrate import Calibrated

_CORRELATED = 0.25


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command('calibrate')(calibrate)


def calibrate(
    sources: Annotated[
        list[str], typer.Argument(help='Footage of the camera that `e4 fit` has not seen.')
    ],
    model: options.Model = 'bundle',
    out: Annotated[
        Path | None, typer.Option(help='Bundle to write. [default: that one, in place]')
    ] = None,
    risk: Annotated[
        float, typer.Option(help='Mean loss a frame that is fine, 0 to 1: of F1, or of classes.')
    ] = 0.05,
    confidence: Annotated[float, typer.Option(help='Probability that this holds.')] = 0.95,
    against: Annotated[
        str, typer.Option(help='teacher: judged by the offline teacher; full: by the full network.')
    ] = 'teacher',
    block: Annotated[
        float, typer.Option(min=0.01, help='Seconds in a block; half as many lie between blocks.')
    ] = 1.0,
    precision: options.Precision = options.DEFAULTS['precision'],
    skip: Annotated[int, typer.Option(min=0, help='Leave out the first frames of each.')] = 0,
    frames: options.Frames = 0,
) -> None:
    """Set the thresholds so that early answers cost no more than you allow.

    \b
        e4 calibrate wednesday.mcap --model street
        e4 calibrate wednesday.mcap thursday.mp4 --risk 0.1 --confidence 0.9

    Learn-then-Test: thresholds are lowered step by step along a path that was fixed beforehand,
    until the loss can no longer be certified on blocks of the footage in time order. That nothing
    can be certified is a normal outcome: the exits are then off. A risk of 0.05 with a confidence
    of 0.95 needs 59 blocks, a minute and a half, on which early answers lose nothing at all;
    several minutes are better.
    """  # noqa: D301
    from e4_ros.evaluation.sources import open_source
    from e4_ros.perception.bundle_cache import open_bundle
    from e4_ros.vision.bundle import find_bundle, load_bundle
    from e4_ros.vision.bundle.folder import destination, save_changed
    from e4_ros.vision.calibration.calibrate import Promise, check_exits, check_footage
    from e4_ros.vision.calibration.calibrate import calibrate as calibrate_exits
    from e4_ros.vision.onnx_file import is_onnx_file
    from e4_ros.vision.teacher.offline_teacher import OfflineTeacher
    from e4_ros.vision.training.holdout import seen_share

    if against not in ('teacher', 'full'):
        raise typer.BadParameter('teacher or full', param_hint='--against')

    found = open_bundle(model) if is_onnx_file(model) else find_bundle(model) or Path(model)
    bundle = load_bundle(found, precision)
    destination(bundle.path, out)
    network, manifest = bundle.network, bundle.manifest
    check_exits(network)
    clips = [list(islice(open_source(s), skip, skip + frames or None)) for s in sources]
    shown = [frame for clip in clips for _, frame in clip]
    seen = seen_share(shown, manifest.origin.notes.get('frames', '')) if shown else 0.0
    if seen:
        console.warn(
            f'{seen:.0%} of these frames are among those the exits were fitted to. What they '
            'learned they get right: thresholds from such footage promise too much'
        )
    by_teacher = against == 'teacher' and network.model.task == 'detect'
    promise = Promise(risk, confidence, not by_teacher, block, block / 2)
    check_footage(clips, promise)
    with console.Phases() as phases:
        reference, looks = [], []
        if by_teacher:
            teacher = OfflineTeacher(network)
            for source, clip in zip(sources, clips, strict=True):
                told = partial(phases, f'teacher {source}', total=len(clip))
                reference += teacher.pseudo_label(clip, told)
                looks += [teacher.look(frame) for _, frame in clip]  # kept since a moment ago
        walked = partial(phases, 'thresholds')
        result = calibrate_exits(
            network, clips, reference, promise, looks or None, walked, precision=precision
        )
    changed = manifest.calibrated(result.thresholds, result.calibration)
    _tell(result, save_changed(bundle.path, changed, {}, out))


def _tell(result: Calibrated, saved: Path) -> None:
    found, certificate = result.calibration, result.certificate
    what = 'F1' if found.against == 'teacher' else 'agreement with the full network'
    if result.correlation > _CORRELATED:
        console.warn(
            f'neighbouring blocks resemble each other (correlation {result.correlation:.2f}), so '
            'there is less in this footage than their number says. Longer blocks (--block) and '
            'more footage make the promise sounder'
        )
    if not result.thresholds:
        lost = certificate.means[-1]
        typer.echo(
            f'nothing can be certified at a risk of {found.risk:g} on {certificate.blocks} '
            f'blocks of footage: every exit is off, and {saved} answers like the full network. '
            f'Even at their most cautious, early answers lost {lost:.3f} of {what} here. More '
            'footage, more footage in `e4 fit`, or a higher risk may change that'
        )
        return
    if not result.early_share:
        typer.echo(
            f'certified, but to no avail: even at the boldest thresholds no exit trusts itself on '
            f'any of these frames, so {saved} answers like the full network. Fit the exits to more '
            'footage like this'
        )
        return
    typer.echo(
        f'certified: with {found.confidence:.0%} confidence early answers lose at most '
        f'{found.risk:g} of {what} on footage like this. They lost {found.mean_loss:.3f} '
        f'here, and {result.early_share:.0%} of the frames were answered early; thresholds saved '
        f'in {saved}'
    )
