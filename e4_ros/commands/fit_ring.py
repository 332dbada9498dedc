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

"""What `e4 fit --from-ring` adds: footage from a ring, a certificate, and progress for machines."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from e4_ros.evaluation.ring_footage import RingFootage

Progress = Callable[[str, int, int], None]


class TellingProgress:
    """Progress bars for people that also tell a machine: one JSON object a line.

    Lines are ``{"phase": p, "done": n, "total": n}``, and at the end ``{"result": {...}}``. Nobody
    listening any more ends the process: there is no use for what it makes.

    Args:
        bars: function that shows progress to people.
        fd: file descriptor to write to; None for people alone.
    """

    def __init__(self, bars: Callable[..., None], fd: int | None) -> None:
        self._bars, self._fd = bars, fd

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Show how far a phase has come."""
        self._bars(phase, done, total)
        self._tell({'phase': phase, 'done': done, 'total': total})

    def end(self, **result: Any) -> None:
        """Tell what came of it all."""
        self._tell({'result': result})

    def _tell(self, line: dict[str, Any]) -> None:
        if self._fd is not None:
            os.write(self._fd, json.dumps(line).encode() + b'\n')


class RingFit:
    """Footage of a ring for a fit, and the verdict of the frames that came after.

    Args:
        ring: the ring.
        frames: newest frames to learn from at most; 0 for as many as fit into memory.
        risk: mean loss a frame to certify; None to certify nothing.
        confidence: probability that the certificate holds.

    Raises:
        ValueError: there is no such ring, too little is in it, or the promise is out of range.
    """

    def __init__(self, ring: Path, frames: int, risk: float | None, confidence: float) -> None:
        from e4_ros.evaluation.ring_footage import MOST_FRAMES, held_back, read_footage
        from e4_ros.evaluation.sources.ring import RingSource
        from e4_ros.perception.key_frame_ring import is_written
        from e4_ros.vision.calibration.calibrate import Promise
        from e4_ros.vision.training.fit import LEAST_FRAMES

        self._ring = ring
        self._promise = None if risk is None else Promise(risk, confidence)
        # Where nothing newer will come, the newest are kept from the fit.
        until = None
        if self._promise is not None and not is_written(ring):
            until = held_back(ring, self._promise)
        source = RingSource(ring, min(frames or MOST_FRAMES, MOST_FRAMES), until=until)
        self.footage: RingFootage = read_footage(source, LEAST_FRAMES)

    def certify(self, bundle: Path, progress: TellingProgress) -> None:
        """Certify a bundle that was fitted to the footage, if that was asked for, and say so."""
        if self._promise is None:
            progress.end(bundle=str(bundle), frames_learned=self.footage.frames)
            return
        from e4_ros.evaluation.ring_certificate import certify_on_ring

        verdict = certify_on_ring(bundle, self._ring, self.footage.newest, self._promise, progress)
        typer.echo(verdict.words)
        progress.end(
            bundle=str(bundle),
            frames_learned=self.footage.frames,
            take_over=verdict.take_over,
            words=verdict.words,
            **asdict(verdict),
        )
