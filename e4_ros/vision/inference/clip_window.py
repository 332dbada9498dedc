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

"""When clip mode looks at a frame of a stream: windows of time, and sample times in each.

A window of ``window_s`` seconds begins every ``stride_s`` seconds, the first at the stream's first
frame. It has evenly spaced sample times, as a training clip had: with ``n`` of them, the ``i``-th
is ``(i + 1/2) / n`` of the window after its beginning. The first frame at or after a sample time is
looked at for it. Where frames are further apart than sample times, a frame stands for all that have
passed since the frame before, and is looked at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

_TOLERANCE_S = 1e-6  # of comparisons of times, which are sums of floating point numbers
_STANDING_STILL = 10  # equal stamps in a row that are no accident


@dataclass
class Window:
    """One window that has no answer yet.

    Attributes:
        begin_s: time of its beginning, in seconds.
        looks: number of frames looked at so far.
        passed: number of sample times passed so far.
        state: what the frames looked at so far have left, by the name of the step's input.
    """

    begin_s: float
    looks: int = 0
    passed: int = 0
    state: dict[str, np.ndarray] = field(default_factory=dict)


class WindowSchedule:
    """Says for each frame of a stream which windows look at it.

    Args:
        window_s: length of a window, in seconds.
        stride_s: from the beginning of one window to that of the next; less than ``window_s`` for
            windows that overlap, more for pauses between them.
        samples: number of sample times of a window.

    Attributes:
        windows: those that have begun and have no answer yet, oldest first.

    Raises:
        ValueError: a length is not positive and finite, or there is no sample time.
    """

    def __init__(self, window_s: float, stride_s: float, samples: int) -> None:
        for name, length_s in (('window_s', window_s), ('window_stride_s', stride_s)):
            if not 0 < length_s < math.inf:
                raise ValueError(f'{name} must be a positive number of seconds, not {length_s}')
        if samples < 1:
            raise ValueError(f'a window needs at least one sample time, not {samples}')
        self.window_s, self.stride_s, self.samples = window_s, stride_s, samples
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the next frame is its first."""
        self.windows: list[Window] = []
        self._begin_s = self._stamp_s = -math.inf
        self._still = 0

    def advance(self, stamp_s: float) -> bool:
        """Take note of the next frame's time; begins a window if it is time for one.

        A stamp before the last one, or more than a window after it, begins a new stream.

        Args:
            stamp_s: time of the frame in seconds.

        Returns:
            Whether a new stream begins.

        Raises:
            ValueError: the stamps do not move; nothing can be sampled by time.
        """
        anew = not 0 <= stamp_s - self._stamp_s <= self.window_s + _TOLERANCE_S
        if anew:
            self.reset()
        self._still = self._still + 1 if stamp_s == self._stamp_s else 0
        self._stamp_s = stamp_s
        if self._still >= _STANDING_STILL:
            raise ValueError(
                f'{self._still + 1} images in a row are stamped {stamp_s:g} s: clip mode samples a '
                'stream by its stamps; let the camera driver set header.stamp'
            )
        due_s = self._begin_s + self.stride_s
        if stamp_s >= due_s - _TOLERANCE_S:
            # On a stream slower than the windows those that no frame would have seen never begin.
            late = stamp_s >= due_s + self.stride_s
            self._begin_s = stamp_s if anew or late else due_s
            self.windows.append(Window(self._begin_s))
        return anew

    def due(self) -> list[Window]:
        """Windows that look at the frame of the last `advance`, oldest first; to be called once."""
        looking = []
        for window in self.windows:
            share = (self._stamp_s - window.begin_s + _TOLERANCE_S) / self.window_s
            passed = min(math.floor(share * self.samples + 0.5), self.samples)
            if passed > window.passed:
                window.passed = passed
                window.looks += 1
                looking.append(window)
        return looking

    def is_last(self, window: Window) -> bool:
        """Whether a window has no sample time after the frame that it looks at."""
        return window.passed == self.samples

    def close(self, window: Window) -> None:
        """A window has its answer: it looks at no further frame."""
        self.windows.remove(window)

    def expires_s(self, window: Window) -> float:
        """Until when a window's answer holds, where no later one comes: the end of the next."""
        return window.begin_s + self.stride_s + self.window_s
