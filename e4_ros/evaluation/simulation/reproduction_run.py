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

"""All scenes of `e4 reproduce`, as many at once as there are cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from typing import Any

from e4_ros.evaluation.simulation.machine import Frame
from e4_ros.evaluation.simulation.reproduction import (
    DOMAINS,
    WORKLOADS,
    Backbone,
    ExitTrace,
    Scene,
    Workload,
)
from e4_ros.evaluation.simulation.reproduction_rows import Trainer, rows
from e4_ros.perception.controllers.context import Learnt

SWEEP_STREAMS = 3
"""Streams of a scene, at most, at all paces but the first."""
_LEARNED_FROM = 1000  # number of the first stream to learn on: far from those that are played


def play_all(
    modes: Mapping[str, str],
    backbones: Sequence[Backbone],
    paces: Sequence[float],
    streams: int,
    train_frames: int,
    tell: Callable[[int, int], None],
) -> list[dict[str, Any]]:
    """Every policy in every scene.

    Args:
        modes: board → its power mode; empty: as it ships.
        backbones: the networks.
        paces: times between frames, in times of the fastest latency; governors learn at the first.
        streams: how many of each scene are played at the first pace.
        train_frames: frames that each learning governor may learn on; 0: none learn.
        tell: told how many scenes are done, and of how many.

    Returns:
        The rows of `reproduction_rows.rows`.
    """
    scenes = [
        (board, b, w, pace, mode)
        for pace in paces for b in backbones for board, mode in modes.items() for w in WORKLOADS
    ]  # fmt: skip
    tell(0, len(scenes))
    cores = min(len(os.sched_getaffinity(0)), len(scenes))
    # Ctrl-C reaches every process of the terminal; they are to end without a word of their own.
    spawn, quietly = multiprocessing.get_context('spawn'), (signal.SIGINT, signal.SIG_DFL)
    with ProcessPoolExecutor(cores, spawn, signal.signal, quietly) as pool:
        played = [
            pool.submit(_play_scene, *scene, streams, train_frames)
            if scene[3] == paces[0]
            else pool.submit(_play_scene, *scene, min(streams, SWEEP_STREAMS), 0)
            for scene in scenes
        ]
        try:
            for number, done in enumerate(as_completed(played), 1):
                done.result()
                tell(number, len(scenes))
        except BaseException:
            for child in multiprocessing.active_children():
                child.terminate()
            pool.shutdown(cancel_futures=True)
            raise
    return [row for future in played for row in future.result()]


def _play_scene(
    board: str,
    backbone: Backbone,
    workload: Workload,
    pace: float,
    mode: str,
    streams: int,
    train_frames: int,
) -> list[dict[str, Any]]:
    """Every policy in one scene, in a process of its own."""
    scene = Scene.of(board, backbone, workload, pace, mode)
    return rows(scene, _trainer(train_frames), streams)


def _trainer(frames: int) -> Trainer | None:
    if frames == 0:
        return None
    import torch

    from e4_ros.evaluation.simulation import learned

    torch.set_num_threads(1)  # scenes run beside each other

    def train(scene: Scene, reward: str, exits: bool) -> Learnt:
        trace = scene.backbone.e4
        if not exits:
            network = {'full': list(range(len(scene.backbone.works)))}
            trace = ExitTrace(network, ('full',) * learned.EPISODE_FRAMES, 1.0)

        def episode(seed: int) -> Sequence[Frame]:
            number = _LEARNED_FROM + seed
            drawn = trace.drawn(number)
            short = replace(drawn, exits=drawn.exits[: learned.EPISODE_FRAMES])
            return scene.frames(short, number)

        return learned.train(
            scene.machine,
            episode,
            scene.period_s,
            reward,  # type: ignore[arg-type]
            frames,
            domains=DOMAINS if exits else learned.PUBLISHED,
        )

    return train
