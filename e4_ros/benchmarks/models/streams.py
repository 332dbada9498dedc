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

"""The ladder with a detector, against its own full network with the same tracker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from e4_ros.benchmarks.exits.ladder import answers_of, frame_losses
from e4_ros.benchmarks.exits.streams import Place
from e4_ros.benchmarks.exits.turns import in_turns
from e4_ros.benchmarks.exits.ways import FULL_TRACKED, MIN_SCORE, Engine, Key
from e4_ros.evaluation.metrics import Labels, compare
from e4_ros.perception.setup import EngineOptions
from e4_ros.vision.inference.exit_thresholds import TRACK

LADDER = Key('ladder')


def measure_streams(
    model: str,
    threads: int,
    places: Sequence[Place],
    progress: Callable[[str, int, int], None],
) -> list[dict[str, Any]]:
    """Every stream by the full network with the tracker and by the ladder, frame by frame in turn.

    Args:
        model: path of the file.
        threads: within an operation.
        places: the streams.
        progress: called with the stream, frames done and their number.

    Returns:
        For each stream ``stream``, ``moving``, ``frames``; ``speedup`` (mean latency of the full
        network with the tracker over that of the ladder), ``f1_full_tracked`` and the number of
        ``boxes`` that the full network with the tracker reports; ``key_frames``, share of frames on
        which the network ran; ``loss``, mean of ``1 - F1`` of a frame; ``full_ms``, ``key_ms`` and
        ``track_ms``, means.
    """
    options = EngineOptions(model, threads=threads, min_score=MIN_SCORE)
    ways = {FULL_TRACKED: Engine(replace(options, exits=False)), LADDER: Engine(options)}
    found = []
    for place in places:
        stream = place.open()
        answered = in_turns(ways, stream, partial(progress, place.name), turn=1)
        full, ladder = answered[FULL_TRACKED], answered[LADDER]
        said, reference = answers_of(ladder), answers_of(full)
        by_track = [one.exit == TRACK for one in ladder.said]
        found.append(
            {
                'stream': stream.name,
                'moving': stream.moving,
                'frames': len(stream.clip),
                'speedup': full.mean_s / ladder.mean_s,
                'f1_full_tracked': compare(
                    said, Labels.of_answers(reference, MIN_SCORE), MIN_SCORE
                ).f1,
                'boxes': sum(map(len, reference)),
                'key_frames': 1 - ladder.share(TRACK),
                'loss': float(frame_losses(said, reference).mean()),
                'full_ms': 1e3 * full.mean_s,
                'key_ms': _mean_ms(ladder.seconds, by_track, False),
                'track_ms': _mean_ms(ladder.seconds, by_track, True),
            }
        )
    return found


def _mean_ms(seconds: Sequence[float], by_track: Sequence[bool], which: bool) -> float | None:
    took = [s for s, by in zip(seconds, by_track, strict=True) if by is which]
    return 1e3 * sum(took) / len(took) if took else None
