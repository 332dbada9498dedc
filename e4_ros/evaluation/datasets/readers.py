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

"""Read datasets as they are published: folders, Kinetics' CSV, ActivityNet's JSON, UCF's splits.

Formats: Kinetics' annotation CSV (Kay et al., arXiv 1705.06950), ActivityNet's JSON (Caba Heilbron
et al., CVPR 2015), UCF101's `ucfTrainTestlist` (Soomro et al., arXiv 1212.0402).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e4_ros.evaluation.datasets.labelled import (
    VIDEO_SUFFIXES,
    Dataset,
    DatasetError,
    LabelledClip,
    same_classes,
)

_SPLITS = {
    'train': 'train', 'training': 'train',
    'val': 'val', 'validate': 'val', 'validation': 'val', 'valid': 'val',
}  # fmt: skip
_EVERY = 5  # where a dataset has no split, every fifth clip is for validation


@dataclass(frozen=True)
class _Listed:
    """One line of an annotation."""

    split: str
    class_name: str
    stems: tuple[str, ...]  # names the file may have, without suffix
    start_s: float = 0.0
    end_s: float | None = None


def open_dataset(root: Path, annotations: Sequence[Path] = (), split: int = 1) -> Dataset:
    """Read a dataset; its layout is recognised from its files.

    Args:
        root: folder with the videos.
        annotations: Kinetics' CSV files, or ActivityNet's JSON file, or UCF's folder of splits;
            without them those that lie in `root`, else a folder for each class.
        split: number of UCF's split, 1 to 3.

    Raises:
        DatasetError: the dataset is empty, or its parts do not match; the message says what to do.
    """
    if not root.is_dir():
        raise DatasetError(f'{root} is not a folder with videos')
    annotations = list(annotations) or _annotations_in(root)
    for file in annotations:
        if not file.exists():
            raise DatasetError(f'there is no annotation {file}')
    suffixes = {file.suffix.lower() for file in annotations}
    if not annotations:
        return read_folders(root).check()
    if suffixes == {'.csv'}:
        return _found(root, _kinetics(annotations)).check()
    if suffixes == {'.json'} and len(annotations) == 1:
        return _found(root, _activitynet(annotations[0])).check()
    if len(annotations) == 1 and annotations[0].is_dir():
        return read_ucf(root, annotations[0], split).check()
    raise DatasetError(
        "annotations are Kinetics' .csv files, ActivityNet's .json file or UCF's folder of splits, "
        f'not {", ".join(str(file) for file in annotations)}'
    )


def read_folders(root: Path) -> Dataset:
    """A folder for each class, under ``train/`` and ``val/`` (or ``test/``) or without a split."""
    train = root / 'train'
    if train.is_dir():
        val = next((p for n in ('val', 'validation', 'test') if (p := root / n).is_dir()), None)
        if val is None:
            raise DatasetError(f'{root} has train/, but neither val/ nor test/ beside it')
        names = same_classes(_classes(train), _classes(val), root.name)
        return Dataset(root.name, names, _in_folders(train, names), _in_folders(val, names))
    names = _classes(root)
    clips = _in_folders(root, names)
    notes = [f'no split given: every {_EVERY}th clip of each class is for validation']
    per_class: dict[int, int] = {}
    parts: dict[bool, list[LabelledClip]] = {True: [], False: []}
    for clip in clips:
        per_class[clip.label] = per_class.get(clip.label, 0) + 1
        parts[per_class[clip.label] % _EVERY == 0].append(clip)
    return Dataset(root.name, names, parts[False], parts[True], notes=notes)


def read_ucf(root: Path, lists: Path, split: int) -> Dataset:
    """UCF101: ``classInd.txt``, ``trainlist0N.txt`` and ``testlist0N.txt``.

    Raises:
        DatasetError: a list is missing or does not match the class list.
    """
    names: list[str] = []
    for line in _lines(lists / 'classInd.txt'):
        number, _, name = line.partition(' ')
        if number != str(len(names) + 1) or not name:
            raise DatasetError(
                f'{lists / "classInd.txt"}: expected class {len(names) + 1}: {line!r}'
            )
        names.append(name.strip())
    dataset = Dataset(root.name, names, [], [])
    for part, clips in (('train', dataset.train), ('test', dataset.val)):
        file = lists / f'{part}list{split:02d}.txt'
        for line in _lines(file):
            entry, _, number = line.partition(' ')
            class_name = entry.split('/')[0]
            if class_name not in names or (number and names.index(class_name) + 1 != int(number)):
                raise DatasetError(f'{file}: {line!r} does not match classInd.txt')
            path = root / entry
            if path.is_file():
                clips.append(LabelledClip(path, names.index(class_name)))
            else:
                dataset.missing.append(path)
    return dataset


def _annotations_in(root: Path) -> list[Path]:
    """Annotations that lie beside the videos; JSON only if it looks like ActivityNet's."""
    for found in (
        sorted(root.glob('*.csv')),
        sorted(p for p in root.glob('*.json') if '"database"' in p.read_text()),
        [p.parent for p in (*root.glob('classInd.txt'), *root.glob('*/classInd.txt'))],
    ):
        if found:
            return found
    return []


def _kinetics(files: Iterable[Path]) -> list[_Listed]:
    """Rows ``label, youtube_id, time_start, time_end, split``; clips are cut out already."""
    listed = []
    for file in files:
        with file.open(newline='') as text:
            rows = csv.DictReader(text)
            lacking = {'label', 'youtube_id', 'split'} - set(rows.fieldnames or ())
            if lacking:
                raise DatasetError(f'{file} lacks the columns {sorted(lacking)}')
            for number, row in enumerate(rows, 2):
                stems = [row['youtube_id']]
                try:
                    start, end = (int(float(row[k])) for k in ('time_start', 'time_end'))
                    stems.insert(0, f'{row["youtube_id"]}_{start:06d}_{end:06d}')
                except (KeyError, TypeError, ValueError):
                    if row.get('time_start'):
                        raise DatasetError(f'{file}, line {number}: a time is no number') from None
                if split := _SPLITS.get(row['split']):  # the test split has no labels
                    listed.append(_Listed(split, row['label'], tuple(stems)))
    return listed


def _activitynet(file: Path) -> list[_Listed]:
    """Every annotated segment of every video is a clip."""
    try:
        database: dict[str, Any] = json.loads(file.read_text())['database']
        return [
            _Listed(split, part['label'], (f'v_{name}', name), *map(float, part['segment']))
            for name, video in database.items()
            if (split := _SPLITS.get(video['subset']))
            for part in video['annotations']
        ]
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{file} is not in ActivityNet's format (database: subset, annotations: label, "
            f'segment): {error!r}'
        ) from error


def _found(root: Path, listed: list[_Listed]) -> Dataset:
    """Match annotations with the videos that are there, in whatever folders they lie."""
    names = same_classes(
        [entry.class_name for entry in listed if entry.split == 'train'],
        [entry.class_name for entry in listed if entry.split == 'val'],
        root.name,
    )
    videos = {path.stem: path for path in sorted(root.rglob('*')) if _is_video(path)}
    dataset = Dataset(root.name, names, [], [])
    for entry in listed:
        path = next((videos[stem] for stem in entry.stems if stem in videos), None)
        if path is None:
            dataset.missing.append(root / entry.stems[0])
            continue
        clip = LabelledClip(path, names.index(entry.class_name), entry.start_s, entry.end_s)
        (dataset.train if entry.split == 'train' else dataset.val).append(clip)
    return dataset


def _classes(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith('.'))


def _in_folders(root: Path, names: list[str]) -> list[LabelledClip]:
    return [
        LabelledClip(path, label)
        for label, name in enumerate(names)
        for path in sorted((root / name).rglob('*'))
        if _is_video(path)
    ]


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith('.')


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text().splitlines() if line.strip()]
    except OSError as error:
        raise DatasetError(f'{file} cannot be read: {error.strerror}') from error
