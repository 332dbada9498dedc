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

"""Starts the robot of the laboratory and collects what it tells."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from e4_ros.benchmarks.node_processes import StartError
from e4_ros.benchmarks.siblings.lab.film import OPEN_FILES, Film
from e4_ros.benchmarks.siblings.lab.frames import AnsweredFrame, Drive
from e4_ros.benchmarks.siblings.lab.places import Event, Place, Running, python
from e4_ros.benchmarks.siblings.lab.robot import RobotOptions

_PATIENCE_S = 60.0
_WARM_UPS, _WARM_UP_HZ = 10, 10.0


def options_for(film: Film, **given: Any) -> RobotOptions:
    """Options of a robot that sees a film."""
    return RobotOptions(film.path, film.count, film.shape, film.fps, **given)


class Robot(Running):
    """The robot's process.

    Args:
        place: where it runs.
        options: what it is.
        module: of `siblings.lab`, the program that it runs.
    """

    def __init__(self, place: Place, options: RobotOptions, module: str = 'robot') -> None:
        self._frames: list[AnsweredFrame] = []
        self._drives = 0
        command = python(f'e4_ros.benchmarks.siblings.lab.{module}', json.dumps(asdict(options)))
        film = int(options.film.removeprefix(OPEN_FILES))
        super().__init__(place, command, listener=self._hear, keeps=[film])

    @property
    def answered(self) -> int:
        """Number of frames that were answered so far in this drive."""
        return len(self._frames)

    @property
    def frames(self) -> list[AnsweredFrame]:
        """What was answered so far in this drive; it grows."""
        return self._frames

    @property
    def newest(self) -> AnsweredFrame | None:
        """The frame that was answered last in this drive."""
        return self._frames[-1] if self._frames else None

    def go(self, frames: int, rate_hz: float) -> None:
        """Start the camera."""
        self._frames = []
        self._drives += 1
        self.tell({'go': frames, 'rate': rate_hz})

    def warm_up(self) -> None:
        """Drive a little, uncounted, so that the first frame that counts is like the others.

        Raises:
            StartError: the robot ended, or took too long.
        """
        self.go(_WARM_UPS, _WARM_UP_HZ)
        self.result()

    def over(self, patience_s: float) -> bool:
        """Wait so long at most for the end of the drive; whether it is over."""
        try:
            self.wait_for('done', patience_s, self._drives)
        except StartError:
            if self.status is not None:
                raise
            return False
        return True

    def result(self, patience_s: float = _PATIENCE_S) -> Drive:
        """Wait for the end of the drive.

        Raises:
            StartError: the robot ended, or took too long.
        """
        done = self.wait_for('done', patience_s, self._drives).said
        return Drive(list(self._frames), done['received'], done['dropped'], done['failed'])

    def _hear(self, event: Event) -> None:
        if 'n' in event.said:
            self._frames.append(AnsweredFrame.of_json(event.said))
