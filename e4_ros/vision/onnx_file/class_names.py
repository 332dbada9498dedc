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

"""The names of a network's classes: given ones that fit, COCO's where there are none."""

from __future__ import annotations

from e4_ros.paths import weights_dir
from e4_ros.vision.onnx_file.class_head import IMAGENET_CLASSES
from e4_ros.vision.onnx_file.coco import COCO, COCO_NUMBERS
from e4_ros.vision.onnx_file.facts import Facts
from e4_ros.vision.onnx_file.head import Head
from e4_ros.vision.onnx_file.names import narrow
from e4_ros.vision.onnx_file.read import OnnxFileError

_GIVE = 'give them with --names FILE (one name a line, or data.yaml), or as names: in the sidecar'


def named(head: Head, facts: Facts) -> tuple[tuple[str, ...], tuple[int, ...], str]:
    """Names of the classes that are wanted, their labels, and a sentence about them.

    Labels are empty where every label of the network has a name.

    Raises:
        OnnxFileError: there are no names, too few or too many, or a wanted class is unknown.
    """
    names, labels, note = _given(head, facts) if facts.names else _known(head, facts)
    if facts.classes:
        kept = narrow(names, facts.classes)
        note += f'; of these only {", ".join(names[place] for place in kept)}'
        labels = tuple(labels[place] if labels else place for place in kept)
        names = tuple(names[place] for place in kept)
        if labels == tuple(range(head.classes or -1)):
            labels = ()
    return names, labels, note


def _given(head: Head, facts: Facts) -> tuple[tuple[str, ...], tuple[int, ...], str]:
    names, classes = facts.names, head.classes
    note = f'{len(names)} class names from {facts.names_from}'
    if classes is None or len(names) == classes:
        return names, (), note
    if len(names) == classes + 1 and 'background' in names[0].lower():
        return names[1:], (), note + ', the first one, the background, left out'
    if head.spare and len(names) == classes - 1:
        return names, tuple(range(classes - 1)), note + '; the last label of the network has none'
    if len(names) == len(COCO) and (numbers := _coco_numbers(classes)):
        return names, numbers, note + f", taken as COCO's: the network counts {classes} numbers"
    many = 'many' if len(names) > classes else 'few'
    raise OnnxFileError(
        f'too {many} class names: {facts.names_from} has {len(names)}, and the network tells '
        f'{classes} classes apart ({head.said}). {_GIVE[0].upper()}{_GIVE[1:]}'
    )


def _known(head: Head, facts: Facts) -> tuple[tuple[str, ...], tuple[int, ...], str]:
    classes = head.classes
    if head.family.name == 'ultraface':
        return ('face',), (), 'one class, face'
    if head.task == 'classify' and classes == IMAGENET_CLASSES:
        text = (weights_dir() / 'imagenet_classes.txt').read_text()
        note = f"{classes} classes without names: ImageNet's are taken"
        return tuple(text.splitlines()), (), note
    if classes == len(COCO):
        note = f"{classes} classes without names: COCO's are taken; if they are others, {_GIVE}"
        return COCO, (), note
    if classes is not None and (numbers := _coco_numbers(classes)):
        note = f"{classes} labels without names: COCO's numbers are taken; if they are others, "
        return COCO, numbers, note + _GIVE
    many = 'its classes' if classes in (None, 1) else f'its {classes} classes'
    damaged = ''.join(f' ({problem})' for problem in facts.metadata.problems)
    raise OnnxFileError(
        f'{head.family.title}: {head.said}. The names of {many} are not in the file{damaged}: '
        f'{_GIVE}'
    )


def _coco_numbers(classes: int) -> tuple[int, ...]:
    """Labels of COCO's names in networks that keep its numbers: 1 to 90, or less one."""
    if classes == COCO_NUMBERS[-1] + 1:
        return COCO_NUMBERS
    if classes == COCO_NUMBERS[-1]:
        return tuple(number - 1 for number in COCO_NUMBERS)
    return ()
