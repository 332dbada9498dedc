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

"""The streams that `e4 bench exits` measures on: packaged, from a folder, and perturbed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from e4_ros.evaluation.datasets.mot import read_mot
from e4_ros.evaluation.metrics import Labels
from e4_ros.evaluation.perturbations import cut_to, perturbed, through_window, window_corners
from e4_ros.evaluation.sources import SourceError, open_source
from e4_ros.vision.tracking.camera_motion import camera_motion
from e4_ros.vision.tracking.flow import small_grey, sparse_flow

FRAMES = 450  # of a stream, at most
QUICK_FRAMES = 40
_VIDEOS = ('.mp4', '.avi', '.mkv', '.mov')
_WINDOW = 2 / 3  # of the picture's width and height that the wandering window shows
_CHANGE = 1 / 3  # of a perturbed stream passes before something happens to the camera
_MOVES = 0.3  # pixels a frame of the small picture, median: from there on the camera moves
_PAIRS = 40  # of frames that say whether it does
NIGHT_AND_DAY = ('night', 'cover', 'shake', 'cut', 'half rate')

Clip = Sequence[tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Stream:
    """Frames of one camera.

    Attributes:
        name: of the stream.
        clip: ``(stamp_s, frame)`` in order of time.
        moving: whether the camera moves.
        labels: what people drew; None where nobody did.
        change: index of the frame from which on something has happened; 0 if nothing does.
    """

    name: str
    clip: Clip
    moving: bool
    labels: Labels | None = None
    change: int = 0


@dataclass(frozen=True)
class Place:
    """A stream that can be opened; one at a time is held in memory.

    Attributes:
        name: of the stream.
        source: video that it is made of, as `open_source` reads it.
        open: reads it.
        perturbed: whether something is done to it: it tries the promise, not the speed.
    """

    name: str
    source: str
    open: Callable[[], Stream]
    perturbed: bool = False


def places(footage: Path | None, frames: int = FRAMES) -> tuple[list[Place], list[str]]:
    """Every stream there is.

    Args:
        footage: folder with more videos, and labels in the MOT format beside them: ``gt.txt`` in a
            video's own folder, or a text file whose name begins with the video's. Labels whose name
            begins with ``vtest`` are those of the packaged video. None for none.
        frames: of each stream, at most.

    Returns:
        The streams, and what is missing, in sentences.

    Raises:
        SourceError: not even `bikes` can be read, or there is no such folder.
    """
    if footage is not None and not footage.is_dir():
        raise SourceError(f'{footage}: no such folder; leave it out for the packaged videos alone')
    missing: list[str] = []
    base, labels = 'vtest', _labels_beside(footage, 'vtest')
    try:
        open_source(base)
    except SourceError as error:
        missing.append(f'vtest: {error}; bikes is perturbed instead')
        base, labels = 'bikes', None
    if labels is None:
        missing.append('labels of people for vtest: none, so no F1 by people there')
    found = [Place(base, base, lambda: _read(base, base, frames, labels))]
    found.append(Place('moving window', base, lambda: windowed(_read(base, base, frames, labels))))
    if base != 'bikes':
        found.append(Place('bikes', 'bikes', lambda: _read('bikes', 'bikes', frames, None)))
    if footage is None:
        missing.append('footage of other cameras: none (--footage DIR, or E4_FOOTAGE)')
    else:
        found += [_place(path, frames) for path in _videos(footage)]
    found += [
        Place(name, base, lambda name=name: _perturb(name, base, frames), perturbed=True)  # type: ignore[misc]
        for name in NIGHT_AND_DAY
    ]
    return found, missing


def chosen(found: Sequence[Place], names: Sequence[str]) -> list[Place]:
    """The streams of these names; all of them if there are none.

    Raises:
        ValueError: there is no stream of a name; it says which there are.
    """
    there = {place.name: place for place in found}
    if unknown := [name for name in names if name not in there]:
        raise ValueError(
            f'no stream {", ".join(unknown)} here; there are {", ".join(there)}. Footage of your '
            'own comes from the folder that --footage names'
        )
    return [there[name] for name in names] or list(found)


def whole_vtest(footage: Path | None) -> Stream:
    """All frames of the packaged video, with labels of people where the folder has them.

    Raises:
        SourceError: it cannot be read.
    """
    return _read('vtest', 'vtest', None, _labels_beside(footage, 'vtest'))


def camera_moves(clip: Clip) -> bool:
    """Whether the camera of a clip moves most of the time, by its optical flow."""
    shifts = []
    for index in np.linspace(1, len(clip) - 1, min(_PAIRS, len(clip) - 1)).astype(int):
        before, after = (small_grey(clip[i][1]) for i in (index - 1, index))
        height, width = before.shape
        x, y = np.meshgrid(np.linspace(0.05, 0.95, 12) * width, np.linspace(0.05, 0.95, 9) * height)
        motion = camera_motion(sparse_flow(before, after, np.column_stack([x.ravel(), y.ravel()])))
        middle = np.array([[width / 2, height / 2]])
        shifts.append(np.hypot(*(motion.carry(middle) - middle)[0]) if motion.known else np.inf)
    return bool(shifts) and float(np.median(shifts)) > _MOVES


def _read(name: str, source: str, frames: int | None, labels: Path | None) -> Stream:
    opened = open_source(source)
    clip = list(islice(opened, frames))
    drawn = None if labels is None else read_mot(labels)
    if drawn is not None and opened.size is not None:
        drawn.check_fits(opened.size, opened.frame_count)
    return Stream(name, clip, camera_moves(clip), drawn)


def windowed(stream: Stream) -> Stream:
    """A stream and its labels as a window shows them that wanders over the picture."""
    shape = stream.clip[0][1].shape
    size = round(shape[0] * _WINDOW), round(shape[1] * _WINDOW)
    length = len(stream.clip)
    reach = max(length, stream.labels.span.stop if stream.labels is not None else 0)
    corners = window_corners(reach, shape, size)
    labels = None if stream.labels is None else stream.labels.through_window(corners, size)
    clip = through_window(stream.clip, corners[:length], size)
    return Stream('moving window', clip, True, labels)


def _perturb(name: str, base: str, frames: int) -> Stream:
    if name == 'half rate':
        clip: Clip = list(islice(open_source(base), 0, 2 * frames, 2))
        return Stream(name, clip, camera_moves(clip))
    clip = list(islice(open_source(base), frames))
    moving, change = camera_moves(clip), round(len(clip) * _CHANGE)
    if name == 'cut':
        other = list(islice(open_source('bikes'), len(clip) - change))
        return Stream(name, cut_to(clip, other, change), moving, change=change)
    done = {'night': 'darkened', 'cover': 'covered', 'shake': 'shaken'}[name]
    return Stream(name, perturbed(done, clip, change), moving, change=change)


def _place(path: Path, frames: int) -> Place:
    return Place(
        path.stem, str(path), lambda: _read(path.stem, str(path), frames, _labels_of(path))
    )


def _videos(folder: Path) -> Iterator[Path]:
    """Videos in the folder and in folders of it."""
    for path in sorted([*folder.glob('*'), *folder.glob('*/*')]):
        if path.suffix.lower() in _VIDEOS:
            yield path


def _labels_of(video: Path) -> Path | None:
    own = video.parent / 'gt.txt'
    return own if own.is_file() else _labels_beside(video.parent, video.stem)


def _labels_beside(folder: Path | None, stem: str) -> Path | None:
    found = sorted(folder.glob(f'{stem}*.txt')) if folder is not None else []
    return found[0] if found else None
