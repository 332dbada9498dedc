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

"""What is known about a file before its graph is looked at: wishes, then sidecar, then metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import onnx

from e4_ros.vision.onnx_file.families import Family, family_of
from e4_ros.vision.onnx_file.metadata import Metadata, read_metadata
from e4_ros.vision.onnx_file.names import read_names
from e4_ros.vision.onnx_file.read import OnnxFileError
from e4_ros.vision.onnx_file.sidecar import InputSettings, Sidecar, read_sidecar, sidecar_path

#: What other tasks are called, so that the message says what the file is.
_OTHER_TASKS = {
    'segment': 'a segmentation model (masks of objects)',
    'semantic': 'a segmentation model (a class for each pixel)',
    'pose': 'a pose model (keypoints)',
    'obb': 'a model of oriented boxes',
}


@dataclass(frozen=True)
class Wishes:
    """What somebody asks for who brings a file; empty where he says nothing.

    Attributes:
        family: family of the network.
        names: file with its class names.
        classes: classes that are wanted.
        input_size: height and width of its input, pixels.
    """

    family: str = ''
    names: Path | None = None
    classes: tuple[str, ...] = ()
    input_size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Facts:
    """All that is known about a file but for its graph.

    Attributes:
        family: its family; None where nobody says.
        names: class names by label; empty where nobody says.
        names_from: where they were found.
        classes: classes that are wanted; empty for all.
        input_size: height and width that somebody asks for; None where nobody does.
        input: what is said about how frames look to it.
        metadata: what the file says of itself.
    """

    family: Family | None = None
    names: tuple[str, ...] = ()
    names_from: str = ''
    classes: tuple[str, ...] = ()
    input_size: tuple[int, int] | None = None
    input: InputSettings = field(default_factory=lambda: InputSettings())
    metadata: Metadata = field(default_factory=Metadata)

    @property
    def size_if_open(self) -> tuple[int, int] | None:
        """Height and width for a file that leaves them open."""
        return self.input_size or self.metadata.size


def gather(model: onnx.ModelProto, path: Path, wishes: Wishes | None = None) -> Facts:
    """Put together what is known about a file.

    Args:
        model: the file as it was read.
        path: where it lies; a sidecar lies beside it.
        wishes: what somebody asks for.

    Raises:
        OnnxFileError: a file with names or the sidecar cannot be understood, the family is unknown,
            or the file is for another task than detection or classification.
    """
    wishes = wishes or Wishes()
    beside = sidecar_path(path)
    sidecar = Sidecar() if beside is None else read_sidecar(beside)
    metadata = read_metadata(model)
    check_task(metadata)
    names, names_from = _names(wishes, sidecar, beside, metadata)
    return Facts(
        family=_family(wishes.family or sidecar.family, metadata),
        names=names,
        names_from=names_from,
        classes=wishes.classes or sidecar.classes,
        input_size=wishes.input_size or sidecar.input.size,
        input=sidecar.input,
        metadata=metadata,
    )


def check_task(metadata: Metadata) -> None:
    """Refuse a file whose metadata says that it does something else than name and box objects.

    Raises:
        OnnxFileError: says what it is.
    """
    task = metadata.task
    if task and task not in ('detect', 'classify'):
        what = _OTHER_TASKS.get(task, f'a model for the task {task!r}')
        raise OnnxFileError(
            f'by its metadata it is {what}; only detectors and classifiers can be run here: export '
            'one with the task "detect"'
        )


def _family(said: str, metadata: Metadata) -> Family | None:
    """The family that somebody says, or that the exporter wrote down."""
    if said:
        return family_of(said)
    if metadata.task == 'classify':
        return family_of('classifier')
    if not metadata.family:
        return None
    name = metadata.family
    if name == 'deimv2' and metadata.raw.get('size', '').lower() in ('s', 'm', 'l', 'x'):
        name = 'deimv2_dinov3'
    try:
        return family_of(name)
    except OnnxFileError as error:
        raise OnnxFileError(
            f'by its metadata it is of the family {metadata.family!r}, which nobody here knows; if '
            f'its answer is like that of another, say so with --family ({error})'
        ) from None


def _names(
    wishes: Wishes, sidecar: Sidecar, beside: Path | None, metadata: Metadata
) -> tuple[tuple[str, ...], str]:
    if wishes.names is not None:
        return read_names(wishes.names), str(wishes.names)
    if sidecar.names:
        return sidecar.names, str(beside)
    return metadata.names, "the file's metadata" if metadata.names else ''
