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

"""The labels of a run, and whether they fit its model, its source and what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from e4_ros.evaluation.datasets.mot import class_of_labels, read_mot
from e4_ros.evaluation.metrics import Labels, LabelsError
from e4_ros.evaluation.sources import Source
from e4_ros.perception.records import FrameRecord
from e4_ros.vision.model import VisionModel


def load_labels(path: Path | None, class_name: str, model: VisionModel) -> Labels | None:
    """Read labels in the MOT format that are to judge a model.

    Args:
        path: Path of the labels; None for none.
        class_name: Name of their class; empty for the model's only class, or its people.
        model: The model.

    Raises:
        LabelsError: the file is no such labels, or they cannot judge this model.
        OSError: the file cannot be read.
    """
    if path is None:
        return None
    if model.task != 'detect':
        raise LabelsError(
            f'{path} holds boxes, but {model.name} answers with classes; labels judge detectors'
        )
    return read_mot(path, class_of_labels(model.class_names, class_name))


def check_labels(labels: Labels | None, source: Source) -> None:
    """Make sure that labels are those of a source, as far as it is known before reading.

    Raises:
        LabelsError: they are another video's.
    """
    if labels is not None and source.size is not None:
        labels.check_fits(source.size, source.frame_count)


def label_problems(
    labels: Labels | None, records: Sequence[FrameRecord], source: Source
) -> list[str]:
    """What stands between labels and a run that is over, in sentences."""
    if labels is None:
        return []
    problems = list(labels.notes)
    if source.dropped:
        problems.append(
            f'{source.dropped} frames could not be read, so labels behind them may be taken for '
            'those of other frames'
        )
    span = labels.span
    if not any(record.frame in span for record in records):
        problems.append(
            f'none of the {len(records)} frames that ran has labels: {labels.name} has those of '
            f'frames {span.start + 1} to {span.stop}, counted from 1'
        )
    return problems
