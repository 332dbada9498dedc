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

"""Trial of a reduced precision: made from footage, measured on later footage, kept if it pays.

Fewer bits are faster on one machine and slower on the next, harmless to one network and ruinous to
another. So a precision is kept only where it was measured to be faster and to agree with fp32.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from e4_ros.evaluation.metrics import agreement
from e4_ros.vision.bundle import Bundle, load_bundle
from e4_ros.vision.bundle.folder import entry_of, save_changed
from e4_ros.vision.bundle.manifest import Trial as KeptTrial
from e4_ros.vision.bundle.program import StoredProgram
from e4_ros.vision.detections import Detections
from e4_ros.vision.export.quantize import reduce_model
from e4_ros.vision.inference.stage_chain import StageChain
from e4_ros.vision.model import Task
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime
from e4_ros.vision.runtime.precision import PrecisionError
from e4_ros.vision.staged_network import Part, StagedNetwork

LEAST_FRAMES = 40
_MADE_FROM = 32  # frames, spread over the first two thirds of the footage
_TRIED_ON = 100  # at most, spread over the rest
_LEAST_SPEEDUP = 1.05  # less is not worth different detections

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PrecisionTrial:
    """Result of the trial of one precision.

    Attributes:
        precision: Name of the precision.
        full_ms: Median latency of a frame at full depth in fp32, in milliseconds, preprocessing and
            decoding included.
        ms: The same in this precision, measured in turns with fp32.
        agreement: Agreement with fp32 on frames that were not used for calibration: F1, or the
            share of equal top-1 classes; None where neither found a box.
        refused: Why the precision is not kept; empty if it is.
    """

    precision: str
    full_ms: float
    ms: float
    agreement: float | None
    refused: str

    @property
    def speedup(self) -> float:
        """Ratio of the medians."""
        return self.full_ms / self.ms


def try_precision(
    folder: Path,
    precision: str,
    frames: Sequence[np.ndarray],
    least_agreement: float = 0.9,
    threads: int | None = None,
    progress: Progress = lambda phase, done, total: None,
    out: Path | None = None,
) -> PrecisionTrial:
    """Make a precision of a bundle, measure it in turns with fp32, and keep it only if it pays.

    Args:
        folder: Folder of the bundle.
        precision: ``fp16`` or ``int8``.
        frames: Frames ``(H, W, 3)`` uint8 RGB of the camera, in order of time.
        least_agreement: Agreement with fp32 below which nothing is kept, 0 to 1.
        threads: Number of threads within one operation; None for one per core.
        progress: Function that receives the phase, the number of steps done, and of all steps.
        out: Folder of the bundle to write; None to change the bundle in place.

    Raises:
        PrecisionError: there are too few frames; the message says how many it takes.
        BundleError: the bundle cannot be used.
    """
    check_frames(len(frames))
    later = len(frames) * 2 // 3
    bundle = load_bundle(folder)
    network, runtime = bundle.network, OnnxRuntime(threads)
    plain = StageChain(network.model, network.stages, runtime)
    stages = reduced_stages(network, precision, frames[:later], progress)
    made = [stage.program.onnx() for stage in stages]
    reduced = StageChain(network.model, stages, runtime)
    trial = _compare(
        network.model.task, precision, (plain, reduced), _spread(frames[later:], _TRIED_ON),
        least_agreement, lambda done, total: progress(f'trying {precision}', done, total),
    )  # fmt: skip
    _keep(bundle, trial, [] if trial.refused else made, out)
    return trial


def reduced_stages(
    network: StagedNetwork,
    precision: str,
    frames: Sequence[np.ndarray],
    progress: Progress = lambda phase, done, total: None,
) -> list[Part]:
    """The stages of a network in fewer bits, whether they pay or not.

    Args:
        network: Network in stages.
        precision: ``fp16`` or ``int8``.
        frames: Frames ``(H, W, 3)`` uint8 RGB that show the range of each layer; some are taken.
        progress: Function that receives the phase, the number of steps done, and of all steps.
    """
    plain = StageChain(network.model, network.stages, OnnxRuntime(1))
    inputs = _stage_inputs(plain, _spread(frames, _MADE_FROM))
    made: list[Part] = []
    for index, stage in enumerate(network.stages):
        progress(f'making {precision}', index, len(network.stages))
        model = reduce_model(stage.program.onnx(), precision, inputs[index])
        made.append(_reduced(stage, model))
    progress(f'making {precision}', len(made), len(made))
    return made


def check_frames(count: int) -> None:
    """Refuse too little footage.

    Raises:
        PrecisionError: there are too few frames; the message says how many it takes.
    """
    if count < LEAST_FRAMES:
        raise PrecisionError(
            f'there are {count} frames; it takes at least {LEAST_FRAMES} to see the range of each '
            'layer, and to try the result on others'
        )


def _reduced(stage: Part, model: bytes) -> Part:
    program = stage.program
    return Part(StoredProgram(program.name, program.inputs, program.outputs, model), stage.work)


def _keep(bundle: Bundle, trial: PrecisionTrial, made: Sequence[bytes], out: Path | None) -> None:
    """Put the reduced stages into the bundle; without any, remove those that were there."""
    files: dict[str, bytes] = {}
    stages = []
    for index, stage in enumerate(bundle.manifest.stages):
        kept = {name: file for name, file in stage.reduced.items() if name != trial.precision}
        if made:
            entry = entry_of(f'{stage.name}-{trial.precision}', '.onnx', made[index])
            kept[trial.precision], files[entry.name] = entry, made[index]
        stages.append(stage.model_copy(update={'reduced': kept}))
    trials = {name: t for name, t in bundle.manifest.trials.items() if name != trial.precision}
    if made and trial.agreement is not None:
        trials[trial.precision] = KeptTrial(speedup=trial.speedup, agreement=trial.agreement)
    manifest = bundle.manifest.model_copy(update={'stages': tuple(stages), 'trials': trials})
    save_changed(bundle.path, manifest, files, out)


def _stage_inputs(
    chain: StageChain, frames: Sequence[np.ndarray]
) -> list[list[dict[str, np.ndarray]]]:
    """What each stage reads for each of the frames, by name."""
    inputs: list[list[dict[str, np.ndarray]]] = [[] for _ in chain.inputs]
    for frame in frames:
        chain.see(frame)
        for seen, read in zip(inputs, chain.inputs, strict=True):
            seen.append({name: buffer.read().copy() for name, buffer in read.items()})
    return inputs


def _compare(
    task: Task,
    precision: str,
    probes: tuple[StageChain, StageChain],
    frames: Sequence[np.ndarray],
    least_agreement: float,
    progress: Callable[[int, int], None],
) -> PrecisionTrial:
    """Run both precisions over the frames in turns; which goes first alternates."""
    answers: tuple[list[Detections], list[Detections]] = ([], [])
    took_s: tuple[list[float], list[float]] = ([], [])
    least = 0.0 if task == 'classify' else 0.2  # an unsure class is still the best one
    for probe in probes:
        probe.see(frames[0])
    for number, frame in enumerate(frames):
        for which in (0, 1) if number % 2 else (1, 0):
            start_s = time.perf_counter()
            probes[which].see(frame)
            answers[which].append(probes[which].detections(frame.shape, least))
            took_s[which].append(time.perf_counter() - start_s)
        progress(number + 1, len(frames))
    full_ms, ms = (1e3 * float(np.median(seconds)) for seconds in took_s)
    agreed = agreement(task, answers[1], answers[0])
    return PrecisionTrial(
        precision, full_ms, ms, agreed, _refusal(full_ms / ms, agreed, least_agreement)
    )


def _refusal(speedup: float, agreed: float | None, least: float) -> str:
    if agreed is None:
        return 'nothing found to compare'
    if agreed < least:
        return f'agrees less than {least:g}'
    if speedup < _LEAST_SPEEDUP:
        return 'not faster'
    return ''


def _spread(frames: Sequence[np.ndarray], most: int) -> list[np.ndarray]:
    rows = np.linspace(0, len(frames) - 1, min(most, len(frames))).astype(int)
    return [frames[i] for i in rows]
