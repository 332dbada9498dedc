"""Keeps one core busy inferring until it is ended: `python -m e4_ros.benchmarks.dvfs.infer`."""

from __future__ import annotations

import numpy as np

from e4_ros.perception.setup import EngineOptions, set_up


def main() -> None:
    """Run the full pedestrian detector on noise, again and again, in one thread."""
    engine = set_up(EngineOptions(exits=False, threads=1)).engine
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    engine.process_full(frame)
    print('inferring', flush=True)
    while True:
        engine.process_full(frame)


if __name__ == '__main__':
    main()
