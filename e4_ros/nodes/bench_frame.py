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

"""The inner side of `e4 bench frame`: perception's own objects, timed part by part.

Run as `python -m e4_ros.nodes.bench_frame`, with the daemon's socket in ``E4_SOCKET``; prints JSON.
The node, its network, its tracks, its publishers and the daemon's lease are real; only what the
network finds and the doubt about the tracks are written over, so that each frame is answered where
it shall be, with as many objects as it shall have.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from e4_ros.benchmarks.frame.crafted import Crafted
from e4_ros.nodes import conversions, perception
from e4_ros.nodes.bench_camera import picture
from e4_ros.vision.inference.exit_thresholds import FULL, TRACK
from e4_ros.vision.inference.ladder import Ladder

OBJECTS = (0, 5, 20, 100)
SIZES = ((640, 480), (1920, 1080))
_PERIOD_S = 1e-3  # so near to each other that no answer is too old to be moved on
_PARAMETERS = {'autostart': False, 'check_pay': False, 'audit_share': 0.0, 'helper_retry_s': 0.1}


class Parts:
    """Seconds that calls take themselves, without the timed calls within them."""

    def __init__(self) -> None:
        self.frames: list[dict[str, float]] = []
        self._inner_s: list[float] = []
        self._undo: list[Callable[[], None]] = []

    def time(self, owner: Any, name: str, part: str) -> None:
        """Time a function or method from now on."""
        inner: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **words: Any) -> Any:
            self._inner_s.append(0.0)
            began_s = time.perf_counter()
            try:
                return inner(*args, **words)
            finally:
                took_s = time.perf_counter() - began_s
                self.frames[-1][part] += took_s - self._inner_s.pop()
                if self._inner_s:
                    self._inner_s[-1] += took_s

        before = vars(owner).get(name)
        setattr(owner, name, timed)
        back = (lambda: setattr(owner, name, before)) if before else (lambda: delattr(owner, name))
        self._undo.append(back)

    def begin(self) -> None:
        """A frame begins."""
        self.frames.append(defaultdict(float))

    def undo(self) -> None:
        """Time no more."""
        for back in reversed(self._undo):
            back()
        self._undo.clear()

    def medians_us(self) -> dict[str, float]:
        """Median of each part over the frames, in the order in which they came."""
        names = dict.fromkeys(name for frame in self.frames for name in frame)
        return {
            name: round(1e6 * statistics.median(frame[name] for frame in self.frames), 1)
            for name in names
        }


class Bench:
    """An active perception node, images for it, and what its frames cost."""

    def __init__(self, node: perception.Perception) -> None:
        assert node._network is not None
        self.node, self.outputs = node, node._outputs[0]
        self.perceiver = node._network.get().perceivers[0]
        engine = self.perceiver.engine
        assert isinstance(engine, Ladder), 'the bench runs a detector'
        self.ladder, self.crafted = engine, Crafted(engine)
        self._stamps_s = count(1)

    def row(
        self, exit_name: str, objects: int, size: tuple[int, int], frames: int
    ) -> dict[str, Any]:
        """Time frames of one size that one exit answers with a number of objects."""
        message = conversions.to_image(picture(*size), Header(frame_id='camera'))
        found: list[tuple[str, int, float]] = []
        marks: list[float] = []
        publish, convert = self.outputs.publish, perception.to_rgb

        def published(*args: Any) -> None:
            record = args[2]
            outside_s = time.perf_counter() - marks[-1] - record.result.latency_s
            found.append((record.result.exit, len(record.result.detections), outside_s))
            publish(*args)

        def converted(*args: Any) -> Any:
            frame = convert(*args)
            marks.append(time.perf_counter())
            return frame

        vars(self.outputs)['publish'], vars(perception)['to_rgb'] = published, converted
        parts = Parts()
        try:
            self.ladder.reset()
            self.crafted.answer(FULL, objects)
            self._run(message, 5)  # the stream begins, and has this many objects
            self.crafted.answer(exit_name, objects)
            self._run(message, 5)
            found.clear()
            self._run(message, frames)
            outside_us = round(1e6 * statistics.median(o for *_, o in found), 1)
            loop_us = self._loop_us(convert(message), frames)
            self._time(parts)
            self._run(message, frames, parts.begin)
        finally:
            parts.undo()
            del self.outputs.publish  # the class's is left
            vars(perception)['to_rgb'] = convert
        if wrong := {f[:2] for f in found if f[:2] != (exit_name, objects)}:
            raise RuntimeError(f'{exit_name} should find {objects} objects, but: {sorted(wrong)}')
        where = {'exit': exit_name, 'objects': objects, 'size': f'{size[0]}x{size[1]}'}
        figures = {'outside_us': outside_us, 'outside_loop_us': loop_us}
        return {**where, 'parts_us': parts.medians_us(), **figures}

    def _loop_us(self, frame: np.ndarray, frames: int) -> float:
        """Microseconds outside the latency where frame follows frame and none is published."""
        outside_s = []
        for index in range(frames):
            stamp_s = next(self._stamps_s) * _PERIOD_S
            began_s = time.perf_counter()
            record = self.perceiver.process(frame, stamp_s, index)
            outside_s.append(time.perf_counter() - began_s - record.result.latency_s)
        return round(1e6 * statistics.median(outside_s), 1)

    def _run(self, message: Image, frames: int, begin: Callable[[], None] = lambda: None) -> None:
        for _ in range(frames):
            stamp_s = next(self._stamps_s) * _PERIOD_S
            message.header.stamp.sec = int(stamp_s)
            message.header.stamp.nanosec = int(stamp_s % 1 * 1e9)
            begin()
            # A busy machine's pauses are not to make the stamps look wrong.
            self.node._process(0, message, stamp_s)

    def _time(self, parts: Parts) -> None:
        """Everything on a frame's way through the node."""
        ladder, outputs, clocks = self.ladder, self.outputs, self.perceiver.clocks
        parts.time(self.node, '_process', 'node')
        parts.time(perception, 'to_rgb', 'convert')
        parts.time(self.perceiver, 'process', 'record')
        for name, part in (('begin', 'joules'), ('end', 'joules'), ('step', 'step')):
            parts.time(clocks, name, part)
        parts.time(ladder, 'process', 'ladder')
        parts.time(ladder.engine, 'process', 'engine')
        parts.time(ladder._tracks, 'look', 'doubt')
        parts.time(ladder._tracks.tracker, 'look', 'flow')
        parts.time(ladder._tracks.tracker, 'update', 'tracks')
        parts.time(ladder._tracks.tracker, 'answer', 'tracks')
        parts.time(ladder.model, 'preprocess', 'preprocess')
        parts.time(ladder.model, 'decode', 'decode')
        for name, compiled in self.crafted.programs.items():
            parts.time(compiled, 'run', name)
        parts.time(outputs, 'publish', 'message')
        for publisher in (outputs._detections, outputs._telemetry):
            parts.time(publisher, 'publish', 'publish')


def rows(bench: Bench, frames: int) -> Iterator[dict[str, Any]]:
    """Every exit with every number of objects at every size."""
    for size in SIZES:
        for exit_name in (TRACK, FULL):
            for objects in OBJECTS:
                print(f'{size[0]}x{size[1]} {exit_name} {objects}', file=sys.stderr)
                yield bench.row(exit_name, objects, size, frames)


def main(args: list[str] | None = None) -> None:
    """Time everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--frames', type=int, default=60)
    frames = parser.parse_args(args).frames
    rclpy.init(args=[])
    overrides = [Parameter(name, value=value) for name, value in _PARAMETERS.items()]
    node = perception.Perception(parameter_overrides=overrides)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        node.trigger_configure()
        node.trigger_activate()
        steps = node._steps
        for _ in range(100):
            if steps is not None and steps.board:
                break
            executor.spin_once(timeout_sec=0.1)
        else:
            raise RuntimeError('the daemon gives no lease: set E4_SOCKET to the socket of one')
        # Images come from here alone.
        print(json.dumps([*rows(Bench(node), frames)]))
    finally:
        node.stop()
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
