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

"""Write the generated set as videos, a folder for each class."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from e4_ros.evaluation.datasets.labelled import DatasetError
from e4_ros.evaluation.datasets.synth.motions import MOTIONS
from e4_ros.evaluation.datasets.synth.scene import Difficulty, render
from e4_ros.evaluation.datasets.synth.textures import Textures, load_textures
from e4_ros.evaluation.report.video_writer import VideoWriter

CARD = 'synth.json'


@dataclass(frozen=True)
class SynthSettings:
    """Settings of a generated dataset.

    Attributes:
        clips: number of training clips of each class.
        val_clips: number of validation clips of each class.
        seed: seed of everything that is random.
        frames: number of frames of each clip.
        fps: frames per second.
        size: width and height of a frame in pixels.
        difficulty: strength of what makes clips hard to recognise.
    """

    clips: int = 120
    val_clips: int = 40
    seed: int = 0
    frames: int = 30
    fps: int = 15
    size: int = 192
    difficulty: Difficulty = field(default_factory=Difficulty)


@dataclass(frozen=True)
class _Job:
    path: Path
    motion: str
    split: str
    seed: tuple[int, ...]


def write_synth(
    out: Path,
    settings: SynthSettings,
    progress: Callable[[int, int], None] = lambda done, all: None,
) -> None:
    """Write the clips that are not there yet, so that an interrupted run can be continued.

    Args:
        out: folder for ``train/CLASS/NNNN.mp4``, ``val/CLASS/NNNN.mp4`` and a card with settings.
        settings: the same settings draw the same frames; the encoder, which is lossy, does not code
            them alike to the bit in each run.
        progress: function that receives the number of clips that are there and of all clips.

    Raises:
        DatasetError: the folder holds something else, or another set.
    """
    _claim(out, settings)
    jobs = _jobs(out, settings)
    missing = [job for job in jobs if not job.path.exists()]
    done = len(jobs) - len(missing)
    progress(done, len(jobs))
    textures = load_textures()
    with ThreadPoolExecutor() as pool:  # OpenCV and FFmpeg release the interpreter's lock
        running = [pool.submit(_write, job, settings, textures) for job in missing]
        try:
            for future in as_completed(running):
                future.result()
                done += 1
                progress(done, len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _claim(out: Path, settings: SynthSettings) -> None:
    card, text = out / CARD, json.dumps(asdict(settings), indent=1)
    if card.is_file():
        if card.read_text() != text:
            raise DatasetError(
                f'{out} holds a set with other settings ({card}); choose another folder'
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f'{out} holds something else; choose a folder that is new or empty')
    out.mkdir(parents=True, exist_ok=True)
    card.write_text(text)


def _jobs(out: Path, settings: SynthSettings) -> list[_Job]:
    jobs = []
    for split, count in (('train', settings.clips), ('val', settings.val_clips)):
        for label, motion in enumerate(MOTIONS):
            folder = out / split / motion
            folder.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                seed = (settings.seed, ('train', 'val').index(split), label, index)
                jobs.append(_Job(folder / f'{index:04d}.mp4', motion, split, seed))
    return jobs


def _write(job: _Job, settings: SynthSettings, textures: Textures) -> None:
    rng = np.random.default_rng(job.seed)
    frames = render(
        job.motion, getattr(textures, job.split), rng, settings.frames, settings.size,
        settings.difficulty,
    )  # fmt: skip
    part = job.path.with_name(f'.{job.path.stem}.part.mp4')
    with VideoWriter(part, settings.fps, quality=20) as video:
        for frame in frames:
            video.write(frame)
    part.replace(job.path)
