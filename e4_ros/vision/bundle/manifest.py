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

"""What a bundle holds, as `bundle.json` says it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, model_validator

from e4_ros.vision.clip_network import stop_name
from e4_ros.vision.model import Task
from e4_ros.vision.models.decoders import Decoder
from e4_ros.vision.models.described import check_classes
from e4_ros.vision.models.preprocessing import Preprocessing
from e4_ros.vision.runtime.precision import FP32

FORMAT = 'e4_ros.bundle/1'


class BundleError(ValueError):
    """A folder is no bundle, or not one that can be used; the message says what to do."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra='forbid', defer_build=True)


class FileEntry(_Entry):
    """A file of the bundle.

    Attributes:
        name: name of the file in the bundle's folder.
        sha256: hash of its content.
        bytes: length of its content.
    """

    name: str = Field(pattern=r'^[A-Za-z0-9_][A-Za-z0-9_.-]*$')
    sha256: str = Field(pattern=r'^[0-9a-f]{64}$')
    bytes: NonNegativeInt


class ProgramEntry(_Entry):
    """A part of the network as an ONNX file.

    Attributes:
        name: name of the stage or exit, unique in the bundle.
        file: the ONNX file.
        inputs: shape of each input by its name.
        outputs: shape of each output by its name.
        macs: multiply-accumulates of one run.
        bytes_moved: bytes that one run reads and writes, weights included.
        layers: operations that one run starts one by one.
        labels: the network's label of each class of an exit; empty where it has all of them.
    """

    name: str
    file: FileEntry
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    macs: NonNegativeInt
    bytes_moved: NonNegativeInt
    layers: NonNegativeInt
    labels: tuple[NonNegativeInt, ...] = ()


class StageEntry(ProgramEntry):
    """A stage of the network.

    Attributes:
        reduced: the same stage in fewer bits, by precision, as `e4 precision` has kept it.
    """

    reduced: dict[str, FileEntry] = {}


class ExitEntry(ProgramEntry):
    """An exit behind a stage, head and gate in one.

    Attributes:
        cut: name of the traced node after which the network is cut.
    """

    cut: str


class Trial(_Entry):
    """What came of trying a precision.

    Attributes:
        speedup: how much faster a frame at full depth was than in float32.
        agreement: agreement with float32 on footage that nothing was made from, 0 to 1.
    """

    speedup: NonNegativeFloat
    agreement: NonNegativeFloat


class Calibration(_Entry):
    """What calibration found, for the thresholds as they are.

    Attributes:
        risk: largest mean loss of quality a frame that was certified; None where nothing was.
        confidence: probability with which that, and the audit bounds, hold.
        against: ``teacher`` or ``full``: what loss is measured against.
        precision: precision of the stages in which it holds.
        mean_loss: mean loss on the footage.
        blocks: independent blocks of footage that it rests on.
        audit_bounds: largest mean loss by exit, as audits measure it.
        rates: share of all frames that each exit answered.
    """

    risk: float | None = Field(default=None, gt=0, lt=1)
    confidence: float = Field(default=0.95, gt=0, lt=1)
    against: Literal['teacher', 'full', ''] = ''
    precision: str = FP32
    mean_loss: float | None = None
    blocks: int = 0
    audit_bounds: dict[str, float] = {}
    rates: dict[str, float] | None = None


class Origin(_Entry):
    """Where a bundle comes from.

    Attributes:
        made_by: program and version that wrote it.
        made_at: time in ISO 8601.
        network: hash of the network's weights.
        file: name of the file that the network came in; empty for one of the zoo.
        family: family of detectors that this file was taken for; empty for one of the zoo.
        recognised: sentences on that, and how it was found out.
        notes: what fitting wrote down: settings, sources, marks of the frames.
    """

    made_by: str
    made_at: str
    network: str
    file: str = ''
    family: str = ''
    recognised: tuple[str, ...] = ()
    notes: dict[str, Any] = {}


class ClipWindow(_Entry):
    """What a clip model must know of time.

    Attributes:
        frames: most frames that are looked at of a clip.
        window_s: length of the clips that it learned from, in seconds.
    """

    frames: int = Field(ge=1)
    window_s: float = Field(gt=0, allow_inf_nan=False)


class Manifest(_Entry):
    """All that is said about a bundle.

    Attributes:
        format: `FORMAT`.
        model: name of the network.
        task: ``detect``, ``classify`` or ``clips``.
        class_names: class names by label.
        labels: the network's own label of each class name, rising, where only some of its classes
            are wanted; empty where all are.
        preprocessing: preprocessing of a frame to the network's input.
        decoder: decoding of the network's outputs to detections.
        stages: stages of the network, in order; of a clip model its backbone and its step.
        exits: exits in order of depth; the i-th reads what the i-th stage gives.
        temporal: learnt temporal exit; None where there is none.
        clip: timing of a clip model; None for other tasks.
        thresholds: gate threshold by exit; an exit without one is off.
        calibration: result of the calibration of these thresholds.
        trials: precision → result of its trial.
        costs_s: seconds of each segment, by device and by segment, where they were measured.
        checkpoint: exits as torch modules, for calibration and the reference runtime.
        origin: origin of the bundle.
    """

    format: Literal['e4_ros.bundle/1'] = 'e4_ros.bundle/1'
    model: str
    task: Task
    class_names: tuple[str, ...] = Field(min_length=1)
    labels: tuple[NonNegativeInt, ...] = ()
    preprocessing: Preprocessing
    decoder: Decoder
    stages: tuple[StageEntry, ...] = Field(min_length=1)
    exits: tuple[ExitEntry, ...] = ()
    temporal: ProgramEntry | None = None
    clip: ClipWindow | None = None
    thresholds: dict[str, NonNegativeFloat] = {}
    calibration: Calibration = Field(default_factory=lambda: Calibration())
    trials: dict[str, Trial] = {}
    costs_s: dict[str, dict[str, NonNegativeFloat]] = {}
    checkpoint: FileEntry | None = None
    origin: Origin

    @model_validator(mode='after')
    def _fits_together(self) -> Manifest:
        if (self.clip is not None) != (self.task == 'clips'):
            raise ValueError(
                f'a model of the task {self.task} with{"out" * (self.clip is None)} clip'
            )
        if self.clip is not None and [stage.name for stage in self.stages] != ['backbone', 'step']:
            raise ValueError('the stages of a clip model are backbone and step')
        if len(self.exits) >= len(self.stages):
            raise ValueError(f'{len(self.exits)} exits need more than {len(self.stages)} stages')
        if unknown := sorted(set(self.thresholds) - set(self.exit_names)):
            names = ', '.join(self.exit_names)
            known = f'the exits are {names}' if names else 'no exit was learnt: see `e4 fit`'
            raise ValueError(f'there is a threshold for {", ".join(unknown)}, but {known}')
        check_classes(self.class_names, self.labels, self.decoder)
        return self

    @property
    def exit_names(self) -> list[str]:
        """Every exit that may have a threshold, the cheapest first."""
        if self.clip is not None:
            return [stop_name(frames) for frames in range(1, self.clip.frames)]
        temporal = self.temporal is not None or self.task == 'classify'
        return [*(['temporal'] if temporal else []), *(entry.name for entry in self.exits)]

    @property
    def precisions(self) -> list[str]:
        """Precisions that all stages are there in."""
        kept = [set(stage.reduced) for stage in self.stages]
        return [FP32, *sorted(set.intersection(*kept))]

    @property
    def files(self) -> Iterator[FileEntry]:
        """Every file of the bundle."""
        for stage in self.stages:
            yield stage.file
            yield from stage.reduced.values()
        yield from (entry.file for entry in self.exits)
        if self.temporal is not None:
            yield self.temporal.file
        if self.checkpoint is not None:
            yield self.checkpoint

    @property
    def exits_key(self) -> str:
        """Changes with the network, its exits, their thresholds and their audit bounds."""
        about = {
            'files': [file.sha256 for file in self.files],
            'thresholds': self.thresholds,
            'bounds': self.calibration.audit_bounds,
        }
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]

    def check_single_frames(self) -> None:
        """Refuse a clip model where a network on single frames, with its exits, is wanted.

        Raises:
            BundleError: says what a clip model is for.
        """
        if self.clip is not None:
            raise BundleError(
                f'{self.model} is a clip model: `e4 run` and perception run it, in ONNX Runtime '
                'and fp32. It has no exits to fit or calibrate; `e4 train` makes another'
            )

    def check_promise(self, precision: str) -> None:
        """Refuse to let exits answer in another precision than they were certified in.

        Raises:
            BundleError: says which one that is.
        """
        promised_in = self.calibration.precision
        if self.calibration.risk is not None and precision != promised_in:
            raise BundleError(
                f'what these exits promise was certified in {promised_in}, not in {precision}: run '
                f'`e4 calibrate` with --precision {precision}'
            )

    def with_thresholds(self, thresholds: Mapping[str, float | None]) -> Manifest:
        """The same with other thresholds, set by hand; the promise of a calibration is gone.

        Args:
            thresholds: threshold by exit; None switches an exit off, and one that is left out stays
                as it is.

        Raises:
            BundleError: there is no such exit, or a threshold is negative or not a number.
        """
        changed: dict[str, float | None] = {**self.thresholds, **thresholds}
        calibration = self.calibration.model_copy(
            update={'risk': None, 'mean_loss': None, 'blocks': 0, 'rates': None}
        )
        try:
            return Manifest.model_validate(
                self.model_dump()
                | {
                    'thresholds': {k: v for k, v in changed.items() if v is not None},
                    'calibration': calibration.model_dump(),
                }
            )
        except ValueError as error:
            raise BundleError(f'these thresholds cannot be set: {reason(error)}') from error

    def calibrated(self, thresholds: Mapping[str, float], calibration: Calibration) -> Manifest:
        """The same with what a calibration found."""
        return self.model_copy(update={'thresholds': dict(thresholds), 'calibration': calibration})

    def to_json(self) -> str:
        """The text of `bundle.json`; it ends with a hash of all the rest."""
        about = self.model_dump(mode='json')
        return json.dumps(about | {'digest': digest(about)}, indent=1) + '\n'


def digest(about: Mapping[str, Any]) -> str:
    """Hash of a manifest's content."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def reason(error: ValueError) -> str:
    """What validation found, in one line."""
    errors = getattr(error, 'errors', None)
    if errors is None:
        return str(error)
    first = errors()[0]
    place = '.'.join(map(str, first['loc']))
    return f'{place}: {first["msg"]}' if place else first['msg']
