"""Keeps one core busy inferring until it is ended: `python -m e4_ros.benchmarks.dvfs.infer`."""

from __future__ import annotations

import numpy as np

from e4_ros.vision.inference.engine import EarlyExitEngine
from e4_ros.vision.inference.policy import FullPolicy
from e4_ros.vision.models import load_model
from e4_ros.vision.runtime.factory import make_runtime


def main() -> None:
    """Run the full pedestrian detector on noise, again and again, in one thread."""
    runtime = make_runtime('onnxruntime', threads=1)
    engine = EarlyExitEngine(load_model('pedestrian_ssdlite'), FullPolicy(), runtime)
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    engine.process_full(frame)
    print('inferring', flush=True)
    while True:
        engine.process_full(frame)


if __name__ == '__main__':
    main()
