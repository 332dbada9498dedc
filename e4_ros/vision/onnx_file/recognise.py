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

"""What an ONNX file holds: family, decoder, preprocessing, class names; or exactly what is missing.

Wishes come first, then the sidecar, the metadata, and last what the graph itself shows: names,
number and shapes of its outputs, of what they are put together, and what their numbers are like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from e4_ros.vision.model import Task
from e4_ros.vision.models.decoders import AnyDecoder
from e4_ros.vision.models.preprocessing import AnyPreprocessing
from e4_ros.vision.onnx_file.baked import baked
from e4_ros.vision.onnx_file.class_head import read_classes
from e4_ros.vision.onnx_file.class_names import named
from e4_ros.vision.onnx_file.detr_head import read_detr
from e4_ros.vision.onnx_file.facts import Facts
from e4_ros.vision.onnx_file.families import FAMILIES
from e4_ros.vision.onnx_file.graph import Graph, listed
from e4_ros.vision.onnx_file.grid_head import read_grid
from e4_ros.vision.onnx_file.head import Head
from e4_ros.vision.onnx_file.maps_head import read_maps
from e4_ros.vision.onnx_file.pair_head import read_pair
from e4_ros.vision.onnx_file.probe import frames, run
from e4_ros.vision.onnx_file.read import OnnxFileError
from e4_ros.vision.onnx_file.rows_head import read_rows

_READERS = (read_classes, read_maps, read_grid, read_detr, read_pair, read_rows)


@dataclass(frozen=True)
class Recognised:
    """A file, understood.

    Attributes:
        family: name of its family, as ``--family`` takes it.
        task: ``detect`` or ``classify``.
        model: the prepared model, with what was put behind it.
        outputs: the tensor of the model that is each of the decoder's outputs.
        decoder: what turns the outputs into detections.
        preprocessing: what turns a frame into the input.
        class_names: names of the classes that are wanted.
        labels: the network's own label of each class name, rising; empty where all are wanted.
        notes: sentences on what was recognised, and how.
    """

    family: str
    task: Task
    model: onnx.ModelProto
    outputs: Mapping[str, str]
    decoder: AnyDecoder
    preprocessing: AnyPreprocessing
    class_names: tuple[str, ...]
    labels: tuple[int, ...]
    notes: tuple[str, ...]


def recognise(model: onnx.ModelProto, facts: Facts | None = None) -> Recognised:
    """Understand a prepared model.

    Args:
        model: as `prepare` gives it: one image ``(1, 3, H, W)`` float32 of a fixed size.
        facts: what is known about the file but for its graph, as `gather` puts it together.

    Raises:
        OnnxFileError: it is nothing that is known here, or something about it must be said; the
            message says what, and how.
    """
    facts = facts or Facts()
    graph = Graph(model)
    head = _read(graph, facts)
    look = head.look or head.family.look
    inside = baked(graph)
    if inside is not None:
        look = inside.into(look)
    if facts.metadata.centred is not None:
        look = replace(look, centred=facts.metadata.centred)
    look = look.changed(facts.input)
    _check_sure(head, facts)
    class_names, labels, about_names = named(head, facts)
    preprocessing = look.preprocessing(graph.size)
    _check_answer(head, preprocessing)
    title = head.family.title
    size = '×'.join(map(str, graph.size))
    notes = [f'{title}: {head.said}', f'input {size} (H×W), {look.words()}', about_names]
    notes += [*head.notes, *facts.metadata.problems]
    if inside is not None:
        notes.append('it normalises its image itself')
    return Recognised(
        family=head.family.name,
        task=head.task,
        model=head.model,
        outputs=head.outputs,
        decoder=head.decoder,
        preprocessing=preprocessing,
        class_names=class_names,
        labels=labels,
        notes=tuple(note for note in notes if note),
    )


def _read(graph: Graph, facts: Facts) -> Head:
    for reader in _READERS:
        if (head := reader(graph, facts)) is not None:
            return head
    said = f' as {facts.family.title}' if facts.family else ''
    raise OnnxFileError(
        f'its outputs cannot be read{said}: {listed(graph)}, for an input of '
        f'{graph.size[0]}×{graph.size[1]}. If it is a detector of a family that is known here, say '
        f'which with --family or in the sidecar (family:); there are {", ".join(FAMILIES)}. '
        'Export it with its boxes decoded and without suppression, if its exporter offers that'
    )


def _check_sure(head: Head, facts: Facts) -> None:
    """Ask for what about the input cannot be known."""
    said = facts.input
    complete = None not in (said.layout, said.colour, said.mean, said.std)
    alike = [each.name for each in FAMILIES.values() if each.head in ('pair', 'rows', 'yolo')]
    if not head.unsure or facts.family is not None or complete:
        return
    raise OnnxFileError(
        f'{head.said}. How frames must look to it cannot be known: {head.unsure}. Say the family '
        f'with --family ({", ".join(alike)}), or write a sidecar beside it with input: '
        '{layout: letterbox or stretch, colour: rgb or bgr, mean: .., std: ..} in pixel values'
    )


def _check_answer(head: Head, preprocessing: AnyPreprocessing) -> None:
    """Decode what the network says to made-up frames: it must be sound, whatever it is.

    Raises:
        OnnxFileError: it is not; the file is refused before a robot acts on it.
    """
    names = list(head.outputs.values())
    decode = head.decoder.for_input(preprocessing.size)
    answers = run(head.model, names, preprocessing)
    for frame, answer in zip(frames(preprocessing.size), answers, strict=True):
        outputs = {key: answer[name] for key, name in head.outputs.items()}
        try:
            found = decode(outputs, preprocessing.place(frame.shape), 0.1)
        except ValueError as error:
            raise OnnxFileError(f'{head.said}, but it cannot be decoded so: {error}') from error
        sound: Sequence[bool] = (
            bool(np.isfinite(found.boxes).all()),
            bool((found.scores <= 1.001).all()),
            bool((found.labels >= 0).all()),
        )
        if not all(sound):
            raise OnnxFileError(
                f'{head.said}, but read so its answer makes no sense (scores up to '
                f'{float(found.scores.max(initial=0)):.3g}): say the family with --family'
            )
