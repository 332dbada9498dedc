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

"""Which camera a live image is from, and when it was taken: what headers say, and what to doubt.

Drivers leave the stamp empty, repeat one for ever, write milliseconds where seconds belong, or
follow a clock that jumps. Times of arrival tell: a stamp that they contradict is odd. One odd stamp
begins a new stream, as where a bag is played again; where they keep coming, the times of arrival
are used instead, and the stream goes on.
"""

from __future__ import annotations

from typing import NamedTuple

_OFTEN = 3  # odd stamps, or changes of the camera,
_WITHIN_S = 10.0  # in so many seconds are more than an accident
_PAUSE_S = 2.0  # a longer step is odd where nobody waited for it
_FACTOR = (
    100.0  # between the pace of the stamps and that of arrival: less is playback or simulation
)


class Camera(NamedTuple):
    """What tells one camera's images from another's on the same topic."""

    frame_id: str
    width: int
    height: int

    def __str__(self) -> str:
        return f'{self.frame_id or "(empty)"} {self.width}×{self.height}'


class Place(NamedTuple):
    """An image's place in the stream.

    Attributes:
        time_s: when it was taken, in seconds; goes on from image to image of one stream.
        begins: whether it is no neighbour of the image before.
        news: what is to be told now, and not again.
    """

    time_s: float
    begins: bool
    news: tuple[str, ...] = ()


class LiveStream:
    """Follows the headers of one topic's images.

    Asked by one thread; `complaint` by any.
    """

    def __init__(self) -> None:
        self._camera: Camera | None = None
        self._stamp_s = self._arrived_s = self._time_s = 0.0
        self._odd_s: tuple[float, ...] = ()  # times of arrival, as are the next
        self._changes_s: tuple[float, ...] = ()
        self._by_arrival = ''  # why the stamps are not used
        self._told_of_cameras = False
        self._cameras: tuple[Camera, ...] = ()  # the last two

    def place(self, camera: Camera, stamp_s: float, arrived_s: float) -> Place:
        """Give the next image its place.

        Args:
            camera: what its header and size say.
            stamp_s: its stamp in seconds.
            arrived_s: when it came, in seconds of a clock that never jumps.
        """
        news = []
        begins = camera != self._camera
        waited_s = arrived_s - self._arrived_s
        if begins:
            news += self._changed(camera, arrived_s)
        elif not self._by_arrival:
            news += self._judge(stamp_s, waited_s, arrived_s)
        if self._by_arrival:
            # On from the last stamp: whoever follows the stream need not begin anew.
            self._time_s += waited_s
        else:
            self._time_s = stamp_s
        self._stamp_s, self._arrived_s = stamp_s, arrived_s
        return Place(self._time_s, begins, tuple(news))

    def complaint(self, now_s: float) -> str:
        """What is wrong with the headers; empty while they are fine.

        Args:
            now_s: time by the clock of arrivals.
        """
        mixed = self._mixed() if len(_lately(self._changes_s, now_s)) >= _OFTEN else ''
        return ' '.join(filter(None, (self._by_arrival, mixed)))

    def _changed(self, camera: Camera, arrived_s: float) -> list[str]:
        before, self._camera = self._camera, camera
        if before is None:
            return []
        self._cameras = before, camera
        self._changes_s = (*_lately(self._changes_s, arrived_s), arrived_s)
        if len(self._changes_s) < _OFTEN or self._told_of_cameras:
            return []
        self._told_of_cameras = True
        return [self._mixed()]

    def _mixed(self) -> str:
        names = ' and '.join(map(str, self._cameras))
        return (
            f'Images of several cameras come on one topic ({names}: frame_id and size), and each '
            'change begins a new stream, with new tracks and nothing answered early. Give each '
            'camera a topic of its own, and name them in cameras or start a perception node for '
            'each.'
        )

    def _judge(self, stamp_s: float, waited_s: float, arrived_s: float) -> list[str]:
        odd = _oddity(stamp_s, stamp_s - self._stamp_s, waited_s)
        if not odd:
            return []
        self._odd_s = (*_lately(self._odd_s, arrived_s), arrived_s)
        if len(self._odd_s) < _OFTEN:
            return []
        self._by_arrival = (
            f"The images' stamps {odd}: times of arrival are used instead, and headers go out as "
            'they came. Mend header.stamp where the images are published.'
        )
        return [self._by_arrival]


def _lately(times_s: tuple[float, ...], now_s: float) -> tuple[float, ...]:
    return tuple(time_s for time_s in times_s if now_s - time_s <= _WITHIN_S)


def _oddity(stamp_s: float, step_s: float, waited_s: float) -> str:
    """What is wrong with a stamp, by its step from the one before and the wait for it."""
    if stamp_s == 0:
        return 'are empty'
    if step_s == 0:
        return 'do not change'
    if step_s < 0:
        return 'go backwards'
    if step_s > max(_PAUSE_S, _FACTOR * waited_s):
        return 'jump ahead or are not in seconds'
    if step_s * _FACTOR < waited_s:
        return 'hardly move or are not in seconds'
    return ''
