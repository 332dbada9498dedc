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

"""`e4 bench siblings --part sent`: bytes of what is sent, and F1 of the answer to it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from e4_ros import console
from e4_ros.benchmarks.exits.streams import Stream, places
from e4_ros.evaluation.metrics.agreement import agreement
from e4_ros.evaluation.metrics.counts import count
from e4_ros.offload import pictures
from e4_ros.offload.codec import pack, unpack
from e4_ros.offload.cuts import OffloadCut, best_cuts, offload_cuts
from e4_ros.offload.engines import LocalEngine
from e4_ros.offload.payloads import Payload, PayloadTable
from e4_ros.offload.request import FEATURES, FRAME, REGION
from e4_ros.offload.server.teacher_service import TeacherService
from e4_ros.vision.bundle.bundle import shipped_bundle
from e4_ros.vision.detections import Detections
from e4_ros.vision.inference.closer import Attention
from e4_ros.vision.inference.stage_chain import StageChain
from e4_ros.vision.networks.from_bundle import reopened
from e4_ros.vision.networks.trainable import TrainableModel
from e4_ros.vision.runtime.onnx_runtime import OnnxRuntime
from e4_ros.vision.tiles import Tile, merge, tiles_of
from e4_ros.vision.tracking.tracks import Tracks

MODEL = 'pedestrian_ssdlite'
QUALITIES = (30, 50, 70, 80, 90, 95)
BITS = (8, 4)
LOOK_QUALITIES = (30, 70)
"""Of the frames that the live teacher is asked about."""
_SCORE = 0.5  # from which a detection counts, here and in the table of F1 by people
_FRAMES, _QUICK_FRAMES = 30, 3
_OF = 300  # frames of a stream that these are spread over


def candidate_cuts(model: TrainableModel) -> list[OffloadCut]:
    """Cuts that a server offers tails for, and of each size that these have the last one."""
    every = offload_cuts(model.network)
    offered = best_cuts(every)
    sizes = {cut.values for cut in offered}
    last = {cut.values: cut for cut in every if cut.values in sizes and len(cut.tensors) == 1}
    chosen = {cut.cut: cut for cut in (*offered, *last.values())}
    return sorted(chosen.values(), key=lambda cut: cut.share)


def measure(quick: bool = False) -> dict[str, Any]:
    """Every way of sending on every stream: bytes, F1, seconds to encode.

    Args:
        quick: three frames of `bikes`, and two cuts.

    Returns:
        Tables, see `PayloadTable`, the whole network's own F1 by people, and what was missing.
    """
    footage = os.environ.get('E4_FOOTAGE')
    found, missing = places(Path(footage) if footage and not quick else None, _OF)
    chosen = [place for place in found if not place.perturbed and place.name != 'moving window']
    chosen = chosen[-1:] if quick else chosen
    bench = _Bench(reopened(shipped_bundle(MODEL)), quick)
    tables, full, looks, began_s = [], [], [], time.monotonic()
    for place in chosen:
        console.note(f'{place.name}: {len(bench.cuts)} cuts, {len(QUALITIES)} qualities')
        stream = place.open()
        table, people = bench.stream(stream)
        tables.append(table.to_json())
        full.append({'stream': place.name, 'people': None if math.isnan(people) else people})
        looks += bench.looks(stream)
    return {
        'tables': tables,
        'full': full,
        'teacher': looks,
        'missing': missing,
        'took_s': round(time.monotonic() - began_s, 1),
    }


def show(found: dict[str, Any]) -> None:
    """Print the ways that no other beats in bytes and F1, for each stream."""
    from rich.table import Table

    for about in found['tables']:
        table = PayloadTable.from_json(about)
        shown = Table(title=f'{table.stream}: what is sent, {table.frames} frames')
        for name in ('way', 'kB', 'F1', 'F1 by people', 'encode ms', 'cost before'):
            shown.add_column(name, justify='left' if name == 'way' else 'right')
        front = table.front((FEATURES, FRAME))
        for way in sorted(table.ways, key=lambda way: way.bytes):
            shown.add_row(
                f'{way.name}{" *" if way in front else ""}',
                f'{way.bytes / 1e3:.1f}',
                _figure(way.f1),
                _figure(way.people),
                f'{1e3 * way.encode_s:.2f}',
                f'{100 * way.share:.0f} %',
            )
        console.stdout().print(shown)
    for look in found['teacher']:
        console.stdout().print(
            f'{look["stream"]}: the live teacher ({look["passes"]} passes) on frames at q'
            f'{look["quality"]}, {look["bytes"] / 1e3:.1f} kB: F1 by people {look["people"]:.3f}; '
            f'one pass on the robot {look["one_pass"]:.3f} ({look["frames"]} frames)'
        )
    console.stdout().print(
        '* beaten by no other in both bytes and F1. F1 is against the whole network on the '
        'picture as it is; for a region against the network on that region.'
    )


def _figure(value: float) -> str:
    return '–' if math.isnan(value) else f'{value:.3f}'


@dataclass
class _Way:
    """What one way of sending gave, frame by frame."""

    form: str
    cut: str = ''
    bits: int = 0
    quality: int = 0
    share: float = 0.0
    sizes: list[int] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)
    answers: list[Detections] = field(default_factory=list)
    against: list[Detections] = field(default_factory=list)
    said: list[Detections] = field(default_factory=list)  # the robot's answer with it

    def payload(self, people: Callable[[Sequence[Detections]], float]) -> Payload:
        found = agreement('detect', self.answers, self.against)
        return Payload(
            self.form,
            self.cut,
            self.bits,
            self.quality,
            float(np.mean(self.sizes)),
            math.nan if found is None else round(found, 4),
            round(people(self.said or self.answers), 4),
            float(np.median(self.took_s)),
            round(self.share, 4),
        )


class _Bench:
    """The network whole, cut everywhere, and its tails."""

    def __init__(self, model: TrainableModel, quick: bool) -> None:
        self._model, self._runtime = model, OnnxRuntime(1)
        self._frames = _QUICK_FRAMES if quick else _FRAMES
        cuts = candidate_cuts(model)
        self.cuts = cuts[-2:] if quick else cuts
        self._whole = StageChain(model, model.network.stages(), self._runtime)
        names = [cut.cut for cut in self.cuts]
        self._chain = StageChain(model, model.network.stages(names), self._runtime)
        network, self._apart = model.staged(), 3 if quick else 2
        self._teacher = TeacherService(network, LocalEngine(network))
        self._tails = [self._tail(name) for name in names]

    def stream(self, stream: Stream) -> tuple[PayloadTable, float]:
        """The table of a stream, and the whole network's F1 by people there."""
        indices = self._indices(stream)
        ways = list(self._ways())
        attention, tracks = Attention(0.3), Tracks.none()
        attention.reset(stream.clip[0][1].shape)
        whole = []
        for index in indices:
            frame = stream.clip[index][1]
            full = self._see(frame)
            whole.append(full)
            region = attention.choose(tracks) or Tile(0, 0, *frame.shape[1::-1])
            self._features([way for way in ways if way.form == FEATURES], frame, full)
            for way in ways:
                if way.form == FRAME:
                    self._picture(way, frame, full)
                elif way.form == REGION:
                    self._region(way, frame, region, full)
            tracks = Tracks.born(full, np.arange(1, len(full) + 1))

        def people(answers: Sequence[Detections]) -> float:
            return _by_people(answers, stream, indices)

        table = PayloadTable(
            self._model.network.fingerprint,
            stream.name,
            len(indices),
            tuple(way.payload(people) for way in ways),
        )
        return table, people(whole)

    def looks(self, stream: Stream) -> list[dict[str, Any]]:
        """F1 by people of the live teacher on what is sent; nothing where nobody drew labels."""
        if stream.labels is None:
            return []
        indices, rows = self._indices(stream)[:: self._apart], []
        for quality in LOOK_QUALITIES:
            way, answers = _Way(FRAME, quality=quality), []
            for index in indices:
                frame = stream.clip[index][1]
                answers.append(self._teacher.look(self._sent(way, frame), math.inf))
            rows.append(
                {
                    'stream': stream.name,
                    'quality': quality,
                    'bytes': float(np.mean(way.sizes)),
                    'people': _by_people(answers, stream, indices),
                    'one_pass': _by_people(
                        [self._see(stream.clip[index][1]) for index in indices], stream, indices
                    ),
                    'passes': len(tiles_of(stream.clip[0][1].shape)),
                    'frames': len(indices),
                }
            )
        return rows

    def _indices(self, stream: Stream) -> list[int]:
        spread = np.linspace(0, len(stream.clip) - 1, self._frames)
        return sorted(set(spread.round().astype(int).tolist()))

    def _ways(self) -> Iterator[_Way]:
        for cut in self.cuts:
            for bits in BITS:
                yield _Way(FEATURES, cut.cut, bits, share=cut.share)
        for form in (FRAME, REGION):
            for quality in QUALITIES:
                yield _Way(form, quality=quality)

    def _tail(self, cut: str) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
        program = self._model.network.stages([cut])[1].program
        inputs = {name: self._runtime.buffer(shape) for name, shape in program.inputs.items()}
        compiled = self._runtime.compile(program, inputs)

        def run(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            for name, values in tensors.items():
                inputs[name].write(values)
            compiled.run()
            return {name: buffer.read() for name, buffer in compiled.outputs.items()}

        return run

    def _see(self, frame: np.ndarray) -> Detections:
        self._whole.see(frame)
        return self._whole.detections(frame.shape)

    def _features(self, ways: Sequence[_Way], frame: np.ndarray, full: Detections) -> None:
        self._chain.see(frame)
        for place, (cut, tail) in enumerate(zip(self.cuts, self._tails, strict=True)):
            taken = {
                name: buffer.read().copy() for name, buffer in self._chain.inputs[place + 1].items()
            }
            shapes = {name: values.shape for name, values in taken.items()}
            for way in (way for way in ways if way.cut == cut.cut):
                begin_s = time.perf_counter()
                entries, packed = pack(taken, way.bits)
                way.took_s.append(time.perf_counter() - begin_s)
                way.sizes.append(len(packed))
                outputs = tail(unpack(entries, shapes, packed))
                way.answers.append(self._model.decode(outputs, frame.shape, 0.2))
                way.against.append(full)

    def _picture(self, way: _Way, frame: np.ndarray, full: Detections) -> None:
        way.answers.append(self._see(self._sent(way, frame)))
        way.against.append(full)

    def _region(self, way: _Way, frame: np.ndarray, region: Tile, full: Detections) -> None:
        part = region.crop(frame)
        way.against.append(self._see(part))
        found = self._see(self._sent(way, part))
        way.answers.append(found)
        whole = Tile(0, 0, frame.shape[1], frame.shape[0])
        way.said.append(merge([full, found], [whole, region], frame.shape))

    def _sent(self, way: _Way, picture: np.ndarray) -> np.ndarray:
        begin_s = time.perf_counter()
        jpeg = pictures.encode(picture, way.quality)
        way.took_s.append(time.perf_counter() - begin_s)
        way.sizes.append(len(jpeg))
        return pictures.decode(jpeg, picture.shape[:2])


def _by_people(answers: Sequence[Detections], stream: Stream, indices: Sequence[int]) -> float:
    """F1 against labels that people drew; NaN where there are none for these frames."""
    if stream.labels is None:
        return math.nan
    found = count(answers, stream.labels, _SCORE, frames=list(indices)).f1
    return math.nan if found is None else found
