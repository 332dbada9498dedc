"""Does the network in fewer bits pay here? Made from footage, tried on later footage, kept or not.

Fewer bits are faster on one machine and slower on the next, harmless to one network and ruinous to
another. So nothing is taken for granted: a precision is kept only where it was measured to be
faster and to say the same.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from e4_ros.evaluation.metrics import agreement
from e4_ros.paths import cache_dir
from e4_ros.vision.detections import Detections
from e4_ros.vision.export.onnx_export import ModuleProgram
from e4_ros.vision.export.quantize import write_reduced
from e4_ros.vision.model import VisionModel
from e4_ros.vision.runtime.precision import PrecisionError, reduced_path
from e4_ros.vision.training.feature_extractor import FeatureExtractor

LEAST_FRAMES = 40
_MADE_FROM = 32  # frames, spread over the first two thirds of the footage
_TRIED_ON = 100  # at most, spread over the rest
_LEAST_SPEEDUP = 1.05  # less is not worth another answer

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Trial:
    """What came of one precision.

    Attributes:
        precision: Its name.
        full_ms: fp32, median of a frame at full depth, preparation and decoding included.
        ms: The same of this precision, in turns.
        agreement: With fp32 on frames that nothing was made from: F1, or top-1 for classes.
        refused: Why it is not kept; empty where it is.
    """

    precision: str
    full_ms: float
    ms: float
    agreement: float
    refused: str

    @property
    def speedup(self) -> float:
        """Ratio of the medians."""
        return self.full_ms / self.ms


def try_precision(
    model: VisionModel,
    cuts: Sequence[str],
    precision: str,
    frames: Sequence[np.ndarray],
    least_agreement: float = 0.9,
    threads: int | None = None,
    progress: Progress = lambda phase, done, total: None,
) -> Trial:
    """Make a precision, measure it in turns with fp32, and keep its files only if it pays.

    Args:
        model: The network.
        cuts: Where it is cut into stages; each stage is a file of its own.
        precision: ``fp16`` or ``int8``.
        frames: ``(H, W, 3)`` uint8 RGB of the camera, in order of time.
        least_agreement: With fp32; below it nothing is kept.
        threads: Threads within one operation; None for one per core.
        progress: Called with the phase's name, what is done and how much there is.

    Raises:
        PrecisionError: there are too few frames; says how many it takes.
    """
    check_frames(len(frames))
    later = len(frames) * 2 // 3
    exported: list[Path] = []

    def noted(program: ModuleProgram) -> ModuleProgram:
        exported.append(program.file())
        return program

    plain = FeatureExtractor(model, cuts, threads, noted)
    inputs = _stage_inputs(model, plain, len(cuts), _spread(frames[:later], _MADE_FROM))
    with tempfile.TemporaryDirectory(dir=cache_dir()) as folder:
        made: dict[Path, Path] = {}
        for index, path in enumerate(exported):
            progress(f'making {precision}', index, len(exported))
            made[path] = write_reduced(path, precision, inputs[index], Path(folder))
        progress(f'making {precision}', len(exported), len(exported))
        reduced = FeatureExtractor(model, cuts, threads, lambda stage: _Reduced(stage, made))
        trial = _compare(
            model, precision, (plain, reduced), _spread(frames[later:], _TRIED_ON), least_agreement,
            lambda done, total: progress(f'trying {precision}', done, total),
        )  # fmt: skip
        for path, file in made.items():
            if trial.refused:
                reduced_path(path, precision).unlink(missing_ok=True)
            else:
                file.replace(reduced_path(path, precision))
    return trial


def check_frames(count: int) -> None:
    """Refuse too little footage.

    Raises:
        PrecisionError: says how many frames it takes.
    """
    if count < LEAST_FRAMES:
        raise PrecisionError(
            f'there are {count} frames; it takes at least {LEAST_FRAMES} to see the range of each '
            'layer, and to try the result on others'
        )


class _Reduced:
    """A stage that runs from the file made of it."""

    def __init__(self, stage: ModuleProgram, made: Mapping[Path, Path]):
        self.name, self.inputs, self.outputs = stage.name, stage.inputs, stage.outputs
        self._file = made[stage.file()]

    def onnx(self) -> bytes:
        return self._file.read_bytes()


def _stage_inputs(
    model: VisionModel, probe: FeatureExtractor, cuts: int, frames: Sequence[np.ndarray]
) -> list[list[np.ndarray]]:
    """What each stage sees of the frames."""
    inputs: list[list[np.ndarray]] = [[] for _ in range(cuts + 1)]
    for frame in frames:
        probe.see(frame)
        inputs[0].append(model.preprocess(frame))
        for cut in range(cuts):
            inputs[cut + 1].append(probe.features(cut)[None].astype(np.float32))
    return inputs


def _compare(
    model: VisionModel,
    precision: str,
    probes: tuple[FeatureExtractor, FeatureExtractor],
    frames: Sequence[np.ndarray],
    least_agreement: float,
    progress: Callable[[int, int], None],
) -> Trial:
    """Run both over the frames, in turns; which goes first alternates."""
    answers: tuple[list[Detections], list[Detections]] = ([], [])
    took_s: tuple[list[float], list[float]] = ([], [])
    least = 0.0 if model.task == 'classify' else 0.2  # an unsure class is still the best one
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
    agreed = agreement(model.task, answers[1], answers[0])
    return Trial(precision, full_ms, ms, agreed, _refusal(full_ms / ms, agreed, least_agreement))


def _refusal(speedup: float, agreed: float, least: float) -> str:
    if agreed < least:
        return f'agrees less than {least:g}'
    if speedup < _LEAST_SPEEDUP:
        return 'not faster'
    return ''


def _spread(frames: Sequence[np.ndarray], most: int) -> list[np.ndarray]:
    rows = np.linspace(0, len(frames) - 1, min(most, len(frames))).astype(int)
    return [frames[i] for i in rows]
