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

"""A buffer of transforms between named frames over time: what /tf and /tf_static say.

It is a small tf2 buffer in numpy. tf2's own is a compiled library that the wheels do not have, and
one that runs everywhere is tested everywhere; on a robot the messages are the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from e4_ros.perception.obstacles.pose import Pose, rotation_of, slerp, unit_quaternion

CACHE_S = 10.0
"""How long transforms are kept, as in tf2."""

_JUMP_NS = 10**9  # a stamp that lies further back is another run of the clock, not a late message


class TransformError(ValueError):
    """There is no such transform; the text says which frame or time is missing."""


class NotYet(TransformError):  # noqa: N818
    """The transform is known for an earlier time, and may come for this one."""


class _Sample(NamedTuple):
    stamp_ns: int
    translation: np.ndarray
    quaternion: np.ndarray


class _Link:
    """A frame's poses in its parent, by time."""

    def __init__(self, parent: str, is_static: bool) -> None:
        self.parent, self.is_static = parent, is_static
        self._samples: list[_Sample] = []

    def add(self, sample: _Sample, cache_ns: int) -> None:
        samples = self._samples
        if self.is_static or (samples and sample.stamp_ns < samples[-1].stamp_ns - _JUMP_NS):
            samples.clear()
        at = bisect_left(samples, sample.stamp_ns, key=lambda s: s.stamp_ns)
        if at < len(samples) and samples[at].stamp_ns == sample.stamp_ns:
            samples[at] = sample
        else:
            samples.insert(at, sample)
        oldest_ns = samples[-1].stamp_ns - cache_ns
        while samples[0].stamp_ns < oldest_ns:
            samples.pop(0)

    def pose(self, child: str, stamp_ns: int) -> Pose:
        samples = self._samples
        if self.is_static:
            return _pose(samples[0])
        at = bisect_left(samples, stamp_ns, key=lambda s: s.stamp_ns)
        if at < len(samples) and samples[at].stamp_ns == stamp_ns:
            return _pose(samples[at])
        if at == len(samples):
            behind_s = (stamp_ns - samples[-1].stamp_ns) * 1e-9
            raise NotYet(
                f'the newest transform {self.parent} → {child} is {behind_s:.3f} s older than '
                'the image'
            )
        if at == 0:
            ahead_s = (samples[0].stamp_ns - stamp_ns) * 1e-9
            raise TransformError(
                f'the oldest transform {self.parent} → {child} is {ahead_s:.3f} s newer than '
                'the image'
            )
        before, after = samples[at - 1], samples[at]
        share = (stamp_ns - before.stamp_ns) / (after.stamp_ns - before.stamp_ns)
        translation = before.translation + share * (after.translation - before.translation)
        return Pose(rotation_of(slerp(before.quaternion, after.quaternion, share)), translation)


class TransformBuffer:
    """Transforms of the last seconds; belongs to one thread.

    A frame has one parent: where another one sends it, its history begins anew. So it does where
    stamps jump back by more than a second, as when a bag begins again.

    Args:
        cache_s: How long transforms are kept.
    """

    def __init__(self, cache_s: float = CACHE_S) -> None:
        self._cache_ns = round(cache_s * 1e9)
        self._links: dict[str, _Link] = {}

    def add(
        self,
        parent: str,
        child: str,
        stamp_ns: int,
        translation: Sequence[float],
        quaternion: Sequence[float],
        is_static: bool = False,
    ) -> None:
        """Take over one transform.

        Args:
            parent: ``header.frame_id``.
            child: ``child_frame_id``.
            stamp_ns: nanoseconds.
            translation: of the child in its parent, in metres.
            quaternion: x, y, z, w.
            is_static: holds for all times.

        Raises:
            TransformError: a frame without a name or in itself, numbers that are not finite, or a
                quaternion that is no rotation.
        """
        parent, child = _name(parent), _name(child)
        if not parent or not child or parent == child:
            raise TransformError(f'a transform from {parent!r} to {child!r} means nothing')
        place = np.asarray(translation, float)
        if not np.isfinite(place).all():
            raise TransformError(f'the transform {parent} → {child} is not finite')
        try:
            turn = unit_quaternion(np.asarray(quaternion, float))
        except ValueError as error:
            raise TransformError(f'the transform {parent} → {child}: {error}') from None
        link = self._links.get(child)
        if link is None or (link.parent, link.is_static) != (parent, is_static):
            link = self._links[child] = _Link(parent, is_static)
        link.add(_Sample(stamp_ns, place, turn), self._cache_ns)

    def clear(self) -> None:
        """Forget all that is not static."""
        self._links = {child: link for child, link in self._links.items() if link.is_static}

    def lookup(self, target: str, source: str, stamp_ns: int) -> Pose:
        """Where ``source`` lay in ``target`` at a time.

        Raises:
            NotYet: the newest transform on the way is older; it may still come.
            TransformError: a frame is unknown, the two are not connected, frames are their own
                parents, or the time is too long ago.
        """
        target, source = _name(target), _name(source)
        if target == source:
            return Pose.identity()
        up, down = self._ancestry(source), self._ancestry(target)
        shared = next((frame for frame in up if frame in down), None)
        if shared is None:
            raise TransformError(self._why_apart(target, source))
        rising = self._climb(up[: up.index(shared)], stamp_ns)
        falling = self._climb(down[: down.index(shared)], stamp_ns)
        return falling.inverse().after(rising)

    def _ancestry(self, frame: str) -> list[str]:
        """A frame, its parent, and so on up to the root."""
        frames = [frame]
        while (link := self._links.get(frames[-1])) is not None:
            if link.parent in frames:
                way = ' → '.join([*frames, link.parent])
                raise TransformError(f'the frames {way} are a loop: each must have one parent')
            frames.append(link.parent)
        return frames

    def _climb(self, frames: list[str], stamp_ns: int) -> Pose:
        pose = Pose.identity()
        for frame in frames:
            pose = self._links[frame].pose(frame, stamp_ns).after(pose)
        return pose

    def _why_apart(self, target: str, source: str) -> str:
        known = {*self._links, *(link.parent for link in self._links.values())}
        for frame in (source, target):
            if frame not in known:
                return f'nobody sends a transform of the frame {frame!r}'
        return f'no transforms connect the frames {source!r} and {target!r}'


def _pose(sample: _Sample) -> Pose:
    return Pose(rotation_of(sample.quaternion), sample.translation)


def _name(frame: str) -> str:
    """ROS 1 wrote a slash in front, and some drivers still do."""
    return frame.lstrip('/')
